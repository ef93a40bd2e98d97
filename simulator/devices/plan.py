"""What a fleet is told to do: one JSON document. Pure.

    {"host": "localhost", "port": 8883,        where the devices connect to; the certificate must name the host
     "hub_name": "hub.example.net",            in user names and tokens; the host if left out
     "ca_file": "ca.pem",                      authorities of the server's certificate; the system's if left out
     "devices": [{"device_id": "sensor-001", "key": "BASE64"}, ...],
     "source": {"kind": "temperature", ...}    or replay or generator, see below; temperature if left out
     "rate_per_s": 1, "jitter": 0,             messages a (simulated) second of each device; 0 to 1 of the interval
     "bursts": {"every_s": 60, "messages": 10},
     "duplicate_share": 0,                     of the messages are sent twice, under the same id
     "clock_skew_s": 0,                        how wrong the devices' clocks are
     "qos": 1, "window": 100, "backlog": 1000, unacknowledged, and held in all, by each device
     "duration_s": null,                       (simulated) seconds of producing; without end if left out
     "speed": 1,                               simulated seconds in a real one
     "started_s": null,                        when simulated time began (seconds since 1970, real); now if left out
     "seed": 0, "record_file": "devices.jsonl", "first_sequence": 1, "drain_s": 30,
     "listen": true,                           obey twins, direct methods and messages from the cloud
     "connects_per_s": 200, "token_ttl_s": 3600, "keep_alive_s": 60}

Sources: `temperature` with `message_count`, `machine_temperature_min`/`_max`, `machine_pressure_min`/`_max`,
`ambient_temperature`, `body_bytes`; `replay` with `file`, `loop` (true), `time_column`; `generator` with `file`.
Everything that is wrong is told at once, and no sentence shows a key.
"""

import base64
import binascii
import json
from typing import NamedTuple

from device_agent.messages.iothub.connection_string import check_id
from edgepack.errors import InputError
from simulator.devices.json_fields import Fields
from simulator.devices.schedule import Burst
from simulator.devices.sensor import SensorSettings

FLEET_MARK = "-fleet"
"""What the user names of a fleet's devices end with, so that the hub can tell them from others with the same id."""

_TEN_YEARS_S = 315_360_000.0
_MOST_MESSAGES_PER_S = 10_000.0


class DeviceCredential(NamedTuple):
    """A device and its key, decoded."""

    device_id: str
    key: bytes


class SourceChoice(NamedTuple):
    """What devices send. `kind`: temperature, replay or generator; `file` for the latter two."""

    kind: str = "temperature"
    sensor: SensorSettings = SensorSettings()
    file: str = ""
    loops: bool = True
    time_column: str = ""


class FleetPlan(NamedTuple):
    """See the module."""

    host: str
    port: int
    hub_name: str
    ca_file: str
    devices: tuple[DeviceCredential, ...]
    source: SourceChoice
    rate_per_s: float
    jitter: float
    burst: Burst | None
    duplicate_share: float
    clock_skew_s: float
    qos: int
    window: int
    backlog: int
    duration_s: float | None
    speed: float
    started_s: float | None
    seed: int
    record_file: str
    first_sequence: int
    drain_s: float
    listens: bool
    connects_per_s: float
    token_ttl_s: float
    keep_alive_s: int


