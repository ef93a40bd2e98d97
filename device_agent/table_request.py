"""Requests of the built-in model server: rows of a table in the forms of Azure ML v1 and of MLflow. Pure.

Forms: `{"data": [[..], ..]}` and bare lists (v1); `{"dataframe_split": {"columns": .., "data": ..}}`,
`{"dataframe_records": [{..}, ..]}`, `{"instances": ..}` and `{"inputs": ..}` (MLflow). Beside each may stand `method`.
A row is a list, or an object by column. All problems of a request are told at once.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from device_agent.errors import BadInput

V1_FORMS = ("data",)
MLFLOW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
METHODS = ("predict", "predict_proba")
_MOST_PROBLEMS = 10
_WHOLE = {"integer": 32, "long": 64}


@dataclass(frozen=True)
class Column:
    """One column of a signature: MLflow's type (double, float, integer, long, boolean, string, ..)."""

    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class TableRequest:
    """Rows of equal length, and the names of their columns where the request or the signature has them.

    `is_mlflow`: asked in one of MLflow's forms, and so to be answered.
    """

    rows: list[list[Any]]
    columns: tuple[str, ...] | None
    method: str
    is_mlflow: bool


def parse_request(text: str, signature: Sequence[Column]) -> TableRequest:
    """Read a request; with a signature, columns are put in its order and each value is checked against its type.

    Raises:
        BadInput: the request is not one of the forms, or does not fit; what was expected is said.
    """
    form, value, method = _form_of(_parse_json(text))
    rows, columns = _table(form, value)
    if signature:
        rows, columns = _in_order(rows, columns, signature), tuple(column.name for column in signature)
    return TableRequest(rows, columns, method, form in MLFLOW_FORMS)


def _parse_json(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise BadInput("The request is not JSON: nested too deeply.") from None
    except ValueError as error:
        raise BadInput(f"The request is not JSON: {error}.") from None


def _form_of(document: Any) -> tuple[str, Any, str]:
    if isinstance(document, list):
        return "data", document, METHODS[0]
    known = (*V1_FORMS, *MLFLOW_FORMS)
    given = [name for name in known if isinstance(document, dict) and name in document]
    if len(given) != 1:
        raise BadInput(f"Expected a JSON object with one of {', '.join(known)}.")
    problems = [f"Unknown key {key!r}." for key in document if key not in (given[0], "method", "params")]
    if document.get("params"):
        problems.append("params are not taken.")
    method = document.get("method", METHODS[0])
    if method not in METHODS:
        problems.append(f"method must be one of {', '.join(METHODS)}, not {method!r}.")
    if problems:
        raise BadInput(" ".join(problems))
    return given[0], document[given[0]], method


def _table(form: str, value: Any) -> tuple[list[list[Any]], tuple[str, ...] | None]:
    if form == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise BadInput('dataframe_split must be an object: {"columns": [..], "data": [[..], ..]}.')
        columns = value.get("columns")
        if columns is not None and not (isinstance(columns, list) and all(isinstance(each, str) for each in columns)):
            raise BadInput("dataframe_split: columns must be a list of names.")
        if columns is not None and len(set(columns)) != len(columns):
            raise BadInput("dataframe_split: a column is named twice.")
        return _rows(value["data"], form, tuple(columns) if columns is not None else None)
    if form == "inputs" and isinstance(value, dict):
        return _by_column(value)
    if not isinstance(value, list):
        raise BadInput(f"{form} must be a list of rows.")
    return _rows(value, form, None)


def _by_column(value: Mapping[str, Any]) -> tuple[list[list[Any]], tuple[str, ...]]:
    """`{"a": [1, 2], "b": [3, 4]}`; a single value is a column of one row."""
    lists = {name: each if isinstance(each, list) else [each] for name, each in value.items()}
    if len({len(each) for each in lists.values()}) > 1:
        raise BadInput("inputs: the columns have different lengths.")
    return [list(row) for row in zip(*lists.values(), strict=True)], tuple(lists)


def _rows(
    value: list[Any], form: str, columns: tuple[str, ...] | None
) -> tuple[list[list[Any]], tuple[str, ...] | None]:
    if not value:
        raise BadInput(f"{form} has no rows.")
    if all(isinstance(row, dict) for row in value):
        names = columns or tuple(dict.fromkeys(name for row in value for name in row))
        return [[row.get(name) for name in names] for row in value], names
    if not all(isinstance(row, list) for row in value):
        raise BadInput(f"{form} must be a list of rows, each a list of values or an object by column.")
    width = len(columns) if columns is not None else len(value[0])
    for number, row in enumerate(value):
        if len(row) != width:
            raise BadInput(f"{form}: row {number} has {len(row)} values instead of {width}.")
    return value, columns


def _in_order(rows: list[list[Any]], columns: tuple[str, ...] | None, signature: Sequence[Column]) -> list[list[Any]]:
    listing = ", ".join(f"{column.name!r} {column.kind}" for column in signature)
    problems = []
    if columns is None:
        if len(rows[0]) != len(signature):
            raise BadInput(f"A row has {len(rows[0])} values. The model expects: {listing}.")
        columns = tuple(column.name for column in signature)
    known = {column.name for column in signature}
    problems += [f"Unknown column {name!r}." for name in columns if name not in known]
    problems += [
        f"Column {each.name!r} is missing." for each in signature if each.required and each.name not in columns
    ]
    places = {name: place for place, name in enumerate(columns)}
    ordered = []
    for number, row in enumerate(rows):
        values = []
        for column in signature:
            value = row[places[column.name]] if column.name in places else None
            try:
                values.append(_fitted(value, column))
            except ValueError as error:
                values.append(None)
                if column.name in places:
                    problems.append(f"Row {number}, column {column.name!r}: {error}.")
        ordered.append(values)
    if problems:
        more = f" And {len(problems) - _MOST_PROBLEMS} more." if len(problems) > _MOST_PROBLEMS else ""
        raise BadInput(f"{' '.join(problems[:_MOST_PROBLEMS])}{more} The model expects: {listing}.")
    return ordered


def _fitted(value: Any, column: Column) -> Any:
    """The value as its column's type has it; numbers are never truncated."""
    if value is None:
        if column.required:
            raise ValueError(f"expected {column.kind}, found null")
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if column.kind in _WHOLE:
        bits = _WHOLE[column.kind]
        if not number or value != int(value) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise ValueError(f"expected {column.kind}, found {json.dumps(value)[:40]}")
        return int(value)
    if column.kind in ("double", "float"):
        if not number:
            raise ValueError(f"expected {column.kind}, found {json.dumps(value)[:40]}")
        try:
            figure = float(value)
        except OverflowError:
            figure = math.inf
        if not math.isfinite(figure):
            raise ValueError(f"the number is too large for {column.kind}")
        return figure
    kind = {"boolean": bool, "string": str}.get(column.kind)
    if kind is not None and not isinstance(value, kind):
        raise ValueError(f"expected {column.kind}, found {json.dumps(value)[:40]}")
    return value
