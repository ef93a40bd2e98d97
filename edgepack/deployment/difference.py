"""What a deployment changes: what is there against what is to be, module by module, route by route. Pure.

createOptions are compared as edgeAgent does, after putting their pieces together and reading them; an environment by
its variables; twins property by property. What is a secret by its name or looks (`secret_words`) is never shown: only
that it changes.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from edgepack.deployment.content import Desired, without_nulls
from edgepack.deployment.create_options import join, parse
from edgepack.deployment.engine_keys import in_engine_spelling
from edgepack.deployment.secret_words import without_secrets
from edgepack.errors import InputError

Kind = Literal["added", "removed", "changed"]
_PIECE = re.compile(r"createoptions", re.IGNORECASE)
_NOTHING = object()
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_LINE = 100
_LONGEST = 300


class Change(NamedTuple):
    """`subject` is what changes (`module scorer`, `route up`), `path` which part of it, "" for the whole.

    `before` and `after` are JSON values without secrets, None where there is none.
    """

    kind: Kind
    subject: str
    path: str
    before: Any
    after: Any

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return self._asdict()


def differences(before: Desired, after: Desired) -> tuple[Change, ...]:
    """All changes from `before` ({}: nothing is there) to `after`, in the order in which people look for them."""
    found: list[Change] = []
    agents = before.get("$edgeAgent"), after.get("$edgeAgent")
    hubs = before.get("$edgeHub"), after.get("$edgeHub")
    found += _each("module", [_parts(agent, "modules") for agent in agents], _module)
    found += _each("system module", [_parts(agent, "systemModules") for agent in agents], _module)
    found += _each("route", [_parts(hub, "routes") for hub in hubs], _route)
    found += _settings("$edgeAgent", *agents, ("modules", "systemModules"))
    found += _settings("$edgeHub", *hubs, ("routes",))
    twins = [{name: twin for name, twin in side.items() if not name.startswith("$")} for side in (before, after)]
    found += _each("twin of", twins, without_nulls)
    return tuple(found)


def removed_modules(changes: Sequence[Change]) -> list[str]:
    """The modules that are gone afterwards."""
    return [change.subject.removeprefix("module ") for change in changes if _is_removal(change)]


def change_lines(changes: Sequence[Change]) -> list[str]:
    """The changes for people: `+` added, `-` removed, `~` changed."""
    lines: list[str] = []
    shown = ""
    for change in changes:
        if not change.path:
            value = change.after if change.kind == "added" else change.before
            lines.append(f"{_SIGNS[change.kind]} {change.subject}  {_headline(change.subject, value)}".rstrip())
            continue
        if change.subject != shown:
            lines.append(f"~ {change.subject}")
            shown = change.subject
        lines += _part_lines(change)
    return ["".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in line) for line in lines]


def _each(noun: str, sides: Sequence[Mapping[str, Any]], plain: Callable[[Any], Any]) -> Iterator[Change]:
    """Changes of things that have names; `plain` gives the form in which two of them are compared."""
    before, after = sides
    for name in dict.fromkeys((*after, *before)):
        subject = f"{noun} {name}"
        if name not in before:
            yield Change("added", subject, "", None, without_secrets(plain(after[name])))
        elif name not in after:
            yield Change("removed", subject, "", without_secrets(plain(before[name])), None)
        else:
            yield from _changes(subject, plain(before[name]), plain(after[name]))


def _settings(subject: str, before: Any, after: Any, apart: tuple[str, ...]) -> Iterator[Change]:
    """Changes of the rest of a system module's desired properties."""
    rests = [{key: value for key, value in _object(side).items() if key not in apart} for side in (before, after)]
    yield from _changes(subject, without_nulls(rests[0]), without_nulls(rests[1]))


def _changes(subject: str, before: Any, after: Any) -> Iterator[Change]:
    yield from _inside(subject, "", _Side(before, without_secrets(before)), _Side(after, without_secrets(after)))


class _Side(NamedTuple):
    """A value, and as it may be shown."""

    value: Any
    shown: Any

    def member(self, key: str) -> "_Side":
        return _Side(self.value[key], self.shown[key]) if key in self.value else _Side(_NOTHING, None)


def _inside(subject: str, path: str, before: _Side, after: _Side) -> Iterator[Change]:
    """Changes below a path, down to values that are no objects."""
    values = before.value, after.value
    if all(isinstance(value, dict) for value in values) and (not path or all(values)):
        for key in dict.fromkeys((*before.value, *after.value)):
            yield from _inside(subject, f"{path}.{key}" if path else key, before.member(key), after.member(key))
    elif not _equal(*values):
        kind: Kind = "added" if values[0] is _NOTHING else "removed" if values[1] is _NOTHING else "changed"
        yield Change(kind, subject, path or "value", before.shown, after.shown)


def _equal(before: Any, after: Any) -> bool:
    """As JSON: true is not 1."""
    return before is after or (
        _NOTHING not in (before, after) and json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    )


def _module(module: Any) -> Any:
    """A module with `image`, `createOptions` and variables as plain values."""
    if not isinstance(module, dict):
        return module
    settings = _object(module.get("settings"))
    plain = {key: value for key, value in module.items() if key not in ("settings", "env")}
    plain |= {key: value for key, value in settings.items() if not _PIECE.search(key)}
    plain["env"] = {
        name: variable.get("value") if isinstance(variable, dict) else variable
        for name, variable in _object(module.get("env")).items()
    }
    try:
        plain["createOptions"] = in_engine_spelling(parse(join(settings)))
    except InputError:
        plain["createOptions"] = "".join(str(value) for key, value in settings.items() if _PIECE.search(key))
    ordered = {key: plain[key] for key in ("image", "status", "version") if key in plain}
    return without_nulls(ordered | plain)


def _route(route: Any) -> Any:
    """A route as an object, also where it is only a text."""
    return without_nulls(route) if isinstance(route, dict) else {"route": route}


def _part_lines(change: Change) -> list[str]:
    before, after = _shown(change.before), _shown(change.after)
    if change.kind != "changed":
        return [f"    {_SIGNS[change.kind]} {change.path}  {after if change.kind == 'added' else before}"]
    line = f"    ~ {change.path}  {before} -> {after}"
    if before == after:
        return [f"{line} (another value)"]
    if len(line) <= _LINE:
        return [line]
    return [f"    ~ {change.path}", f"        - {before}", f"        + {after}"]


def _headline(subject: str, value: Any) -> str:
    """What matters of a thing as a whole."""
    members = _object(value)
    if subject.startswith(("module ", "system module ")):
        return str(members.get("image", ""))
    if subject.startswith("route "):
        return str(members.get("route", ""))
    return _shown(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_removal(change: Change) -> bool:
    return change.kind == "removed" and change.subject.startswith("module ") and not change.path


def _parts(agent_or_hub: Any, name: str) -> dict[str, Any]:
    return {key: value for key, value in _object(_object(agent_or_hub).get(name)).items() if value is not None}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
