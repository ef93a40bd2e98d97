"""A module's createOptions: Docker's container-create body, merged, and cut into the pieces a twin carries.

Pure. The text is minified JSON in `createOptions`, `createOptions01` ... `createOptions99`, as IoT Edge's
agent reads and its tools write it.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from edgepack.errors import InputError

PIECE_CHARACTERS = 512
MAX_PIECES = 100

_KEY = re.compile(r"createoptions([0-9]*)", re.IGNORECASE | re.ASCII)


class OptionsError(InputError):
    """createOptions that cannot be read. `column` is the place in the joined text, from 1, where there is one;
    `key` that of the piece to blame.
    """

    def __init__(self, *problems: str, column: int | None = None, key: str | None = None) -> None:
        super().__init__(*problems)
        self.column = column
        self.key = key


class OptionsReading(NamedTuple):
    """What createOptions say, how they are more than JSON (in words, `strict_json`), and whether a key stands twice."""

    options: dict[str, Any]
    oddities: tuple[str, ...] = ()
    has_twice: bool = False


def merge(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` laid over `defaults`, object by object; null removes a key, other values and arrays replace.

    The arrays `Binds` and `Mounts` are joined: a given one replaces the default one with the same place in
    the container, and the others stay, so that adding a mount does not lose the ones that are there.
    """
    merged = dict(defaults)
    for key, value in given.items():
        before = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = merge(before if isinstance(before, Mapping) else {}, value)
        elif key in ("Binds", "Mounts") and isinstance(value, list) and isinstance(before, list):
            replaced = {_mounted_at(mount) for mount in value}
            merged[key] = [mount for mount in before if _mounted_at(mount) not in replaced] + value
        else:
            merged[key] = value
    return merged


def minified(options: Mapping[str, Any]) -> str:
    """Compact ASCII JSON with sorted keys: the same options always give the same text."""
    return json.dumps(options, separators=(",", ":"), sort_keys=True, allow_nan=False)


def chunk(text: str, piece_characters: int = PIECE_CHARACTERS) -> dict[str, str]:
    """Cut `text` into pieces of `piece_characters`, by their keys in order; at least one piece.

    Raises:
        InputError: more than 100 pieces; the agent would silently ignore the rest.
    """
    if piece_characters < 1:
        raise InputError(f"a piece of createOptions needs at least 1 character, not {piece_characters}")
    starts = range(0, len(text) or 1, piece_characters)
    if len(starts) > MAX_PIECES:
        raise InputError(
            f"createOptions has {len(text)} characters, and {MAX_PIECES} pieces of {piece_characters} is all "
            "that the agent reads: shorten them"
        )
    return {
        f"createOptions{number:02d}" if number else "createOptions": text[start : start + piece_characters]
        for number, start in enumerate(starts)
    }


def join(settings: Mapping[str, Any]) -> str:
    """Put the pieces in a module's `settings` together as the agent does; empty text when there are none.

    A key counts when it contains `createoptions` in any case; keys are read in the order of text, and their
    numbers must run 1, 2, 3 without a gap. Pieces after the 100th are ignored, an object counts as its text, null as
    an empty one.

    Raises:
        OptionsError: a gap, no first piece, or a piece of another kind; all that can be told at once.
    """
    found = _numbered(settings)
    problems, blamed = [], None
    for expected, (_, number, key) in enumerate(found):
        if not isinstance(settings[key], str | dict | None):
            blamed = blamed or key
            problems.append(f"{key} must be a text that holds JSON, not {_kind(settings[key])}")
        if expected == 0 and number:
            problems.append(
                f'Error while parsing chunked field "createOptions", expected empty field number but found "{number}"'
            )
            blamed = blamed or key
            break
        if expected and number.lstrip("0") != str(expected):
            problems.append(
                'Error while parsing chunked field "createOptions", '
                f"expected createOptions{expected:02d} found createOptions{number}"
            )
            blamed = blamed or key
            break
    if problems:
        raise OptionsError(*problems, key=blamed)
    return "".join(_piece(settings[key]) for _, _, key in found)


def _piece(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value)
    except RecursionError as error:
        raise OptionsError("createOptions are nested too deep to be read: make them flatter") from error


def join_keys(settings: Mapping[str, Any]) -> list[str]:
    """The keys of the pieces in the order in which they are joined."""
    return [key for _, _, key in _numbered(settings)]


def _numbered(settings: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Of each piece the key in lower case, its number as written, and the key as written."""
    matches = ((key, _KEY.search(key)) for key in settings)
    found = sorted(((key.lower(), match[1], key) for key, match in matches if match), key=lambda each: each[:2])
    return found[:MAX_PIECES]


def parse(text: str) -> dict[str, Any]:
    """Read joined createOptions as the agent does; blank text and `null` are no options.

    Raises:
        OptionsError: the agent cannot read the text, or it is no object.
    """
    return _read(text).options


@lru_cache(maxsize=64)  # several rules look at the same ones
def read_options(text: str) -> OptionsReading:
    """As `parse`, with what is odd in the text. Not to be changed: it is kept for the next who asks.

    Raises:
        OptionsError: as `parse`.
    """
    return _read(text)


def _read(text: str) -> OptionsReading:
    if not text.strip() or text.lower() == "null":
        return OptionsReading({})
    try:
        return _read_json(text)
    except json.JSONDecodeError:
        from edgepack.deployment.loose_json import strict_json  # few createOptions are no JSON
    strict, origins, oddities = strict_json(text)
    try:
        return _read_json(strict)._replace(oddities=oddities)
    except json.JSONDecodeError as error:
        column = origins[error.pos] + 1
        raise OptionsError(f"createOptions is not JSON: {_reason(error)}, column {column}", column=column) from error


def _read_json(text: str) -> OptionsReading:
    has_twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_twice
        found = dict(pairs)
        has_twice = has_twice or len(found) != len(pairs)
        return found

    try:
        options = json.loads(text, object_pairs_hook=members)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise OptionsError(f"createOptions is not JSON: {error}") from error
    if not isinstance(options, dict | None):
        raise OptionsError(f"createOptions must be a JSON object, not {_kind(options)}")
    return OptionsReading(options or {}, has_twice=has_twice)


def _reason(error: json.JSONDecodeError) -> str:
    return "it begins with a byte order mark (U+FEFF)" if error.doc.startswith("\ufeff") else error.msg


def _mounted_at(mount: Any) -> str:
    """The place in the container of one of `Binds` ("SOURCE:PLACE[:MODE]") or `Mounts`."""
    if isinstance(mount, Mapping):
        return str(mount.get("Target"))
    parts = str(mount).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    kinds = {dict: "an object", list: "an array", str: "a text", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
