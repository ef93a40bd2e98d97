"""Requests of the built-in model server: rows of a table in the forms of Azure ML v1 and of MLflow. Pure.

Forms: `{"data": [[..], ..]}` and bare lists (v1); `{"dataframe_split": {"columns": .., "data": ..}}`,
`{"dataframe_records": [{..}, ..]}`, `{"instances": ..}` and `{"inputs": ..}` (MLflow). Beside each may stand `method`,
and beside those of MLflow `params`. A row is a list, or an object by column; where there is one column, its value will
do. NaN stands for a missing value, as null does; MLflow's own clients write it. All problems of a request are told at
once.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from device_agent.errors import BadInput

V1_FORMS = ("data",)
MLFLOW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
METHODS = ("predict", "predict_proba")
_MOST_PROBLEMS = 10
_TOO_LARGE_FLOAT = (2.0 - 2.0**-24) * 2.0**127  # from here on, rounding gives infinity
_FIRST_TIME, _LAST_TIME = datetime(1678, 1, 1), datetime(2262, 1, 1)
_WHOLE = {"integer": 32, "long": 64}
_NUMBERS = (*_WHOLE, "double", "float")


@dataclass(frozen=True)
class Column:
    """One column of a signature: MLflow's type (double, float, integer, long, boolean, string, ..)."""

    name: str
    kind: str
    required: bool = True


@dataclass(frozen=True)
class FormRequest:
    """A request of one of the forms: `value` is what stands under it, not looked into yet, as are `params`."""

    form: str
    value: Any
    method: str
    params: Any = None

    @property
    def is_mlflow(self) -> bool:
        """Asked in one of MLflow's forms, and so to be answered."""
        return self.form in MLFLOW_FORMS


@dataclass(frozen=True)
class Table:
    """Rows of equal length, and the names of their columns where the request or the signature has them.

    `left_out` are columns of the signature that the request does not have; their values are None.
    """

    rows: list[list[Any]]
    columns: tuple[str, ...] | None
    left_out: tuple[str, ...] = ()


def read_request(text: str, method: str = METHODS[0]) -> FormRequest:
    """Read a request; `method` is what is asked for where it does not say.

    Raises:
        BadInput: it is not one of the forms.
    """
    document = _parse_json(text)
    if isinstance(document, list):
        return FormRequest("data", document, method)
    known = (*V1_FORMS, *MLFLOW_FORMS)
    given = [name for name in known if isinstance(document, dict) and name in document]
    if len(given) != 1:
        raise BadInput(f"Expected a JSON object with one of {', '.join(known)}.")
    form = given[0]
    problems = [f"Unknown key {key!r}." for key in document if key not in (form, "method", "params")]
    if "params" in document and form in V1_FORMS:
        problems.append(f"params stand beside {', '.join(MLFLOW_FORMS)} only.")
    asked, methods = document.get("method", method), tuple(dict.fromkeys((*METHODS, method)))
    if asked not in methods:
        problems.append(f"method must be one of {', '.join(methods)}, not {json.dumps(asked)[:40]}.")
    if problems:
        raise BadInput(" ".join(problems))
    return FormRequest(form, document[form], asked, document.get("params"))


def table_of(request: FormRequest, signature: Sequence[Column], *, takes_more: bool = False) -> Table:
    """The rows of a request; with a signature, columns are put in its order and each value is checked against its type.

    `takes_more`: columns that the signature does not name are left out, not refused, where all that it names are there.

    Raises:
        BadInput: it is no table, or does not fit; what was expected is said.
    """
    value = request.value
    if len(signature) == 1 and request.form in ("data", "inputs", "instances") and isinstance(value, list):
        value = [each if isinstance(each, list | dict) else [each] for each in value]
    rows, columns = _table(request.form, value)
    if not signature:
        return Table(rows, columns)
    left_out = () if columns is None else tuple(each.name for each in signature if each.name not in columns)
    return Table(_in_order(rows, columns, signature, takes_more), tuple(column.name for column in signature), left_out)


def _parse_json(text: str) -> Any:
    def constant(name: str) -> float:
        if name != "NaN":
            raise ValueError(f"{name} is no JSON number")
        return math.nan

    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError:
        raise BadInput("The request is not JSON: nested too deeply.") from None
    except ValueError as error:
        raise BadInput(f"The request is not JSON: {error}.") from None


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
    if not any(lists.values()):
        raise BadInput("inputs has no rows.")
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


