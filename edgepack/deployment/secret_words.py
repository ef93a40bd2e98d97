"""Tells by their names and looks which values are secrets: what is warned of, and what is never shown. Pure."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

HIDDEN = "***"

_WORDS = (
    "passw pwd passphrase secret credential apikey accesskey accountkey privatekey primarykey secondarykey sharedkey "
    "symmetrickey masterkey signingkey encryptionkey connectionstring saskey sastoken authtoken accesstoken"
).split()
_NO_SECRETS = tuple("file path name url uri header id ttl length policy enabled type field column".split())
_WHOLE_NAMES = ("pass", "pw", "sas")
_NUMBERS = tuple("password passwd pwd passphrase secret".split())
_WEAK_WORDS = {"key", "token", "sas"}  # a secret only where the value looks like one, too
_NAMES = re.compile(r"(?i)pass|pw|secret|credential|key|connection|token|sas")  # that may be secrets
_MARKS = ("SharedAccessKey=", "SharedAccessSignature ", "AccountKey=", "://", "PRIVATE KEY-----", "sig=")
_MOST_CHARACTERS = 8192
_FOLDERS = "app data dev etc home iotedge keys media mnt opt proc root run secrets srv sys tmp usr var"
_NO_VALUE = re.compile(
    r"\$\{[^{}]*\}|\$[A-Z][A-Z0-9_]*|\{\{.*\}\}|\{[\w.]+\}|<[\w. -]+>|" + rf"/(?:{_FOLDERS.replace(' ', '|')})(?:/.*)?",
    re.DOTALL,
)
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_.~-]{16,}")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ASSIGNMENT = re.compile(r"(-{0,2}[A-Za-z_][\w.-]*)=(.+)", re.DOTALL)
_OPTION = re.compile(r"(?<!\S)(--?[A-Za-z][\w-]*)(=|[ \t]+)(?!-)([^\s=]\S*)")
_OPTION_ALONE = re.compile(r"--[A-Za-z][\w-]*|-[A-Za-z]")

_Way = tuple[Any, ...]
"""() at the top; else the way to what is around it, and the key or number there."""


class Secret(NamedTuple):
    """A secret: the keys and numbers that lead to the value, the name that gives it away, and what may be shown."""

    way: tuple[str | int, ...]
    name: str
    shown: str


def is_secret(name: str, value: object) -> bool:
    """Whether a value (of a variable or property of this name) is a secret that stands there in clear text."""
    if not _NAMES.search(name) and not (isinstance(value, str) and any(mark in value for mark in _MARKS)):
        return False
    folded = name.lower().replace("_", "").replace("-", "").replace(".", "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return folded.endswith(_NUMBERS)
    if not isinstance(value, str) or not value.strip() or _NO_VALUE.fullmatch(value):
        return False
    if any(mark in value for mark in _MARKS) and _looks_secret(value[:_MOST_CHARACTERS]):
        return True
    if value.lower() in ("true", "false") or folded.endswith(_NO_SECRETS):
        return False
    if any(word in folded for word in _WORDS) or folded in _WHOLE_NAMES or folded.endswith("token"):
        return True
    parts = {part.lower() for part in _PARTS.findall(name)}
    return bool(parts & _WEAK_WORDS) and _RANDOM.fullmatch(value[:_MOST_CHARACTERS]) is not None


def find_secrets(value: Any, name: str = "") -> Iterator[Secret]:
    """The secrets in a JSON value that has this name.

    Seen are members by their names, `NAME=VALUE`, options of commands (`--password x`, also as two items of an array),
    and pairs such as `{"name": "password", "value": "x"}`.
    """
    waiting: list[tuple[_Way, str, Any]] = [((), name, value)]
    while waiting:
        way, named, current = waiting.pop()
        if isinstance(current, dict):
            paired = next((str(current[key]) for key in current if key.lower() in ("name", "key")), "")
            for key, member in current.items():
                waiting.append(((way, key), paired if paired and key.lower() == "value" else key, member))
        elif isinstance(current, list):
            option = ""
            for number, item in enumerate(current):
                is_option = isinstance(item, str) and _OPTION_ALONE.fullmatch(item)
                waiting.append(((way, number), named if is_option else option or named, item))
                option = item.lstrip("-") if is_option else ""
        elif (found := _secret(named, current)) is not None:
            yield Secret(_steps(way), *found)


def _steps(way: _Way) -> tuple[str | int, ...]:
    steps = []
    while way:
        way, step = way
        steps.append(step)
    return tuple(reversed(steps))


def without_secrets(value: Any, name: str = "") -> Any:
    """The value with its secrets hidden."""
    found = list(find_secrets(value, name))
    if not found:
        return value
    from copy import deepcopy  # few values have secrets

    shown = [deepcopy(value)]
    for secret in found:
        place: Any = shown
        *steps, last = (0, *secret.way)
        for step in steps:
            place = place[step]
        place[last] = secret.shown
    return shown[0]


def _secret(name: str, value: Any) -> tuple[str, str] | None:
    """The name that gives a value away, and what may be shown of it; None: it is no secret."""
    if isinstance(value, str):
        assignment = _ASSIGNMENT.fullmatch(value) if "=" in value else None
        if assignment and is_secret(assignment[1].lstrip("-"), assignment[2]):
            return assignment[1].lstrip("-"), f"{assignment[1]}={HIDDEN}"
    if is_secret(name, value):
        return name, HIDDEN
    if not isinstance(value, str) or "-" not in value:
        return None
    given_away = ""

    def hidden(option: re.Match[str]) -> str:
        nonlocal given_away
        if not is_secret(option[1].lstrip("-"), option[3]):
            return option[0]
        given_away = given_away or option[1].lstrip("-")
        return f"{option[1]}{option[2]}{HIDDEN}"

    shown = _OPTION.sub(hidden, value)
    return (given_away, shown) if given_away else None


def _looks_secret(value: str) -> bool:
    """Keys in connection strings, signatures (also of an address), a password in an address, private keys."""
    return (
        re.search(
            r"[?&]sig=[A-Za-z0-9%+/=]{8,}|"
            r"(SharedAccess|Account)Key=[^;\s$<{.*]|SharedAccessSignature sr=[^ ]{0,1000}sig=|"
            r"[a-z][a-z0-9+.-]{0,20}://[^ /:@]{1,200}:[^ /@${}]{1,200}@|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----",
            value,
        )
        is not None
    )
