"""Nested lists of JSON -> numpy arrays of a type and shape that a model declares. Pure but for numpy.

Numbers are never truncated, wrapped around or made infinite.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

JSON_NAMES = {
    type(None): "null",
    bool: "true or false",
    int: "whole numbers",
    float: "fractions",
    str: "strings",
    list: "lists",
    dict: "objects",
}
_HIGHEST_RANK = 32


@dataclass(frozen=True)
class ModelInput:
    """One input: `kind` is float32, int64, bool, string, ...; a dimension is a size, a symbol, or None for any.

    A model's only input may have no name ("").
    """

    name: str
    kind: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        name = f"{self.name!r} " if self.name else ""
        return f"{name}{self.kind} [{sizes}]" if self.shape else f"{name}{self.kind}"


class Unfit(ValueError):
    """A value does not fit its input; the text says why."""


def to_array(value: Any, spec: ModelInput, *, null_is_nan: bool = False) -> Any:
    """A numpy array of the input's type and an admissible shape; null may stand for NaN among floats. Raises Unfit."""
    shape, leaves = _flatten(value)
    array = typed_array(leaves, spec.kind, null_is_nan=null_is_nan).reshape(shape)
    if spec.shape:  # a model that declares no shape takes any
        fits = len(shape) == len(spec.shape) and all(
            not isinstance(wanted, int) or wanted == size for wanted, size in zip(spec.shape, shape, strict=True)
        )
        if not fits:
            raise Unfit(f"expected {spec}, found shape {list(shape)}")
    return array


def column_array(cells: list[Any], spec: ModelInput) -> Any:
    """A column of a table as an array: a cell is the input's values of one row, in any nesting. Raises Unfit."""
    leaves = _flatten(cells)[1]
    array = typed_array(leaves, spec.kind, null_is_nan=True)
    row = spec.shape[1:]
    sizes = [size for size in row if isinstance(size, int)]
    if not spec.shape or len(sizes) != len(row) or len(leaves) != len(cells) * int(np.prod(sizes)):
        raise Unfit(f"expected {spec}, found {len(cells)} rows of {len(leaves) // max(len(cells), 1)} values")
    return array.reshape((len(cells), *sizes))


def typed_array(leaves: list[Any], kind: str, *, null_is_nan: bool) -> Any:
    """A flat array of the type `kind`. Raises Unfit."""
    found = {type(leaf) for leaf in leaves}
    if kind == "bool":
        return _booleans(leaves, found)
    if kind == "string":
        return _strings(leaves, found)
    if kind.startswith("float"):
        return _floats(leaves, found - {type(None)} if null_is_nan else found, np.dtype(kind))
    return _integers(leaves, found, np.dtype(kind))


def _flatten(value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and leaves of nested lists, level by level: no recursion. Raises Unfit if ragged."""
    shape: list[int] = []
    level = [value]
    while level and list in (kinds := {type(part) for part in level}):
        if len(kinds) > 1:
            others = " and ".join(sorted(JSON_NAMES[kind] for kind in kinds - {list}))
            raise Unfit(f"lists beside {others} at depth {len(shape)}")
        lengths = {len(part) for part in level}
        if len(lengths) > 1:
            raise Unfit(f"lists of different lengths ({min(lengths)} and {max(lengths)}) at depth {len(shape)}")
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if len(shape) > _HIGHEST_RANK:
        raise Unfit(f"lists nested {len(shape)} deep")
    return tuple(shape), level


def _check_kinds(found: set[type], allowed: set[type], wanted: str) -> None:
    if wrong := sorted(JSON_NAMES[kind] for kind in found - allowed):
        raise Unfit(f"expected {wanted}, found {' and '.join(wrong)}")


def _booleans(leaves: list[Any], found: set[type]) -> Any:
    _check_kinds(found, {bool}, "true or false")
    return np.array(leaves, dtype=np.bool_)


def _strings(leaves: list[Any], found: set[type]) -> Any:
    _check_kinds(found, {str}, "strings")
    try:
        "".join(leaves).encode()
    except UnicodeEncodeError:
        raise Unfit("a string holds half a surrogate pair, which is no text") from None
    return np.array(leaves, dtype=object)


def _floats(leaves: list[Any], found: set[type], dtype: Any) -> Any:
    _check_kinds(found, {int, float}, "numbers")
    try:
        exact = np.array(leaves, dtype=np.float64)
    except OverflowError:
        raise Unfit(f"a number is too large for {dtype}") from None
    with np.errstate(over="ignore"):
        array = exact.astype(dtype)
    infinite = np.isinf(array)
    if infinite.any():
        raise Unfit(f"{exact[infinite][0]:g} is too large for {dtype}")
    return array


def _integers(leaves: list[Any], found: set[type], dtype: Any) -> Any:
    _check_kinds(found, {int, float}, "whole numbers")
    if float in found:
        for leaf in leaves:
            if isinstance(leaf, float) and not leaf.is_integer():
                raise Unfit(f"expected whole numbers, found {leaf!r}")
        leaves = [int(leaf) for leaf in leaves]
    limits = np.iinfo(dtype)
    for extreme in (min(leaves, default=0), max(leaves, default=0)):
        if not limits.min <= extreme <= limits.max:
            raise Unfit(f"{_short(extreme)} is outside the range of {dtype}, {limits.min} to {limits.max}")
    return np.array(leaves, dtype=dtype)


def _short(number: int) -> str:
    """A number of any size in few characters."""
    return str(number) if abs(number) < 10**40 else f"a number of {number.bit_length()} bits"