def parse_plan(text: str) -> FleetPlan:
    """Read a plan.

    Raises:
        InputError: with everything that is wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the plan is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError("the plan is no JSON object")
    fields = Fields(document)
    plan = _read_plan(fields)
    fields.end()
    InputError.raise_if_any(fields.problems)
    return plan


def _read_plan(fields: Fields) -> FleetPlan:
    host = fields.text("host", None)
    return FleetPlan(
        host=host,
        port=fields.whole("port", 8883, 1, 65_535),
        hub_name=fields.text("hub_name", host),
        ca_file=fields.text("ca_file", ""),
        devices=_read_devices(fields),
        source=_read_source(fields.inner("source")),
        rate_per_s=fields.number("rate_per_s", 1.0, 1e-6, _MOST_MESSAGES_PER_S),
        jitter=fields.number("jitter", 0.0, 0, 1),
        burst=_read_burst(fields),
        duplicate_share=fields.number("duplicate_share", 0.0, 0, 1),
        clock_skew_s=fields.number("clock_skew_s", 0.0, -_TEN_YEARS_S, _TEN_YEARS_S),
        qos=fields.whole("qos", 1, 0, 1),
        window=fields.whole("window", 100, 1, 10_000),
        backlog=fields.whole("backlog", 1000, 1, 1_000_000),
        duration_s=fields.optional("duration_s", 0, _TEN_YEARS_S),
        speed=fields.number("speed", 1.0, 0.001, 100_000),
        started_s=fields.optional("started_s", 0, 1e11),
        seed=fields.whole("seed", 0, 0, 2**63),
        record_file=fields.text("record_file", ""),
        first_sequence=fields.whole("first_sequence", 1, 1, 10**9),
        drain_s=fields.number("drain_s", 30.0, 0, _TEN_YEARS_S),
        listens=fields.yes_or_no("listen", default=True),
        connects_per_s=fields.number("connects_per_s", 200.0, 0.01, 10_000),
        token_ttl_s=fields.number("token_ttl_s", 3600.0, 1, _TEN_YEARS_S),
        keep_alive_s=fields.whole("keep_alive_s", 60, 1, 1740),
    )


def _read_devices(fields: Fields) -> tuple[DeviceCredential, ...]:
    problems = fields.problems
    found: dict[str, DeviceCredential] = {}
    given = fields.take("devices")
    if not isinstance(given, list) or not given:
        problems.append("devices: expected a list of at least one device")
        return ()
    for place, item in enumerate(given):
        where = f"devices[{place}]"
        inner = Fields(item if isinstance(item, dict) else {}, problems, f"{where}.")
        device_id = inner.text("device_id", None)
        if device_id:
            check_id(device_id, f"{where}.device_id", "device", problems)
        try:
            key = base64.b64decode(inner.text("key", None), validate=True)
        except (binascii.Error, ValueError):
            problems.append(f"{where}.key: no base64")
            key = b""
        inner.end()
        if device_id in found:
            problems.append(f"{where}: the device {device_id} is there twice")
        found[device_id] = DeviceCredential(device_id, key)
    return tuple(found.values())


def _read_source(fields: Fields) -> SourceChoice:
    kind = fields.text("kind", "temperature")
    choice = SourceChoice(kind)
    if kind == "temperature":
        choice = choice._replace(sensor=read_sensor(fields))
    elif kind == "replay":
        loops = fields.yes_or_no("loop", default=True)
        choice = choice._replace(
            file=fields.text("file", None), loops=loops, time_column=fields.text("time_column", "")
        )
    elif kind == "generator":
        choice = choice._replace(file=fields.text("file", None))
    else:
        fields.problems.append(f"source.kind is {kind[:80]!r}: expected temperature, replay or generator")
        return choice
    fields.end()
    return choice


def read_sensor(fields: Fields) -> SensorSettings:
    """The settings of the temperature sensor."""
    usual = SensorSettings()
    ranged = {
        name: fields.number(name, getattr(usual, name), -1e6, 1e6)
        for name in SensorSettings._fields
        if name not in ("message_count", "body_bytes")
    }
    settings = SensorSettings(
        message_count=fields.whole("message_count", usual.message_count, -1, 10**12),
        body_bytes=fields.whole("body_bytes", usual.body_bytes, 0, 250_000),
        **ranged,
    )
    if settings.machine_temperature_max <= settings.machine_temperature_min:
        fields.problems.append(f"{fields.place}machine_temperature_max: must be above the min")
    return settings


def _read_burst(fields: Fields) -> Burst | None:
    inner = fields.inner("bursts")
    if inner.is_empty:
        return None
    every_s = inner.number("every_s", 60, 0.001, _TEN_YEARS_S)
    messages = inner.whole("messages", 10, 1, 1_000_000)
    inner.end()
    return Burst(every_s, messages)
