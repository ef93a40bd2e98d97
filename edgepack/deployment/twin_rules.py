"""Rules for twins: what IoT Hub stores as desired properties, and how much of it.

Pure. The limits are those of IoT Hub's documentation: 32 KiB a twin, 4,096 bytes a text, 1,024 bytes a key,
10 levels, integers of 53 bits.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from edgepack.deployment.problem import (
    DESIRED,
    SYSTEM_TWINS,
    Manifest,
    Place,
    Problem,
    Rule,
    pointer_step,
    shown,
    utf8_bytes,
)
from edgepack.deployment.secret_words import find_secrets

MAX_TWIN_BYTES = 32 * 1024
MAX_TEXT_BYTES = 4096
MAX_KEY_BYTES = 1024
MAX_DEPTH = 10
MAX_INTEGER = 2**52 - 1
MIN_INTEGER = -(2**52)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_KEY_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f.$# ]")


def limits(manifest: Manifest) -> Iterator[Problem]:
    """Every value and key of every twin."""
    for _, twin in manifest.content.items():
        if isinstance(twin[DESIRED].value, dict):
            yield from _members(twin[DESIRED])


def secrets(manifest: Manifest) -> Iterator[Problem]:
    """Desired properties of modules whose names or values say that they are secrets."""
    for name, twin in manifest.content.items():
        desired = twin[DESIRED]
        for secret in () if name in SYSTEM_TWINS else find_secrets(desired.value):
            pointer = "".join(f"/{pointer_step(str(step))}" for step in secret.way)
            what = f"{shown(secret.name)} is a secret in clear text in a twin: give it to the device in another way"
            yield Place(desired.pointer + pointer, None).warning("plain-secret", what)


def sizes(manifest: Manifest) -> Iterator[Problem]:
    """The size of every twin, counted as IoT Hub does."""
    for name, twin in manifest.content.items():
        desired = twin[DESIRED]
        if isinstance(desired.value, dict) and (size := twin_bytes(desired.value)) > MAX_TWIN_BYTES:
            yield desired.error(
                "twin-size",
                f"the desired properties of {name} have {size} bytes, IoT Hub takes {MAX_TWIN_BYTES}",
            )


def twin_bytes(value: Any) -> int:
    """Size of a value in a twin: keys and texts as UTF-8 without control characters, numbers 8, booleans
    4.
    """
    total = 0
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            waiting += current
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current
        elif isinstance(current, str):
            plain = current.isascii() and current.isprintable()
            total += len(current if plain else _CONTROL.sub("", current).encode(errors="replace"))
        elif isinstance(current, bool):
            total += 4
        elif current is not None:
            total += 8
    return total


def _members(root: Place) -> Iterator[Problem]:
    waiting = [(root, 0)]
    while waiting:
        place, depth = waiting.pop()
        value = place.value
        if isinstance(value, dict):
            if depth >= MAX_DEPTH and value:
                yield place.error("twin-depth", f"is nested deeper than {MAX_DEPTH} levels: make it flatter")
                continue
            for key, member in place.items():
                yield from _key(key, member)
                waiting.append((member, depth + 1))
        elif isinstance(value, list):
            if depth >= MAX_DEPTH and value:
                yield place.error("twin-depth", f"is nested deeper than {MAX_DEPTH} levels: make it flatter")
                continue
            for number, item in enumerate(value):
                element = Place(f"{place.pointer}/{number}", item)
                if item is None:
                    yield element.error("twin-value", "an array in a twin must not hold null: leave it out")
                waiting.append((element, depth + 1))
        else:
            yield from _value(place)


def _key(key: str, member: Place) -> Iterator[Problem]:
    if _KEY_FORBIDDEN.search(key):
        what = f"the key {shown(key)} must not have '.', '$', '#', blanks or control characters"
        yield member.error("twin-key", what, on_key=True)
    if not key.isascii() and (what := _half_a_character(key)):
        yield member.error("twin-key", f"the key {what}", on_key=True)
    if utf8_bytes(key) > MAX_KEY_BYTES:
        yield member.error("twin-key", f"the key is longer than {MAX_KEY_BYTES} bytes", on_key=True)


def _half_a_character(text: str) -> str:
    match = _HALF.search(text)
    return f"has half a character (\\u{ord(match[0]):04x}), which IoT Hub refuses: write it whole" if match else ""


def _value(place: Place) -> Iterator[Problem]:
    value = place.value
    if isinstance(value, str) and not value.isascii() and (what := _half_a_character(value)):
        yield place.error("twin-value", what)
    if isinstance(value, str) and utf8_bytes(value) > MAX_TEXT_BYTES:
        yield place.error("twin-value", f"is longer than {MAX_TEXT_BYTES} bytes, the most that IoT Hub takes")
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        yield place.error("twin-value", f"must lie between {MIN_INTEGER} and {MAX_INTEGER}: write it as a text")
    elif isinstance(value, float) and not math.isfinite(value):
        yield place.error("twin-value", f"{value} is no JSON number")


RULES: tuple[Rule, ...] = (limits, sizes, secrets)
