"""The forms of a request to the built-in model server, and what fits a signature."""

import json
import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent import BadInput
from device_agent.table_request import Column, Table, cell, fitted, read_request, table_of

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
    request = read_request(json.dumps(document))
    assert table_of(request, AB) == Table([[1.5, 2]], ("a", "b"))
    assert request.is_mlflow is is_mlflow


def table(text: str, signature: tuple[Column, ...] = AB) -> Table:
    return table_of(read_request(text), signature)


def test_without_a_signature_rows_are_as_they_come() -> None:
    assert table('{"data": [[1, "x"]], "method": "predict_proba"}', ()) == Table([[1, "x"]], None)


def test_what_is_asked_for_beside_the_rows() -> None:
    request = read_request('{"inputs": [1], "method": "predict_proba", "params": {"n": 1}}')
    assert (request.method, request.params) == ("predict_proba", {"n": 1})
    assert read_request("[1]", "predict_log_proba").method == "predict_log_proba"
    asked = read_request('{"data": [1], "method": "predict_log_proba"}', "predict_log_proba")
    assert asked.method == "predict_log_proba"


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["id", "b", "a"], "data": [["x", 2, 1.5]]}},
        {"dataframe_records": [{"b": 2, "id": "x", "a": 1.5}]},
        {"instances": [{"b": 2, "a": 1.5, "id": None}]},
        {"inputs": {"b": [2], "id": ["x"], "a": [1.5]}},
        {"data": [{"b": 2, "a": 1.5, "id": "x"}]},
    ],
)
def test_columns_beside_those_of_a_signature_are_left_out_or_refused(document: object) -> None:
    request = read_request(json.dumps(document))
    assert table_of(request, AB, takes_more=True) == Table([[1.5, 2]], ("a", "b"))
    with pytest.raises(BadInput, match=r"Unknown column 'id'\. The model expects"):
        table_of(request, AB)


def test_a_column_may_be_misspelt() -> None:
    request = read_request('{"dataframe_records": [{"a": 1, "B": 2}]}')
    with pytest.raises(BadInput, match=r"Unknown column 'B'\. Column 'b' is missing"):
        table_of(request, AB, takes_more=True)
    with pytest.raises(BadInput, match=r"Unknown column 'B'\. The model expects"):
        table_of(request, (AB[0], Column("b", "long", required=False)), takes_more=True)


def test_nan_is_a_missing_value() -> None:
    signature = (Column("a", "double"), Column("b", "long", required=False), Column("c", "string"))
    assert table('{"dataframe_records": [{"a": NaN, "b": NaN, "c": NaN}]}', signature).rows == [[None, None, None]]
    ((plain,),) = table('{"data": [[NaN]]}', ()).rows
    assert math.isnan(plain)


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        ("7", "double", 7.0),
        (" 7.5 ", "float", 7.5),
        ("7", "long", 7),
        (True, "double", 1.0),
        (False, "integer", 0),
        (1, "boolean", True),
        (0.0, "boolean", False),
        ("7", "string", "7"),
    ],
)
def test_values_that_say_the_same_in_another_type_are_taken(value: object, kind: str, fits: object) -> None:
    found = cell(value, kind)
    assert (found, type(found)) == (fits, type(fits))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2, "boolean"),
        ("true", "boolean"),
        ("7.5", "long"),
        (7.5, "long"),
        ("9" * 30, "long"),
        ("2147483648", "integer"),
        ("", "double"),
        ("nan", "double"),
        ("inf", "double"),
        ("1e39", "float"),
        (5, "string"),
        (1767323045, "datetime"),
        (5, "binary"),
    ],
)
def test_values_that_say_something_else_are_refused(value: object, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        cell(value, kind)


@pytest.mark.parametrize("form", ["data", "inputs", "instances"])
def test_values_of_the_only_column_are_rows(form: str) -> None:
    assert table(json.dumps({form: [1, 2.5]}), AB[:1]).rows == [[1], [2.5]]


def test_missing_values_and_columns() -> None:
    signature = (*AB, Column("c", "string", required=False))
    found = table('{"dataframe_records": [{"a": null, "b": 2}]}', signature)
    assert found == Table([[None, 2, None]], ("a", "b", "c"), ("c",))


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        ("2026-01-02T03:04:05", "datetime", datetime(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02T03:04:05+01:00", "datetime", datetime(2026, 1, 2, 2, 4, 5)),
        ("AAE=", "binary", b"\x00\x01"),
        (True, "boolean", True),
        ({"x": 1}, "object", {"x": 1}),
        (3, "double", 3.0),
        (3.0, "integer", 3),
        ([1], "any", [1]),
    ],
)
def test_values_as_their_types_have_them(value: object, kind: str, fits: object) -> None:
    assert fitted(value, kind) == fits


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("tomorrow", "datetime"),
        (5, "datetime"),
        ("%", "binary"),
        (1, "boolean"),
        (True, "long"),
        (2**31, "integer"),
        (float("inf"), "long"),
        (10**400, "long"),
        (10**400, "double"),
        ("1", "double"),
        ([], "object"),
    ],
)
def test_values_that_do_not_fit(value: object, kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        fitted(value, kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"data": [[-Infinity, 1]]}', "-Infinity is no JSON number"),
        ('{"data": [[1, NaN]]}', "column 'b': expected long, found NaN"),
        ('{"data": [["much", "2.5"]]}', "column 'a': expected double, found \"much\"."),
        ('{"data": [["1e400", "2.5"]]}', "column 'b': expected long, found \"2.5\""),
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
        ('{"data": [[1, 2]], "params": {"x": 1}}', "params stand beside dataframe_split"),
        ('{"dataframe_split": [[1, 2]]}', "must be an object"),
        ('{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', "named twice"),
        ('{"inputs": {"a": [1], "b": [1, 2]}}', "different lengths"),
    ],
)
def test_what_does_not_fit_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        table(text)
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
        found = table(json.dumps(value))
    except BadInput:
        return
    assert all((a is None or isinstance(a, float)) and isinstance(b, int) for a, b in found.rows)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1e300, "float"), (-3.5e38, "float"), ("1500-01-01", "datetime"), ("9999-12-31T00:00:00Z", "datetime")],
)
def test_what_the_arrays_type_cannot_hold_is_refused(value: object, kind: str) -> None:
    with pytest.raises(ValueError, match=r"too large for float|from 1678 to 2262"):
        fitted(value, kind)


def test_the_largest_float_is_taken() -> None:
    assert fitted(3.4028234663852886e38, "float") == 3.4028234663852886e38
    assert fitted(3.4028235e38, "float") == 3.4028235e38  # as it is usually printed


@pytest.mark.parametrize("inputs", [{}, {"a": []}])
def test_columns_without_rows_are_refused(inputs: object) -> None:
    with pytest.raises(BadInput, match="inputs has no rows"):
        table_of(read_request(json.dumps({"inputs": inputs})), ())
