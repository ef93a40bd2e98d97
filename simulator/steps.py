"""What can be done to a running simulation, by a scenario or a dashboard: names, arguments, and their types. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulator.hub.links import DEVICES_LINK, MODULES_LINK, UPSTREAM_LINK

_LARGEST = 1e300

LINKS = (UPSTREAM_LINK, MODULES_LINK, DEVICES_LINK)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `arguments` are checked: see STEPS."""

    do: str
    arguments: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"do": self.do, **self.arguments}


class Argument(NamedTuple):
    """What an argument has to be: `problem` gives a sentence's end, "" if the value is fine."""

    problem: Callable[[Any], str]
    is_required: bool = False


def is_number(value: Any) -> bool:
    """Whether it is a number that can be counted with: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _number(low: float, high: float, unit: str) -> Callable[[Any], str]:
    def problem(value: Any) -> str:
        return "" if is_number(value) and low <= value <= high else f"must be a number of {low:g} to {high:g}{unit}"

    return problem


def _link(value: Any) -> str:
    return "" if value in LINKS else f"must be one of {', '.join(LINKS)}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "must be a text"


def _object(value: Any) -> str:
    return _json(value) if isinstance(value, dict) else "must be an object"


def _texts(value: Any) -> str:
    fine = isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)
    return "" if fine else "must be texts by name"


def _json(value: Any) -> str:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "must be what JSON can hold"
    return ""


_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S
_LINK = {"link": Argument(_link), "for_s": Argument(_number(0, 52 * _WEEK_S, " s"))}
_MODULE = {"module": Argument(_text)}
_WHO = {"id": Argument(_text)}

STEPS: Mapping[str, Mapping[str, Argument]] = {
    "offline": _LINK,
    "online": {"link": Argument(_link)},
    "latency": _LINK
    | {
        "ms": Argument(_number(0, 60_000, " ms"), is_required=True),
        "jitter_ms": Argument(_number(0, 60_000, " ms")),
    },
    "loss": _LINK | {"rate": Argument(_number(0, 0.95, ""), is_required=True)},
    "bandwidth": _LINK | {"kbit": Argument(lambda value: "" if value is None else _number(0.1, 1e7, " kbit/s")(value))},
    "half_open": _LINK,
    "restart_hub": {"for_s": Argument(_number(0, _DAY_S, " s"))},
    "kill_agent": _MODULE,
    "disk_full": _MODULE | {"for_s": Argument(_number(0, _WEEK_S, " s"))},
    "expire_token": _MODULE | _WHO,
    "clock_jump": {"by_s": Argument(_number(-1e9, 1e9, " s"), is_required=True)},
    "set_twin": _WHO | {"desired": Argument(_object, is_required=True)},
    "invoke": _WHO | {"method": Argument(_text, is_required=True), "payload": Argument(_json)},
    "send": _WHO | {"input": Argument(_text), "body": Argument(_json), "properties": Argument(_texts)},
}
"""Arguments that are left out: `link` upstream, `for_s` until it is undone, `module` and `id` the first module."""


def parse_step(document: Mapping[str, Any], where: str, problems: list[str]) -> Step | None:
    """The step in this object (without `at_s` and the like); None, and sentences in `problems`, when it is none."""
    do = document.get("do")
    arguments = STEPS.get(do) if isinstance(do, str) else None
    if arguments is None:
        problems.append(f"{where}: do is {do!r}: use one of {', '.join(STEPS)}")
        return None
    before = len(problems)
    given = {name: value for name, value in document.items() if name != "do"}
    for name, value in given.items():
        if name not in arguments:
            problems.append(f"{where}: {do} has no {name!r}: it takes {', '.join(arguments)}")
        elif problem := arguments[name].problem(value):
            problems.append(f"{where}: {name} of {do} {problem}, not {value!r}")
    problems += [
        f"{where}: {do} needs {name}" for name, each in arguments.items() if each.is_required and name not in given
    ]
    return Step(str(do), given) if len(problems) == before else None