def _in_order(
    rows: list[list[Any]], columns: tuple[str, ...] | None, signature: Sequence[Column], takes_more: bool
) -> list[list[Any]]:
    listing = ", ".join(f"{column.name!r} {column.kind}" for column in signature)
    problems = []
    if columns is None:
        if len(rows[0]) != len(signature):
            raise BadInput(f"A row has {len(rows[0])} values. The model expects: {listing}.")
        columns = tuple(column.name for column in signature)
    known = {column.name for column in signature}
    missing = [f"Column {each.name!r} is missing." for each in signature if each.required and each.name not in columns]
    if not takes_more or not known.issubset(columns):  # what is not there may be misspelt
        problems += [f"Unknown column {name!r}." for name in columns if name not in known]
    problems += missing
    places = {name: place for place, name in enumerate(columns)}
    ordered = []
    for number, row in enumerate(rows):
        values = []
        for column in signature:
            value = row[places[column.name]] if column.name in places else None
            try:
                if _is_as_it_is(value, column.kind):
                    values.append(value)
                else:
                    values.append(None if _may_be_null(value, column) else cell(value, column.kind))
            except ValueError as error:
                values.append(None)
                if column.name in places:
                    problems.append(f"Row {number}, column {column.name!r}: {error}.")
        ordered.append(values)
    if problems:
        more = f" And {len(problems) - _MOST_PROBLEMS} more." if len(problems) > _MOST_PROBLEMS else ""
        raise BadInput(f"{' '.join(problems[:_MOST_PROBLEMS])}{more} The model expects: {listing}.")
    return ordered


def _is_as_it_is(value: Any, kind: str) -> bool:
    """Most values: those that `cell` would give back."""
    if kind == "any":
        return value is not None
    found = type(value)
    if found is float:
        return kind == "double" and math.isfinite(value)
    if found is int:
        return kind == "long" and -(2**63) <= value < 2**63
    return found is str and kind == "string"


def _may_be_null(value: Any, column: Column) -> bool:
    """A missing value: MLflow knows one in all columns but those of whole numbers."""
    is_missing = value is None or (isinstance(value, float) and math.isnan(value) and column.kind != "any")
    return is_missing and not (column.required and column.kind in _WHOLE)


def cell(value: Any, kind: str) -> Any:
    """The value of a table as a type of MLflow's has it. Raises ValueError.

    As `fitted`, but what says the same in another type is taken, as by MLflow: the text of a number for a number, true
    and false for 1 and 0, and the reverse.
    """
    is_flag = isinstance(value, bool)
    if kind == "boolean" and isinstance(value, int | float) and not is_flag and value in (0, 1):
        return bool(value)
    if kind not in _NUMBERS or not (is_flag or isinstance(value, str)):
        return fitted(value, kind)
    try:
        return fitted(int(value) if kind in _WHOLE else float(value), kind)
    except ValueError as error:
        raise ValueError(f"expected {kind}, found {shown(value)}") from error


def fitted(value: Any, kind: str) -> Any:
    """The value as a type of MLflow's has it; numbers are never truncated. Raises ValueError."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in _WHOLE:
        bits = _WHOLE[kind]
        if not number or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) or value != int(value):
            raise ValueError(f"expected {kind}, found {shown(value)}")
        return int(value)
    if kind in ("double", "float"):
        if not number or value != value:
            raise ValueError(f"expected {kind}, found {shown(value)}")
        try:
            figure = float(value)
        except OverflowError:
            figure = math.inf
        if not math.isfinite(figure) or (kind == "float" and abs(figure) >= _TOO_LARGE_FLOAT):
            raise ValueError(f"the number is too large for {kind}")
        return figure
    wanted = {"boolean": bool, "string": str, "datetime": str, "binary": str, "object": dict}.get(kind)
    if wanted is not None and not isinstance(value, wanted):
        raise ValueError(f"expected {kind}, found {shown(value)}")
    try:
        if kind == "datetime":
            moment = datetime.fromisoformat(value)
            moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
            if not _FIRST_TIME <= moment <= _LAST_TIME:
                raise ValueError("before or after what pandas knows, in nanoseconds")
            return moment
        return base64.b64decode(value, validate=True) if kind == "binary" else value
    except (ValueError, OverflowError):
        form = (
            f"a time as in ISO 8601, from {_FIRST_TIME.year} to {_LAST_TIME.year}" if kind == "datetime" else "base64"
        )
        raise ValueError(f"expected {kind}, which is {form}, found {shown(value)}") from None


def shown(value: Any) -> str:
    """A value in a message: the beginning of its JSON."""
    return json.dumps(value)[:40]
