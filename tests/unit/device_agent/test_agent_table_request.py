"""The forms of a request to the built-in model server, and what fits a signature."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent import BadInput
from device_agent.table_request import Column, parse_request

AB = (Column("a", "double"), Column("b", "long"))


@pytest.mark.parametrize(
    ("document", "is_mlflow"),
    [
        ({"data": [[1.5, 2]]}, False),
        ([[1.5, 2]], False),
        ({"data": [{"b": 2, "a": 1.5}]}, False),
        ({"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1.5]]}}, True),
        ({"dataframe_records": [{"b": 2, "a": 1.5}]}, True),
        ({"instances": [[1.5, 2]]}, True),
        ({"inputs": {"b": [2], "a": [1.5]}}, True),
        ({"inputs": [[1.5, 2.0]]}, True),
    ],
)
def test_every_form_gives_the_rows_in_the_order_of_the_signature(document: object, is_mlflow: bool) -> None:
    request = parse_request(json.dumps(document), AB)
    assert (request.rows, request.columns) == ([[1.5, 2]], ("a", "b"))
    assert request.is_mlflow is is_mlflow


def test_without_a_signature_rows_are_as_they_come() -> None:
    request = parse_request('{"data": [[1, "x"]], "method": "predict_proba"}', ())
    assert (request.rows, request.columns, request.method) == ([[1, "x"]], None, "predict_proba")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"data": [[NaN, 1]]}', "NaN is no JSON number"),
        ('{"rows": []}', "one of data, dataframe_split"),
        ('{"data": [[1, 2]], "inputs": [[1, 2]]}', "one of data"),
        ('{"data": []}', "has no rows"),
        ('{"data": [[1, 2], [1]]}', "row 1 has 1 values instead of 2"),
        ('{"data": [[1]]}', "A row has 1 values"),
        ('{"data": [[1, 2.5]]}', "column 'b': expected long, found 2.5"),
        ('{"data": [["x", null]]}', "column 'b': expected long, found null"),
        ('{"dataframe_records": [{"a": 1, "c": 2}]}', "Unknown column 'c'. Column 'b' is missing."),
        ('{"data": [[1, 9223372036854775808]]}', "expected long"),
        ('{"data": [[1, 2]], "method": "fit"}', "method must be one of predict, predict_proba"),
        ('{"data": [[1, 2]], "params": {"x": 1}}', "params are not taken"),
        ('{"dataframe_split": [[1, 2]]}', "must be an object"),
        ('{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', "named twice"),
        ('{"inputs": {"a": [1], "b": [1, 2]}}', "different lengths"),
    ],
)
def test_what_does_not_fit_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_request(text, AB)
    assert said in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "data", "inputs", "dataframe_split", "columns"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(_JSON)
def test_any_json_is_taken_or_refused_as_the_callers(value: object) -> None:
    try:
        request = parse_request(json.dumps(value), AB)
    except BadInput:
        return
    assert all(isinstance(a, float) and isinstance(b, int) for a, b in request.rows)
