"""Desired properties of the module's twin -> the settings in force, and what is reported about them. Pure.

A desired property overrides a variable of the same name, while it is there; only those of settings.RUN_TIME can be.
Other names that begin with EDGEPACK_ are refused, with the reason; everything else is the script's own affair.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from device_agent.messages.settings import RUN_TIME, VARIABLES, MessageSettings, parse_message_settings

PREFIX = "EDGEPACK_"


class TwinSettings(NamedTuple):
    """`report` says of each property whether it is applied: `{NAME: {"status", "value"} or {"status", "reason"}}`."""

    settings: MessageSettings
    report: dict[str, dict[str, str]]


def apply_desired(desired: Mapping[str, Any], given: Mapping[str, str]) -> TwinSettings:
    """The variables of the environment, `given`, with the desired properties on top. `given` is valid by itself."""
    overrides: dict[str, str] = {}
    report: dict[str, dict[str, str]] = {}
    for name, value in desired.items():
        if not name.startswith(PREFIX) or value is None:
            continue
        reason = _refusal(name, value, given)
        if reason:
            report[name] = {"status": "refused", "reason": reason}
        else:
            overrides[name] = _text(value)
            report[name] = {"status": "applied", "value": overrides[name]}
    return TwinSettings(parse_message_settings({**given, **overrides}, []), report)


def _refusal(name: str, value: object, given: Mapping[str, str]) -> str:
    if name not in RUN_TIME:
        can = ", ".join(sorted(RUN_TIME))
        known = "cannot change while the agent runs" if name in VARIABLES else "is not known here"
        return f"{name} {known}; these can: {can}"
    if not isinstance(value, str | int | float) or not _text(value).strip():
        return f"{name} is {type(value).__name__}: expected a text or a number"
    problems: list[str] = []
    parse_message_settings({**given, name: _text(value)}, problems)
    return "; ".join(problems)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
