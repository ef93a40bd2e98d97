"""A simulation in a thread with a loop of its own, and clients of azure-iot-device for it.

The SDK connects to port 8883 only: each simulation listens there, at a loopback address of its own.
"""

import asyncio
import gc
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest
import uvloop
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message

from simulator.message import HubMessage
from simulator.run_folder import socket_folder
from simulator.scenario import Scenario
from simulator.simulation import Plan, Simulation
from simulator.steps import Step, parse_step
from simulator.world import Places
from tests.fakes.edge_deployments import FakeRunner, desired, module

SDK_WARNINGS = [
    pytest.mark.filterwarnings("ignore:Callback API version 1 is deprecated"),
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]
"""What the SDK says of itself, and the sockets that paho forgets when it connects again, or does not trust the hub."""

DEADLINE_S = 30.0
GATEWAY, LEAF, DEVICE = "edge-1", "leaf-1", "direct-1"
SCORER, SINK = f"{GATEWAY}/scorer", f"{GATEWAY}/sink"
ROUTES: Mapping[str, Any] = {
    "leaves": "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) "
    'INTO BrokeredEndpoint("/modules/scorer/inputs/in")',
    "between": 'FROM /messages/modules/scorer/outputs/chain INTO BrokeredEndpoint("/modules/sink/inputs/from_scorer")',
    "up": "FROM /messages/modules/scorer/outputs/up INTO $upstream",
    "urgent": {"route": "FROM /messages/modules/scorer/outputs/urgent INTO $upstream", "priority": 0},
    "brief": {
        "route": "FROM /messages/modules/scorer/outputs/brief INTO $upstream",
        "priority": 9,
        "timeToLiveSecs": 1,
    },
}
"""From leaves to the scorer; its outputs to the sink's input and to the cloud, urgent ones first, brief ones soon."""

_numbers = itertools.count()
T = TypeVar("T")


def until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def loopback_address() -> str:
    """An address of this machine that no other world, of this process or another, listens at."""
    pid = os.getpid()
    return f"127.{60 + next(_numbers) % 190}.{pid >> 8 & 255}.{1 + pid % 254}"


