"""Columns of Parquet -> plain values, and the types that are neither numbers nor categories.

Decimals are numbers; durations and times of day are numbers of seconds. So are dates and timestamps; but those of newer
data are others in any case, so their type is told, and the user decides.
"""

from typing import Any

import pyarrow as arrow
from pyarrow import types

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DAY_S = 86_400.0
_PLAIN = (
    types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_time,
    types.is_duration, types.is_string, types.is_large_string, types.is_string_view, types.is_nested,
)  # fmt: skip


def strange_type(kind: Any) -> str:
    """The name of a type whose values are not compared by themselves; empty for all others."""
    if types.is_dictionary(kind):
        return strange_type(kind.value_type)
    return "" if any(is_it(kind) for is_it in _PLAIN) else str(kind)


def plain_values(column: Any) -> list[Any]:
    """The values of an array, None for missing ones."""
    kind = column.type
    if types.is_dictionary(kind):
        return plain_values(column.dictionary_decode())
    if types.is_decimal(kind) or types.is_float16(kind):
        return list(column.cast(arrow.float64()).to_pylist())
    seconds = _seconds_of(kind)
    if not seconds:
        return list(column.to_pylist())
    whole = column.view(arrow.int32() if kind.bit_width == 32 else arrow.int64())
    return [None if value is None else value * seconds for value in whole.to_pylist()]


def _seconds_of(kind: Any) -> float:
    """How many seconds one is of the whole numbers that stand for a time; 0 for what is none."""
    if types.is_date32(kind):
        return _DAY_S
    if types.is_date64(kind):
        return _SECONDS["ms"]
    is_time = types.is_timestamp(kind) or types.is_time(kind) or types.is_duration(kind)
    return _SECONDS[kind.unit] if is_time else 0.0
