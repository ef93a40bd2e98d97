"""What a run looks like at one moment: the values behind every view of it, and their JSON on the control socket. Pure.

`Snapshot.document()` gives JSON types only, with the field names of these classes; `parse_snapshot` takes them back
and gives an equal value. Both sides are of one release, so a key that is missing or unknown is an error.
Times `_s` are simulated seconds since the start; `latency_ms` is in real milliseconds.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MOST_DEVICES = 200
RATE_VALUES = 60

RunState = Literal["running", "draining", "done"]
ModuleStatus = Literal["starting", "running", "backoff", "stopped", "failed"]


class SnapshotError(ValueError):
    """A document that is no snapshot. `problems` holds one sentence each, with the place in the document."""

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link and what is wrong with it. `loss` is the share of packets, 0 to 1; no bandwidth is no limit."""

    up: bool = True
    latency_ms: float = 0
    loss: float = 0.0
    bandwidth_kbit: float | None = None
    half_open: bool = False


@dataclass(frozen=True, slots=True)
class QueueState:
    """Messages that edgeHub keeps for one endpoint (`$upstream` or `MODULE/inputs/INPUT`) at one priority."""

    endpoint: str
    priority: int
    messages: int


@dataclass(frozen=True, slots=True)
class ModuleState:
    """A module as edgeAgent sees it. Without an answer from its agent, `buffer_messages` is None; `url` "": no HTTP."""

    name: str
    status: ModuleStatus
    restarts: int = 0
    exit_code: int | None = None
    connected: bool = False
    buffer_messages: int | None = None
    image: str = ""
    pid: int | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One edge device: the queues of its edgeHub and its modules."""

    device_id: str
    queues: tuple[QueueState, ...] = ()
    modules: tuple[ModuleState, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceState:
    """One device of the fleet. `last` is the body of its last message as JSON, None before the first."""

    device_id: str
    connected: bool = False
    sent: int = 0
    last: Any = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second, oldest first, at most RATE_VALUES values."""

    sent: tuple[float, ...] = ()
    delivered: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """What became of the messages: `outstanding` ones are on their way or wait."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    outstanding: int = 0
    duplicated: int = 0
    misordered: int = 0
    expired: int = 0
    unrouted: int = 0
    consumed: int = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """From the sender to the cloud, in milliseconds; None before the first message arrived."""

    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    `clock` is the simulated time of day (ISO 8601, UTC). `links` are `upstream`, `modules` and `devices`. `devices`
    holds the first MOST_DEVICES of `devices_total`. A fault has `at_s`, `do` and the step's arguments.
    """

    at_s: float
    clock: str
    state: RunState
    speed: float = 1
    scenario: str = ""
    duration_s: float | None = None
    links: Mapping[str, LinkState] = field(default_factory=dict)
    gateways: tuple[GatewayState, ...] = ()
    devices: tuple[DeviceState, ...] = ()
    devices_total: int = 0
    devices_connected: int = 0
    rates: Rates = Rates()
    ledger: LedgerFigures = LedgerFigures()
    latency_ms: Latency = Latency()
    faults: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON types: dictionaries, lists, text, numbers, true, false and null."""
        document: dict[str, Any] = _plain(self)
        return document


def parse_snapshot(document: object) -> Snapshot:
    """The snapshot of a JSON document.

    Raises:
        SnapshotError: it is none; all problems at once.
    """
    problems: list[str] = []
    snapshot: Snapshot = _parsed(document, Snapshot, "", problems)
    if not problems:
        problems += [
            f"/faults/{number}: needs at_s, a number, and do, a text"
            for number, fault in enumerate(snapshot.faults)
            if not isinstance(fault.get("at_s"), int | float) or not isinstance(fault.get("do"), str)
        ]
    if problems:
        raise SnapshotError(*problems)
    return snapshot


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    if _is_value(kind):
        return {name: _plain(getattr(value, name)) for name in _types(kind)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _is_value(kind: Any) -> bool:
    return is_dataclass(kind)


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _parsed(value: Any, kind: Any, place: str, problems: list[str]) -> Any:
    """`value` as the type `kind`; what is wrong with it is added to `problems`, and None returned."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _parsed(value, arguments[0], place, problems)
    if origin is Literal:
        return value if value in arguments else _wrong(place, f"one of {', '.join(arguments)}", value, problems)
    if origin is tuple:
        if not isinstance(value, list):
            return _wrong(place, "a list", value, problems)
        return tuple(_parsed(item, arguments[0], f"{place}/{number}", problems) for number, item in enumerate(value))
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if number else _wrong(place, "a number", value, problems)
    if kind in (int, bool, str):
        name = {int: "a whole number", bool: "true or false", str: "a text"}[kind]
        return value if type(value) is kind else _wrong(place, name, value, problems)
    if not isinstance(value, dict):
        return _wrong(place, "an object", value, problems)
    if not _is_value(kind):
        return {key: _parsed(item, arguments[1], f"{place}/{key}", problems) for key, item in value.items()}
    hints = _types(kind)
    wrong = [f"{place}/{name}: is missing" for name in hints.keys() - value.keys()]
    wrong += [f"{place}/{name}: is unknown" for name in value.keys() - hints.keys()]
    problems += sorted(wrong)
    known = {
        name: _parsed(value[name], hint, f"{place}/{name}", problems) for name, hint in hints.items() if name in value
    }
    return None if wrong else kind(**known)


def _wrong(place: str, wanted: str, value: object, problems: list[str]) -> None:
    shown = repr(value)
    problems.append(f"{place or '/'}: must be {wanted}, not {shown if len(shown) <= 60 else shown[:57] + '...'}")
