"""Is an answer what was expected? Pure.

Structure, texts, booleans and whole numbers must be the same; where one of two numbers has a fraction, they may differ
by the tolerance, relative to the larger or absolute. A text that is itself a JSON document (scripts that return
`json.dumps(...)`) is compared as that document. NaN equals NaN.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

DEFAULT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two documents differ: its JSON pointer, and what stands there on both sides."""

    pointer: str
    expected: str
    found: str

    def sentence(self) -> str:
        """For people."""
        where = f"at {self.pointer}" if self.pointer else "as a whole"
        return f"the answer differs {where}: expected {self.expected}, found {self.found}"


def body_difference(expected: bytes, found: bytes, tolerance: float) -> Difference | None:
    """The first difference of two bodies; those that are no JSON, or nested too deeply, must be the same bytes."""
    try:
        return first_difference(json.loads(expected), json.loads(found), tolerance)
    except (ValueError, RecursionError):
        if expected.strip() == found.strip():
            return None
        return Difference("", _short(expected.decode(errors="replace")), _short(found.decode(errors="replace")))


def first_difference(expected: Any, found: Any, tolerance: float, pointer: str = "") -> Difference | None:
    """The first difference of two JSON values, in the order of the expected one; None if there is none."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            below = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in expected or key not in found:
                return Difference(below, _member(expected, key), _member(found, key))
            inner = first_difference(expected[key], found[key], tolerance, below)
            if inner is not None:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for number, (one, other) in enumerate(zip(expected, found, strict=False)):
            inner = first_difference(one, other, tolerance, f"{pointer}/{number}")
            if inner is not None:
                return inner
        if len(expected) != len(found):
            return Difference(pointer, f"a list of {len(expected)}", f"one of {len(found)}")
        return None
    if isinstance(expected, str) and isinstance(found, str) and expected != found:
        inside = _document(expected), _document(found)
        if None not in inside:
            return first_difference(*inside, tolerance, pointer)
    if _same(expected, found, tolerance):
        return None
    return Difference(pointer, _text(expected), _text(found))


def _same(one: Any, other: Any, tolerance: float) -> bool:
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2:
        return type(one) is type(other) and bool(one == other)
    if not any(isinstance(value, float) for value in numbers):
        return bool(one == other)
    if all(isinstance(value, float) and math.isnan(value) for value in numbers):
        return True
    try:
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # a whole number beyond all floats
        return bool(one == other)


def _document(text: str) -> Any:
    """The list or object that a text is, else None."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list | dict) else None


def _member(document: dict[str, Any], key: str) -> str:
    return _text(document[key]) if key in document else "nothing"


def _text(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
