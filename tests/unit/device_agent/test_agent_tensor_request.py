"""Requests to models whose signature is by tensors."""

import json
from typing import Any

import numpy as np
import pytest

from device_agent import BadInput
from device_agent.array_input import ModelInput
from device_agent.table_request import read_request
from device_agent.tensor_request import tensors_of

PLANE = (ModelInput("", "float32", (None, 2)),)
CUBE = (ModelInput("", "float64", (None, 2, 3)),)
LINE = (ModelInput("", "int64", (None,)),)
NAMED = (ModelInput("a", "float64", (None, 2)), ModelInput("b", "int64", (None,)))


def tensors(document: object, inputs: tuple[ModelInput, ...]) -> Any:
    return tensors_of(read_request(json.dumps(document)), inputs)


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [[1, 2], [3, 4.5]]},
        {"instances": [[1, 2], [3, 4.5]]},
        {"data": [[1, 2], [3, 4.5]]},
        {"dataframe_split": {"columns": ["x", "y"], "data": [[1, 2], [3, 4.5]]}},
        {"dataframe_records": [{"x": 1, "y": 2}, {"x": 3, "y": 4.5}]},
        {"dataframe_split": {"columns": ["x"], "data": [[[1, 2]], [[3, 4.5]]]}},
    ],
)
def test_an_input_without_a_name(document: object) -> None:
    found = tensors(document, PLANE)
    assert (found.dtype, found.tolist()) == (np.dtype("float32"), [[1, 2], [3, 4.5]])


def test_cells_of_one_column_are_reshaped() -> None:
    flat = {"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3, 4, 5, 6]]]}}
    assert tensors(flat, CUBE).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert tensors({"dataframe_split": {"data": [[1], [2]]}}, LINE).tolist() == [1, 2]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": {"a": [[1, 2], [3, 4.5]], "b": [5, 6]}},
        {"data": {"a": [[1, 2], [3, 4.5]], "b": [5, 6]}},
        {"instances": [{"a": [1, 2], "b": 5}, {"b": 6, "a": [3, 4.5]}]},
        {"dataframe_records": [{"a": [1, 2], "b": 5}, {"b": 6, "a": [3, 4.5]}]},
    ],
)
def test_inputs_with_names(document: object) -> None:
    found = tensors(document, NAMED)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [[1, 2], [3, 4.5]], "b": [5, 6]}
    assert found["b"].dtype == np.dtype("int64")


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": {"a": [[1, 2]], "b": [5], "c": "x"}},
        {"instances": [{"a": [1, 2], "b": 5, "c": "x"}]},
        {"dataframe_records": [{"a": [1, 2], "b": 5, "c": "x"}]},
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[[1, 2], 5, 7]]}},
    ],
)
def test_inputs_beside_those_of_the_signature_are_left_out(document: object) -> None:
    found = tensors(document, NAMED)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [[1, 2]], "b": [5]}


def test_rows_may_differ_in_what_is_left_out() -> None:
    found = tensors({"instances": [{"a": [1, 2], "b": 5, "c": 1}, {"a": [3, 4], "b": 6}]}, NAMED)
    assert found["a"].tolist() == [[1, 2], [3, 4]]


def test_the_only_named_input_needs_no_name() -> None:
    assert tensors({"inputs": [[1, 2]]}, NAMED[:1])["a"].tolist() == [[1, 2]]


def test_nan_is_a_missing_number_among_floats_only() -> None:
    request = read_request('{"inputs": [[NaN, 1]]}')
    assert np.isnan(tensors_of(request, PLANE)).tolist() == [[True, False]]
    with pytest.raises(BadInput, match="expected whole numbers, found nan"):
        tensors_of(read_request('{"inputs": {"a": [[1, 2]], "b": [NaN]}}'), NAMED)


def test_null_is_a_missing_number_and_strings_are_of_numpy() -> None:
    assert np.isnan(tensors({"inputs": [[None, 1]]}, PLANE)).tolist() == [[True, False]]
    assert tensors({"inputs": ["x", "yy"]}, (ModelInput("", "string", (None,)),)).dtype.kind == "U"


@pytest.mark.parametrize(
    ("document", "inputs", "said"),
    [
        ({"inputs": [[1, 2, 3]]}, PLANE, "Expected float32 [any, 2], found shape [1, 3]. The model expects: float32"),
        ({"inputs": {"a": [1]}}, PLANE, "found objects"),
        ({"inputs": [[1, "x"]]}, PLANE, "found strings"),
        ({"inputs": [[1e39, 1]]}, PLANE, "1e+39 is too large for float32"),
        ({"inputs": [1.5]}, LINE, "Expected whole numbers, found 1.5"),
        ({"inputs": [None]}, LINE, "found null"),
        ({"inputs": {"a": [[1]], "c": 1}}, NAMED, "Unknown input 'c'. Input 'a': expected"),
        ({"inputs": {"a": [[1, 2]], "c": 1}}, NAMED, "Input 'b' is missing."),
        ({"inputs": [[1, 2]]}, NAMED, "inputs must have the inputs by name"),
        ({"instances": [{"a": [1, 2], "b": 1}, {"b": 1}]}, NAMED, "not every row has 'a'"),
        ({"dataframe_records": [{"a": [1, 2, 3], "c": 1}]}, NAMED, "Unknown column 'c'. Input 'a': expected"),
        ({"dataframe_records": [{"a": [1, 2]}]}, NAMED, "Column 'b' is missing"),
        ({"dataframe_split": [1]}, NAMED, "must be an object"),
        ({"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3]]]}}, CUBE, "found 1 rows of 3 values"),
    ],
)
def test_what_does_not_fit_is_said(document: object, inputs: tuple[ModelInput, ...], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        tensors(document, inputs)
    assert said in str(caught.value)
    assert str(caught.value).endswith(f"The model expects: {'; '.join(map(str, inputs))}.")


@pytest.mark.parametrize("document", [{"dataframe_split": {"data": [[]]}}, {"dataframe_records": [{}]}])
def test_rows_without_values_are_refused(document: object) -> None:
    with pytest.raises(BadInput, match="the rows have no values"):
        tensors(document, PLANE)