def manifest(routes: Mapping[str, Any] = ROUTES) -> dict[str, Any]:
    """A deployment of a scorer and a sink, with these routes."""
    hub = {"schemaVersion": "1.1", "routes": dict(routes), "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}
    return {
        "modulesContent": {
            "$edgeAgent": {"properties.desired": desired(scorer=module(), sink=module())},
            "$edgeHub": {"properties.desired": hub},
            "scorer": {"properties.desired": {"threshold": 1}},
        }
    }


def sdk_message(body: Any, **fields: Any) -> Any:
    """A message of the SDK."""
    made: Any = Message  # it is not typed
    return made(body, **fields)


class Arrived:
    """What has arrived in the cloud; the record of the run goes on beside it."""

    def __init__(self, simulation: Simulation) -> None:
        self.messages: list[HubMessage] = []
        self.on_arrival: Callable[[HubMessage], None] = lambda _: None
        self._record = simulation.world.cloud

    def received(self, message: HubMessage) -> None:
        """See Cloud."""
        self._record.received(message)
        self.messages.append(message)
        self.on_arrival(message)


class _WithoutService(Simulation):
    """Without the service interface, which takes its time to end."""

    async def _start_service(self, folder: Path) -> None:
        """Nothing listens."""


class SimulationUnderTest:
    """A gateway with two modules that nobody runs, a leaf device of it, and a device of IoT Hub's own.

    `has_service`: with the service interface.
    """

    def __init__(
        self,
        folder: Path,
        sockets: Path,
        routes: Mapping[str, Any] = ROUTES,
        *,
        host: str = "",
        port: int = 8883,
        has_service: bool = False,
    ) -> None:
        self._kind = Simulation if has_service else _WithoutService
        self.host = host or loopback_address()
        self.port = port
        self._folder = folder
        self._sockets = sockets
        self._routes = routes
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulation")

    def __enter__(self) -> Self:
        self._thread.start()
        self.on_loop(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.on_loop(self.simulation.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(DEADLINE_S)
            self._loop.close()

    async def _start(self) -> None:
        places = Places(self._folder, self._sockets, self.host, self.port)
        plan = Plan(Scenario(devices=0), places, lambda _: FakeRunner(), manifest(self._routes))
        self.simulation = self._kind(plan, b"k" * 32)
        self.world = self.simulation.world
        self.arrived = Arrived(self.simulation)
        self.world.hub._cloud = self.arrived
        await self.simulation.start()
        self.port = self.world.server.port
        self.world.registry.add_device(LEAF, parent=GATEWAY)
        self.world.registry.add_device(DEVICE)

    # --- from the test's thread

    def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the simulation's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def call(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call a function on the simulation's loop."""

        async def work() -> T:
            return function(*arguments, **named)

        return self.on_loop(work())

    def do(self, do: str, **arguments: Any) -> Any:
        """Do what a scenario can."""
        problems: list[str] = []
        step = parse_step({"do": do, **arguments}, "test", problems)
        assert isinstance(step, Step), problems
        return self.on_loop(self.simulation.faults.do(step))

    def invoke(self, client_id: str, name: str, payload: Any = None, response_timeout_s: float = 30) -> tuple[int, Any]:
        """Call a direct method."""
        return self.on_loop(self.world.methods.invoke_method(client_id, name, payload, response_timeout_s))

    def set_desired(self, client_id: str, patch: Mapping[str, Any]) -> None:
        """Change desired properties."""
        self.call(self.world.registry.patch_desired, client_id, patch)

    def reported(self, client_id: str) -> dict[str, Any]:
        """The reported properties, as IoT Hub has them."""
        return self.call(lambda: dict(self.world.registry.twin(client_id).reported))

    def is_connected(self, client_id: str) -> bool:
        """Whether a client is."""
        return self.call(self.world.registry.is_connected, client_id)

    def bodies(self) -> list[Any]:
        """The bodies of what has arrived, in order."""
        return [json.loads(message.body) for message in list(self.arrived.messages)]

    def until_arrived(self, count: int) -> list[HubMessage]:
        """Wait until so many messages have arrived in the cloud; all that have."""
        until(lambda: len(self.arrived.messages) >= count, f"{count} messages in the cloud")
        return list(self.arrived.messages)

    def put_input(self, module_id: str, input_name: str, body: bytes, properties: Mapping[str, str]) -> None:
        """Put a message on an input of a module of the gateway, as a leaf device's."""
        message = HubMessage(LEAF, "", tuple(properties.items()), body)
        self.call(self.world.gateways[GATEWAY].edge_hub.put, module_id, input_name, message)

    def connection_string(self, client_id: str, **changes: str) -> str:
        """As `--info` gives it; `changes` replace or add parts."""
        strings = self.call(self.simulation.connection_strings)
        text = {**strings["devices"], **strings["modules"]}[client_id]
        parts = dict(part.split("=", 1) for part in text.split(";")) | changes
        return ";".join(f"{name}={value}" for name, value in parts.items())

    def environment(self, module_id: str) -> dict[str, str]:
        """The variables of a module of the gateway."""
        return self.call(self.world.gateways[GATEWAY].workload.environment, module_id)

    @property
    def ca_pem(self) -> str:
        """The run's authority."""
        return self.world.authority.ca_pem

    def options(self, **more: Any) -> dict[str, Any]:
        """Options of an SDK client for this run."""
        return {"server_verification_cert": self.ca_pem, "connection_retry_interval": 1, **more}

    @contextmanager
    def client(self, client_id: str, connection: str = "", **options: Any) -> Iterator[Any]:
        """A client of the SDK, connected; shut down in the end."""
        kind: Any = IoTHubModuleClient if "/" in client_id else IoTHubDeviceClient
        text = connection or self.connection_string(client_id)
        made = kind.create_from_connection_string(text, **self.options(**options))
        try:
            made.connect()
            yield made
        finally:
            made.shutdown()


@contextmanager
def running_simulation(folder: Path, routes: Mapping[str, Any] = ROUTES, **where: Any) -> Iterator[SimulationUnderTest]:
    """A simulation until the block ends. For fixtures: a test's own clients are gone when it ends."""
    with socket_folder() as sockets, SimulationUnderTest(folder, sockets, routes, **where) as running:
        yield running
    gc.collect()  # clients of the SDK are cycles: their sockets are to be missed here, where that is no error
