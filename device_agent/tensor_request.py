"""Requests to a model whose signature is by tensors: nested lists or tables -> numpy arrays. Pure but for numpy.

One input without a name is an array; inputs with names are arrays by name, in `inputs` each as a whole, in `instances`
row by row. In the forms of tables a column is an input, and a cell has its values of one row, in any nesting; where
there is one input, the columns together may be its rows. Null stands for NaN among floats. Inputs that the signature
does not name are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from device_agent.array_input import ModelInput, Unfit, column_array, to_array
from device_agent.errors import BadInput
from device_agent.table_request import FormRequest, table_of

_TABLES = ("dataframe_split", "dataframe_records")


def tensors_of(request: FormRequest, inputs: Sequence[ModelInput]) -> Any:
    """An array, or arrays by name.

    Raises:
        BadInput: what does not fit; all problems, and what the model expects.
    """
    named = bool(inputs[0].name)
    try:
        if request.form in _TABLES:
            arrays, problems = _of_table(request, inputs)
        else:
            arrays, problems = _of_lists(_by_name(request, inputs) if named else {"": request.value}, inputs)
    except BadInput as error:
        arrays, problems = {}, [str(error)]
    if problems:
        raise BadInput(f"{' '.join(problems)} The model expects: {'; '.join(map(str, inputs))}.")
    return arrays if named else arrays[""]


def _by_name(request: FormRequest, inputs: Sequence[ModelInput]) -> dict[str, Any]:
    value = request.value
    if isinstance(value, dict) and request.form != "instances":
        return value
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        names = list(dict.fromkeys(name for row in value for name in row))
        known = {spec.name for spec in inputs}
        uneven = [name for name in names if name in known and not all(name in row for row in value)]
        if uneven:
            raise BadInput(f"{request.form}: not every row has {', '.join(map(repr, uneven))}.")
        return {name: [row.get(name) for row in value] for name in names}
    if isinstance(value, list) and len(inputs) == 1:
        return {inputs[0].name: value}
    raise BadInput(f"{request.form} must have the inputs by name.")


def _of_lists(given: dict[str, Any], inputs: Sequence[ModelInput]) -> tuple[dict[str, Any], list[str]]:
    problems = _unknown("input", given, inputs)
    arrays = {}
    for spec in inputs:
        if spec.name not in given:
            problems.append(f"Input {spec.name!r} is missing.")
            continue
        try:
            arrays[spec.name] = _typed(to_array(given[spec.name], spec, null_is_nan=True), spec)
        except Unfit as error:
            problems.append(_told(spec, error))
    return arrays, problems


def _of_table(request: FormRequest, inputs: Sequence[ModelInput]) -> tuple[dict[str, Any], list[str]]:
    table = table_of(request, ())
    if not table.rows[0]:
        raise BadInput(f"{request.form}: the rows have no values.")
    if not inputs[0].name and len(table.rows[0]) > 1:
        return _of_lists({"": table.rows}, inputs)
    columns = dict(zip(table.columns or (), zip(*table.rows, strict=True), strict=False))
    cells = {"": [row[0] for row in table.rows]} if not inputs[0].name else {k: list(v) for k, v in columns.items()}
    problems = _unknown("column", cells, inputs)
    arrays = {}
    for spec in inputs:
        if spec.name not in cells:
            problems.append(f"Column {spec.name!r} is missing.")
            continue
        try:
            arrays[spec.name] = _typed(column_array(cells[spec.name], spec), spec)
        except Unfit as error:
            problems.append(_told(spec, error))
    return arrays, problems


def _unknown(what: str, given: Mapping[str, Any], inputs: Sequence[ModelInput]) -> list[str]:
    """The names that the signature does not have, where it has one that is not given: that one may be misspelt."""
    known = {spec.name for spec in inputs}
    return [] if known <= given.keys() else [f"Unknown {what} {name!r}." for name in given if name not in known]


def _told(spec: ModelInput, error: Unfit) -> str:
    return f"Input {spec.name!r}: {error}." if spec.name else f"{str(error)[:1].upper()}{str(error)[1:]}."


def _typed(array: Any, spec: ModelInput) -> Any:
    return array.astype(np.str_) if spec.kind == "string" else array
