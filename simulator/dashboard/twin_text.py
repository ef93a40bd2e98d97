"""What was typed as JSON -> values, and two versions of desired properties -> the patch between them. Pure.

Only what makes a text unusable is refused here, with line and column; the limits of a twin are the hub's affair.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from edgepack.errors import InputError


def parse_json(text: str) -> Any:
    """A JSON value as it was typed.

    Raises:
        InputError: it is none, or has a key twice, or a number that JSON does not know; with line and column.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InputError("line 1, column 1: a JSON value is needed, such as {}") from None
        raise InputError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None


def parse_desired(text: str) -> dict[str, Any]:
    """Desired properties as they were typed.

    Raises:
        InputError: they are no JSON object, or have keys that are the hub's own ($version, $metadata).
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise InputError("desired properties are an object: { ... }")
    InputError.raise_if_any(
        f"{key}: names with $ are the hub's own, leave it out" for key in value if key.startswith("$")
    )
    return value


def without_hub_keys(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Properties as a user sees them: without $version and $metadata."""
    return {key: value for key, value in properties.items() if not key.startswith("$")}


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that makes `new` out of `old`: what changed, and null for what is gone."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key in old and isinstance(value, Mapping) and isinstance(old[key], Mapping):
            inner = merge_patch(old[key], value)
            if inner:
                patch[key] = inner
        elif key not in old or not _equal(old[key], value):
            patch[key] = value
    return patch


def pretty_json(value: Any) -> str:
    """A JSON value on several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"the key {json.dumps(key, ensure_ascii=False)} is there twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise InputError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InputError(f"{text} is too large a number")
    return number
