"""A scenario: devices, what they send, what happens to the network, and what is expected in the end. Pure.

    name: a tunnel
    devices: 20            # leaf devices, shared out over the gateways
    rate_per_s: 1          # messages a device and simulated second
    duration_s: 60         # simulated seconds
    speed: 1               # simulated seconds in a real one
    steps:
      - {at_s: 10, do: offline, for_s: 15}
      - {at_s: 5, every_s: 20, do: latency, ms: 300, jitter_ms: 100, for_s: 4}
    expect: {lost: 0, duplicated: {max: 5}, outputs: {scorer/amlError: 0}}

`steps.py` has what can be done. A step with `every_s` is done again until the end, or `until_s`. Everything has a
default; an unknown key is an error that names the nearest known one.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

from edgepack.errors import InputError
from simulator.steps import Step, is_number, parse_step

_REPORT_NUMBERS = ("sent", "delivered", "lost", "duplicated", "misordered", "expired", "unrouted", "consumed")
_OUTPUT = "outputs/"
MOST_OCCURRENCES = 100_000


class Timed(NamedTuple):
    """A step and when it is done: simulated seconds since the start."""

    at_s: float
    step: Step


class Burst(NamedTuple):
    """So many messages more of each device, every so many simulated seconds."""

    every_s: float
    messages: int


class Bound(NamedTuple):
    """What a number of the report may be."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """See the module. `steps` are in order of time. `duration_s` None: until it is stopped.

    `jitter` is the share by which intervals vary, `duplicates` the share of messages that a device sends twice,
    `bursts` are messages more, at once, every so often. `clock_skew_s` is by how much the clocks of devices are off.
    `source` is `temperature`, or a file: a recording to replay, or a generator (.py). `units` are those of the hub, 0
    for no throttling. `expect` has bounds of the report's numbers; `outputs/MODULE/OUTPUT` is the number of an output.
    """

    name: str = ""
    devices: int = 3
    gateways: int = 1
    rate_per_s: float = 1.0
    duration_s: float | None = None
    speed: float = 1.0
    seed: int = 1
    jitter: float = 0.1
    bursts: Burst | None = None
    duplicates: float = 0.0
    clock_skew_s: float = 0.0
    source: str = "temperature"
    units: int = 0
    steps: tuple[Timed, ...] = ()
    expect: Mapping[str, Bound] = field(default_factory=lambda: {"lost": Bound(0, 0)})


class _Number(NamedTuple):
    low: float
    high: float
    is_whole: bool = False


_NUMBERS = {
    "devices": _Number(0, 10_000, True),
    "gateways": _Number(1, 100, True),
    "rate_per_s": _Number(1e-6, 10_000),
    "duration_s": _Number(0.1, 52 * 604_800),
    "speed": _Number(0.01, 100_000),
    "seed": _Number(0, 2**31, True),
    "jitter": _Number(0, 1),
    "duplicates": _Number(0, 1),
    "clock_skew_s": _Number(-3e8, 3e8),
    "units": _Number(0, 10_000, True),
}
_KEYS = (*_NUMBERS, "name", "source", "bursts", "steps", "expect")


def parse_scenario(document: Any, where: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Scenario:
    """The scenario in a document as YAML or JSON gives it; `where` (a file's name) begins each problem's text.

    `changes` are fields that options of the command change, and are told by these.

    Raises:
        InputError: it is none; all problems at once.
    """
    if not isinstance(document, dict):
        raise InputError(f"{where}: a scenario is an object with {', '.join(_KEYS)}")
    problems = [_unknown(where, str(key)) for key in document if key not in _KEYS]
    fields: dict[str, Any] = {}
    document = {**document, **changes}
    called = {name: f"{where}: {name}" for name in document}
    called |= {name: f"--{name.removesuffix('_per_s').removesuffix('_s')}" for name in changes}
    for name, (low, high, is_whole) in _NUMBERS.items():
        value: Any = document.get(name)
        if name not in document or (name == "duration_s" and value is None):
            continue
        if is_number(value) and low <= value <= high and (not is_whole or value == int(value)):
            fields[name] = int(value) if is_whole else float(value)
        else:
            kind = "whole number" if is_whole else "number"
            problems.append(f"{called[name]} must be a {kind} of {low:g} to {high:g}, not {value!r}")
    for name in ("name", "source"):
        if name in document:
            fields[name] = document[name]
            if not isinstance(document[name], str):
                problems.append(f"{called[name]} must be a text, not {document[name]!r}")
    fields["steps"] = tuple(_steps(document.get("steps", []), fields.get("duration_s"), f"{where}: steps", problems))
    if document.get("bursts") is not None:
        fields["bursts"] = _bursts(document["bursts"], f"{where}: bursts", problems)
    if "expect" in document:
        fields["expect"] = _expectations(document["expect"], f"{where}: expect", problems)
    InputError.raise_if_any(problems)
    return Scenario(**fields)


def broken_expectations(expect: Mapping[str, Bound], report: Mapping[str, Any]) -> list[str]:
    """A sentence for each number of the report that is not as expected."""
    found = []
    for name, (low, high) in expect.items():
        number = report["outputs"].get(name.removeprefix(_OUTPUT), 0) if name.startswith(_OUTPUT) else report[name]
        if not low <= number <= high:
            wanted = f"{low:g}" if low == high else f"at least {low:g}" if high == inf else f"{low:g} to {high:g}"
            found.append(f"{name} is {number}: expected {wanted}")
    return found


def _unknown(where: str, key: str) -> str:
    near = difflib.get_close_matches(key, _KEYS, 1)
    return f"{where}: unknown key {key!r}: " + (f"did you mean {near[0]}?" if near else f"use {', '.join(_KEYS)}")


def _steps(given: Any, duration_s: float | None, where: str, problems: list[str]) -> list[Timed]:
    if not isinstance(given, list):
        problems.append(f"{where} must be a list")
        return []
    found: list[Timed] = []
    for number, document in enumerate(given, 1):
        place = f"{where} {number}"
        if not isinstance(document, dict):
            problems.append(f"{place}: must be an object with at_s and do")
            continue
        times = {name: document[name] for name in ("at_s", "every_s", "until_s") if name in document}
        step = parse_step({key: value for key, value in document.items() if key not in times}, place, problems)
        wrong = [name for name, value in times.items() if not is_number(value)]
        problems += [f"{place}: {name} must be a number of seconds, not {times[name]!r}" for name in wrong]
        if step is None or wrong:
            continue
        problem = _time_problem(times, duration_s)
        if problem:
            problems.append(f"{place}: {problem}")
        else:
            found += [Timed(at_s, step) for at_s in _occurrences(times, duration_s)]
    return sorted(found, key=lambda timed: timed.at_s)


def _time_problem(times: Mapping[str, float], duration_s: float | None) -> str:
    if "at_s" not in times and "every_s" not in times:
        return "needs at_s, the simulated second at which it is done"
    if times.get("at_s", 0) < 0:
        return "at_s must not be negative"
    if "until_s" in times and "every_s" not in times:
        return "until_s goes with every_s"
    if "every_s" not in times:
        return ""
    end_s = times.get("until_s", duration_s)
    if times["every_s"] <= 0 or end_s is None:
        return "every_s must be above 0, and needs until_s where the scenario has no duration_s"
    if end_s / times["every_s"] > MOST_OCCURRENCES:
        return f"would be done over {MOST_OCCURRENCES} times"
    return ""


def _occurrences(times: Mapping[str, float], duration_s: float | None) -> Iterator[float]:
    at_s = float(times.get("at_s", times.get("every_s", 0.0)))
    every_s = times.get("every_s")
    if every_s is None:
        yield at_s
        return
    end_s = times.get("until_s", duration_s)
    number = 0
    while end_s is not None and at_s + number * every_s < end_s:
        yield at_s + number * every_s
        number += 1


def _bursts(given: Any, where: str, problems: list[str]) -> Burst | None:
    fine = isinstance(given, dict) and set(given) == {"every_s", "messages"} and all(map(is_number, given.values()))
    if not fine or given["every_s"] <= 0 or not 1 <= given["messages"] <= 100_000:
        problems.append(f"{where} must be every_s (above 0) and messages (1 to 100000), not {given!r}")
        return None
    return Burst(float(given["every_s"]), int(given["messages"]))


def _expectations(given: Any, where: str, problems: list[str]) -> dict[str, Bound]:
    if not isinstance(given, dict):
        problems.append(f"{where} must be numbers of the report by name, such as lost: 0")
        return {}
    found = {}
    outputs = given.get("outputs", {})
    if not isinstance(outputs, dict):
        problems.append(f"{where}: outputs must be numbers by output, such as scorer/amlError: 0, not {outputs!r}")
        outputs = {}
    numbers = {name: value for name, value in given.items() if name != "outputs"}
    numbers |= {f"{_OUTPUT}{name}": value for name, value in outputs.items()}
    for name, value in numbers.items():
        bounds = {"min": value, "max": value} if not isinstance(value, dict) else value
        fine = set(bounds) <= {"min", "max"} and all(map(is_number, bounds.values()))
        if name not in _REPORT_NUMBERS and not str(name).startswith(_OUTPUT):
            known = ", ".join((*_REPORT_NUMBERS, "outputs"))
            problems.append(f"{where}: {name!r} is no number of the report: use {known}")
        elif not fine:
            problems.append(f"{where}: {name} must be a number, or have min and max, not {value!r}")
        else:
            found[str(name)] = Bound(bounds.get("min", 0), bounds.get("max", inf))
    return found
