"""What a return value of `run()` becomes on the wire: strict JSON. Pure.

dict, list, tuple, int, float, str, bool: as `json.dumps` writes them; a string that is JSON already is quoted
again. None is `{}`. NaN and both infinities, at any depth, are null (`encode_result_literal` writes them as
JavaScript does, which is no JSON but what Azure ML's inference server answers). numpy scalars and arrays, dates and
times (ISO 8601) are written too, numpy without being imported here. Anything else raises NotSerialisable,
with its place and type.
"""

import json
import math
import sys
from datetime import date, time
from typing import Any

_encode_strict = json.JSONEncoder(allow_nan=False).encode
_encode_literal = json.JSONEncoder().encode


class NotSerialisable(TypeError):
    """A value of `run()` has no JSON form. The text says where in the result, and of which type."""


def encode_result(value: object) -> bytes:
    """The JSON text of `value`, ASCII only. Raises NotSerialisable."""
    if value is None:
        return b"{}"
    try:
        return _encode_strict(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _encode_plain(value, keep_nan=False)


def encode_result_literal(value: object) -> bytes:
    """Like `encode_result`, with NaN, Infinity and -Infinity for the floats that JSON does not have."""
    if value is None:
        return b"{}"
    try:
        return _encode_literal(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _encode_plain(value, keep_nan=True)


def plain_value(value: object, *, keep_nan: bool = False) -> Any:
    """`value` with every part replaced by what JSON knows. Raises NotSerialisable."""
    try:
        return _plain(value, "result", keep_nan)
    except RecursionError:
        raise NotSerialisable("result is nested too deeply, or contains itself") from None


def _encode_plain(value: object, *, keep_nan: bool) -> bytes:
    try:
        encode = _encode_literal if keep_nan else _encode_strict
        return encode(plain_value(value, keep_nan=keep_nan)).encode()
    except NotSerialisable:
        raise
    except RecursionError:
        raise NotSerialisable("result is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise NotSerialisable(f"result cannot be written as JSON: {error}") from None


def _plain(value: Any, place: str, keep_nan: bool) -> Any:
    """`place` is where `value` sits, for the error text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if keep_nan or math.isfinite(value) else None
    if isinstance(value, dict):
        return {_plain_key(key, place): _plain(part, f"{place}[{key!r}]", keep_nan) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, f"{place}[{index}]", keep_nan) for index, part in enumerate(value)]
    if isinstance(value, date | time):  # a datetime is a date; pandas' NaT claims to be one and differs from itself
        return value.isoformat() if value == value else None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _plain_numpy(numpy, value, place, keep_nan)
    raise NotSerialisable(f"{place} is of type {_type_name(value)}, which has no JSON form")


def _plain_key(key: Any, place: str) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(key, numpy.generic) and key.dtype.kind in "iufbU":
        key = key.item()
    if isinstance(key, float) and not math.isfinite(key):
        return _encode_literal(float(key))  # as json.dumps names it
    if key is None or isinstance(key, str | int | float):
        return key
    raise NotSerialisable(f"{place} has a key of type {_type_name(key)}; JSON keys are strings")


def _plain_numpy(numpy: Any, value: Any, place: str, keep_nan: bool) -> Any:
    """A numpy array or scalar as nested lists or a scalar. Kinds: M date-time, O objects, V records."""
    array = numpy.asarray(value)
    kind = array.dtype.kind
    if kind in "biuU":
        return value.tolist()
    if kind == "f":
        array = array.astype(numpy.float64) if array.dtype.itemsize > 8 else array
        if not numpy.ma.isMaskedArray(value) and (keep_nan or numpy.isfinite(array).all()):
            return array.tolist()
        return _plain(numpy.ma.asarray(value).astype(object).tolist(), place, keep_nan)
    if kind == "M":
        texts = numpy.where(numpy.isnat(array), None, numpy.datetime_as_string(array).astype(object))
        return texts.tolist()
    if kind in "OV":
        return _plain(array.tolist(), place, keep_nan)
    raise NotSerialisable(f"{place} is a numpy value of dtype {array.dtype}, which has no JSON form")


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
