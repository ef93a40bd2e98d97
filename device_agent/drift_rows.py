"""The rows in the body of a request or an answer, by feature. Pure; the packager's `drift` reads captures with it.

    {"data": [[5.1, 3.5], [4.9, 3.0]]}                      two rows of the features "0" and "1"
    {"data": [{"a": 1, "b": "x"}, ...]}                     records
    {"data": {"a": 1, "b": "x"}}                            one record
    {"data": {"a": [1, 2], "b": ["x", "y"]}}                columns of equal length
    {"a": [[1], [2]], "x": [[5.1, 3.5], [4.9, 3.0]]}        tensors with a row each: "a", "x.0" and "x.1"
    {"input_data": {"columns": ["a", "b"], "data": [[...], ...]}}       as pandas splits a frame
    {"data": [5.1, 3.5]}                                    one row of a request; two rows of `value` in an answer
    [0, 2, 1], 0.7                                          answers: rows of the feature `value`

Without a `field`, the first of FIELDS that holds a list or an object counts (in an answer, PREDICTIONS before them,
whatever it holds), else the object itself: a row of a table may have a column of such a name. A list of values in a
row is taken apart where it is as long in all rows, and they come to at most MOST_APART; any other list or object has no
distribution, and counts as missing.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

PREDICTIONS = "predictions"
"""Where they are looked for first in an object that is an answer: what MLflow's servers answer."""
FIELDS = ("data", "input_data", "instances", "inputs", "dataframe_split", "dataframe_records")
"""Where rows are looked for in an object."""
MOST_APART = 64
VALUE = "value"
"""The feature of rows without names and without columns."""
Row = Mapping[str, Any]


def rows_of(document: object, field: str = "", *, is_request: bool = True, most: int | None = None) -> list[Row]:
    """The rows in a JSON document; none when it has none of the shapes above. Of many, the first `most`.

    `field` names the member that holds them; members within members are joined by dots.
    """
    found = document
    if field:
        for name in field.split("."):
            if not isinstance(found, dict) or name not in found:
                return []
            found = found[name]
    elif isinstance(found, dict):
        names = FIELDS if is_request else (PREDICTIONS, *FIELDS)
        if not _is_split(found):
            found = next((found[name] for name in names if name in found and _may_hold_rows(name, found[name])), found)
    return taken_apart(_rows(found, is_request, most))


def taken_apart(rows: list[Row]) -> list[Row]:
    """The rows, with the values of lists as values of their own: see the module."""
    if not rows or not any(isinstance(value, list) for value in rows[0].values()):
        return rows
    names = {}
    for name, value in rows[0].items():
        if isinstance(value, list) and 1 <= len(value) <= MOST_APART and all(map(_is_scalar, value)):
            parts = [name] if len(value) == 1 else [f"{name}.{place}" for place in range(len(value))]
            if len(value) == 1 or not any(part in rows[0] for part in parts):
                names[name] = parts
    for row in rows if names else ():
        for name in [name for name, parts in names.items() if not _is_list_of(row.get(name), len(parts))]:
            del names[name]
    if not 0 < sum(map(len, names.values())) <= MOST_APART:
        return rows
    return [_apart(row, names) for row in rows]


def _apart(row: Row, names: Mapping[str, Sequence[str]]) -> Row:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in names:
            found.update(zip(names[name], value, strict=True))
        else:
            found[name] = value
    return found


def _is_list_of(value: object, count: int) -> bool:
    return isinstance(value, list) and len(value) == count


def _may_hold_rows(name: str, value: object) -> bool:
    return name == PREDICTIONS or isinstance(value, list | dict)


def _rows(found: object, is_request: bool, most: int | None) -> list[Row]:
    if isinstance(found, dict):
        return _of_object(found, most)
    if isinstance(found, list):
        if found and all(_is_scalar(value) for value in found):
            return [_numbered(found)] if is_request else [{VALUE: value} for value in found[:most]]
        rows: list[Row] = []
        for value in found[:most]:
            if isinstance(value, dict):
                rows.append(value)
            elif isinstance(value, list):
                rows.append(_numbered(value))
        return rows
    return [] if found is None else [{VALUE: found}]


def _is_split(found: dict[str, Any]) -> bool:
    return isinstance(found.get("columns"), list) and isinstance(found.get("data"), list)


def _of_object(found: dict[str, Any], most: int | None) -> list[Row]:
    if _is_split(found):
        titles = [str(name) for name in found["columns"]]
        return [dict(zip(titles, row, strict=False)) for row in found["data"][:most] if isinstance(row, list)]
    columns = list(found.values())
    if columns and all(isinstance(column, list) for column in columns) and len({*map(len, columns)}) == 1:
        return [dict(zip(found, row, strict=True)) for row in islice(zip(*columns, strict=True), most)]
    return [found] if found else []


def _numbered(values: Sequence[Any]) -> Row:
    return {str(place): value for place, value in enumerate(values)}


def _is_scalar(value: object) -> bool:
    return not isinstance(value, list | dict)
