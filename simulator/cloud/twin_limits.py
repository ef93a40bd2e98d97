"""What IoT Hub takes as tags, desired and reported properties: keys, values, depth, size. Pure.

Keys: at most 1,024 bytes, no control characters, no `.`, `$` or space. Values: texts of at most 4,096 bytes, integers
from -2^52 to 2^52-1, arrays without null, at most 10 levels of objects and arrays below the top. Numbers are those of
`edgepack.deployment.twin_rules`; that one looks at manifests, and warns of a little more.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgepack.deployment.twin_rules import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_KEY_BYTES,
    MAX_TEXT_BYTES,
    MIN_INTEGER,
    twin_bytes,
)
from simulator.cloud.hub_error import HubError

LARGEST_TAGS_BYTES = 8 * 1024
LARGEST_HALF_BYTES = 32 * 1024

_KEY_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TOLD = 5


class TwinError(HubError):
    """The hub does not take this change of a twin: 400, or 413 when only the size is wrong."""


def check_change(change: object, name: str) -> dict[str, Any]:
    """The change itself, when it is an object of keys and values that a twin can hold; a null stands for "delete".

    Raises:
        TwinError: 400, with the path (from `name` on) of each fault, at most five of them.
    """
    if not isinstance(change, dict):
        raise TwinError(400, f"{name} must be a JSON object, not {type(change).__name__}")
    faults: list[str] = []
    for fault in _faults(change, name):
        if len(faults) == _TOLD:
            faults.append("and more")
            break
        faults.append(fault)
    if faults:
        raise TwinError(400, "; ".join(faults))
    return change


def check_size(document: Mapping[str, Any], name: str, largest_bytes: int) -> None:
    """Raise TwinError 413 when the document is larger than that, counted as the hub counts."""
    size = twin_bytes(dict(document))
    if size > largest_bytes:
        raise TwinError(413, f"{name} would have {size} bytes, at most {largest_bytes} are allowed")


def _faults(change: dict[str, Any], name: str) -> Iterator[str]:
    waiting: list[tuple[str, object, int, bool]] = [(name, change, 0, False)]
    while waiting:
        path, value, depth, in_array = waiting.pop()
        if isinstance(value, dict | list) and depth > MAX_DEPTH:
            yield f"{path[:200]} is nested deeper than {MAX_DEPTH} levels"
        elif isinstance(value, dict):
            for key, member in value.items():
                yield from _key_faults(path, key)
                waiting.append((f"{path}.{key}", member, depth + 1, in_array))
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", item, depth + 1, True) for place, item in enumerate(value)]
        elif value is None:
            if in_array:
                yield f"{path} is null, which an array must not hold"
        else:
            yield from _value_faults(path, value)


def _key_faults(path: str, key: object) -> Iterator[str]:
    if not isinstance(key, str):
        yield f"{path} has a key that is no text"
    elif not key:
        yield f"{path} has an empty key"
    elif _KEY_FORBIDDEN.search(key) or _LONE_SURROGATE.search(key):
        yield f"{path} has the key {key[:80]!r}: '.', '$', blanks and control characters are not allowed"
    elif len(key.encode()) > MAX_KEY_BYTES:
        yield f"{path} has a key of more than {MAX_KEY_BYTES} bytes: {key[:40]!r}..."


def _value_faults(path: str, value: object) -> Iterator[str]:
    if isinstance(value, str):
        if _LONE_SURROGATE.search(value):
            yield f"{path} is no Unicode text: it holds half of a pair of surrogates"
        elif len(value.encode()) > MAX_TEXT_BYTES:
            yield f"{path} is longer than {MAX_TEXT_BYTES} bytes"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{path} is no JSON number"
    elif isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            yield f"{path} must lie between {MIN_INTEGER} and {MAX_INTEGER}"
    else:
        yield f"{path} is no JSON value"
