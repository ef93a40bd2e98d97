"""The rows in the body of a request or an answer, by feature. Pure; the packager's `drift` reads captures with it.

    {"data": [[5.1, 3.5], [4.9, 3.0]]}                      two rows of the features "0" and "1"
    {"data": [{"a": 1, "b": "x"}, ...]}                     records
    {"data": {"a": 1, "b": "x"}}                            one record
    {"data": {"a": [1, 2], "b": ["x", "y"]}}                columns of equal length
    {"input_data": {"columns": ["a", "b"], "data": [[...], ...]}}       as pandas splits a frame
    {"data": [5.1, 3.5]}                                    one row of a request; two rows of `value` in an answer
    [0, 2, 1], 0.7                                          answers: rows of the feature `value`

Without a `field`, the first of FIELDS that an object has counts, else the object itself. A value that is a list or an
object has no distribution; it counts as missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

FIELDS = ("data", "input_data", "instances", "inputs", "dataframe_split", "dataframe_records")
"""Where rows are looked for in an object."""
VALUE = "value"
"""The feature of rows without names and without columns."""
Row = Mapping[str, Any]


def rows_of(document: object, field: str = "", *, is_request: bool = True) -> list[Row]:
    """The rows in a JSON document; none when it has none of the shapes above.

    `field` names the member that holds them; members within members are joined by dots.
    """
    found = document
    if field:
        for name in field.split("."):
            if not isinstance(found, dict) or name not in found:
                return []
            found = found[name]
    elif isinstance(found, dict):
        found = next((found[name] for name in FIELDS if name in found), found)
    return _rows(found, is_request)


def _rows(found: object, is_request: bool) -> list[Row]:
    if isinstance(found, dict):
        return _of_object(found)
    if isinstance(found, list):
        if found and all(_is_scalar(value) for value in found):
            return [_numbered(found)] if is_request else [{VALUE: value} for value in found]
        rows: list[Row] = []
        for value in found:
            if isinstance(value, dict):
                rows.append(value)
            elif isinstance(value, list):
                rows.append(_numbered(value))
        return rows
    return [] if found is None else [{VALUE: found}]


def _of_object(found: dict[str, Any]) -> list[Row]:
    names, data = found.get("columns"), found.get("data")
    if isinstance(names, list) and isinstance(data, list):
        titles = [str(name) for name in names]
        return [dict(zip(titles, row, strict=False)) for row in data if isinstance(row, list)]
    columns = list(found.values())
    if columns and all(isinstance(column, list) for column in columns) and len({*map(len, columns)}) == 1:
        return [dict(zip(found, row, strict=True)) for row in zip(*columns, strict=True)]
    return [found] if found else []


def _numbered(values: Sequence[Any]) -> Row:
    return {str(place): value for place, value in enumerate(values)}


def _is_scalar(value: object) -> bool:
    return not isinstance(value, list | dict)
