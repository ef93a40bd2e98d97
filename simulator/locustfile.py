"""A fleet on Locust: `locust -f simulator/locustfile.py` (extra `fleet`). docs/fleet.md has the commands.

Each user is a device: the same source, session and tokens as in `simulator.devices`, on a socket of its own. Locust
counts messages (`publish`: the time from the making of a message to its acknowledgement), connections (`connect`) and
what went wrong. Two kinds of other sides:

- IoT Hub, edgeHub or `edgepack simulate`: a file of connection strings, of which each worker takes its share. Workers
  have to be there when the test starts; there can be no more users than devices.
- Any MQTT 3.1.1 broker: a topic template, and a host (`mqtt://` or `mqtts://`); devices are named by worker and number.

Stop with `--stop-timeout 10`: devices then wait for what is not acknowledged yet, and the counts of both sides agree.
"""

import random
import ssl
import sys
import time
from typing import Any

from gevent.event import AsyncResult  # type: ignore[import-untyped]
from gevent.timeout import Timeout  # type: ignore[import-untyped]
from locust import User, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from edgepack.errors import InputError
from simulator.devices.blocking_client import BlockingClient
from simulator.devices.session import Telemetry
from simulator.devices.spread_fleet import FleetOptions, SpreadFleet

_SHARE = "fleet_share"
_SHARE_TIMEOUT_S = 20.0
_STEP_S = 0.25
_DRAIN_S = 8.0
_WRONG_INPUT = 2


class _Here:
    """What the users of this process share: which part of the fleet they are, and the fleet, made at first use."""

    def __init__(self) -> None:
        self._place = AsyncResult()
        self._fleet: SpreadFleet | None = None

    def take_part(self, place: int, of: int) -> None:
        """A test starts, and this is our part."""
        self._fleet = None
        self._place = AsyncResult()
        self._place.set((place, of))

    def fleet(self, environment: Environment) -> SpreadFleet:
        """Of the test that runs. Raises InputError."""
        if self._fleet is None:
            try:
                place, of = self._place.get(timeout=_SHARE_TIMEOUT_S)
            except Timeout:
                raise InputError("this worker came after the start of the test, which has no devices for it") from None
            self._fleet = self._fleet or SpreadFleet(options_of(environment), place, of)
        return self._fleet


_here = _Here()


def add_arguments(parser: LocustArgumentParser) -> None:
    """The fleet's own arguments; each is also an environment variable."""
    options = {
        "devices": (str, "", "file with a connection string a line, for a hub"),
        "topic": (str, "", "topic for a broker instead, such as factory/{device_id}/telemetry"),
        "ca": (str, "", "file with the authorities of the server's certificate; default: the system's"),
        "rate": (float, 1.0, "messages a second of each device"),
        "qos": (int, 1, "0 or 1"),
        "body-bytes": (int, 0, "fill messages up to this size"),
        "source": (str, "", "CSV or JSON lines to replay, or a Python file with generate(); default: a sensor"),
        "seed": (int, 0, "of what sensors measure"),
    }
    for name, (kind, default, text) in options.items():
        variable = f"EDGEPACK_FLEET_{name.upper().replace('-', '_')}"
        parser.add_argument(f"--fleet-{name}", type=kind, default=default, env_var=variable, help=text)


def options_of(environment: Environment) -> FleetOptions:
    """What the arguments say. On a worker they come from the master. Raises InputError."""
    given: Any = environment.parsed_options
    options = FleetOptions(
        devices_file=given.fleet_devices,
        topic=given.fleet_topic,
        url=environment.host or "",
        ca_file=given.fleet_ca,
        rate_per_s=given.fleet_rate,
        qos=given.fleet_qos,
        body_bytes=given.fleet_body_bytes,
        source_file=given.fleet_source,
        seed=given.fleet_seed,
    )
    options.check()
    return options


def begin(environment: Environment, **_: object) -> None:
    """Check the arguments where the user gave them; listen for our part where we are a worker."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(_SHARE, _take_part)
        return
    if environment.web_ui is not None:
        return  # the page may change the arguments
    try:
        options_of(environment)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(_WRONG_INPUT) from None


def _take_part(msg: Message, **_: object) -> None:
    _here.take_part(msg.data["place"], msg.data["of"])


def share_out(environment: Environment, **_: object) -> None:
    """Give each worker its part of the fleet; without workers all of it is ours."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        workers = sorted(runner.clients)
        for place, worker in enumerate(workers):
            runner.send_message(_SHARE, {"place": place, "of": len(workers)}, worker)
    elif not isinstance(runner, WorkerRunner):
        _here.take_part(0, 1)


for _event, _listener in (
    (events.init_command_line_parser, add_arguments),
    (events.init, begin),
    (events.test_start, share_out),
):
    _event.add_listener(_listener)  # type: ignore[no-untyped-call]


class DeviceUser(User):
    """One device. See the module."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Become the next device of our part."""
        chance = random.Random()  # noqa: S311 - it spreads reconnections
        self._client: BlockingClient | None = None
        try:
            self._client = _here.fleet(self.environment).next_client(chance.random, self._connected, self._problem)
        except (InputError, ssl.SSLError) as error:
            self._problem(str(error))
            raise StopUser from error

    @task
    def live(self) -> None:
        """Make and send what is due, and take what comes."""
        if self._client is None:
            raise StopUser
        self._count(self._client.step(_STEP_S))

    def on_stop(self) -> None:
        """Wait for what is not acknowledged, and say goodbye."""
        if self._client is not None:
            self._count(self._client.drain(_DRAIN_S))

    def _count(self, messages: list[Telemetry]) -> None:
        now_s = time.time()
        for message in messages:
            self._fire("publish", now_s - message.created_s, len(message.body), None)

    def _connected(self, seconds: float) -> None:
        self._fire("connect", seconds, 0, None)

    def _problem(self, text: str) -> None:
        self._fire("connect", 0.0, 0, ConnectionError(text))

    def _fire(self, name: str, seconds: float, length_bytes: int, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="MQTT",
            name=name,
            response_time=max(0.0, seconds * 1000),
            response_length=length_bytes,
            exception=error,
            context={},
        )
