"""What a return value of `run()` becomes on the wire: strict JSON. Pure.

dict, list, tuple, int, float, str, bool: as `json.dumps` writes them; a string that is JSON already is quoted
again. None is `{}`. NaN and both infinities, at any depth, are null. numpy scalars and arrays, dates and
times (ISO 8601) are written too, numpy without being imported here. Anything else raises NotSerialisable,
with its place and type.
"""

import json
import math
import sys
from datetime import date, time
from typing import Any

_encode_strict = json.JSONEncoder(allow_nan=False).encode


class NotSerialisable(TypeError):
    """A value of `run()` has no JSON form. The text says where in the result, and of which type."""


def encode_result(value: object) -> bytes:
    """The JSON text of `value`, ASCII only. Raises NotSerialisable."""
    if value is None:
        return b"{}"
    try:
        return _encode_strict(value).encode()
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return _encode_strict(_plain(value, "result")).encode()
    except RecursionError:
        raise NotSerialisable("result is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, NotSerialisable):
            raise
        raise NotSerialisable(f"result cannot be written as JSON: {error}") from None


def _plain(value: Any, place: str) -> Any:
    """`value` with every part replaced by what JSON knows. `place` is where it sits, for the error text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_plain_key(key, place): _plain(part, f"{place}[{key!r}]") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, f"{place}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, date | time):  # a datetime is a date; pandas' NaT claims to be one and differs from itself
        return value.isoformat() if value == value else None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _plain_numpy(numpy, value, place)
    raise NotSerialisable(f"{place} is of type {_type_name(value)}, which has no JSON form")


def _plain_key(key: Any, place: str) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(key, numpy.generic) and key.dtype.kind in "iufbU":
        key = key.item()
    if isinstance(key, float) and not math.isfinite(key):
        return str(key)
    if key is None or isinstance(key, str | int | float):
        return key
    raise NotSerialisable(f"{place} has a key of type {_type_name(key)}; JSON keys are strings")


def _plain_numpy(numpy: Any, value: Any, place: str) -> Any:
    """A numpy array or scalar as nested lists or a scalar. Kinds: M date-time, O objects, V records."""
    array = numpy.asarray(value)
    kind = array.dtype.kind
    if kind in "biuU":
        return value.tolist()
    if kind == "f":
        array = array.astype(numpy.float64) if array.dtype.itemsize > 8 else array
        finite = numpy.isfinite(array)
        if finite.all() and not numpy.ma.isMaskedArray(value):
            return array.tolist()
        return _plain(numpy.ma.asarray(value).astype(object).tolist(), place)
    if kind == "M":
        texts = numpy.where(numpy.isnat(array), None, numpy.datetime_as_string(array).astype(object))
        return texts.tolist()
    if kind in "OV":
        return _plain(array.tolist(), place)
    raise NotSerialisable(f"{place} is a numpy value of dtype {array.dtype}, which has no JSON form")


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
