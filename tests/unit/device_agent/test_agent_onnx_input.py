"""The built-in ONNX scorer's reading of requests: every type, every shape, every way to be wrong."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent import BadInput
from device_agent.array_input import ModelInput
from device_agent.onnx_script import parse_feeds

X = ModelInput("x", "float32", ("N", 2))
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _feed(value: Any, kind: str, *shape: int | str | None) -> Any:
    return parse_feeds(json.dumps({"v": value}), (ModelInput("v", kind, shape),))["v"]


def _problem(value: Any, kind: str, *shape: int | str | None) -> str:
    with pytest.raises(BadInput) as caught:
        _feed(value, kind, *shape)
    return str(caught.value)


@pytest.mark.parametrize("kind", FLOATS)
def test_numbers_become_floats(kind: str) -> None:
    array = _feed([[1, 2.5], [-3, 1e-3]], kind, "N", 2)
    assert array.dtype == kind
    np.testing.assert_allclose(array, [[1, 2.5], [-3, 1e-3]], rtol=1e-3)


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_keep_their_limits(kind: str) -> None:
    limits = np.iinfo(kind)
    array = _feed([limits.min, limits.max, 1.0], kind, None)
    assert array.dtype == kind
    assert array.tolist() == [limits.min, limits.max, 1]
    for outside in (limits.min - 1, limits.max + 1, 10**400, 1e300):
        assert "is outside the range" in _problem([outside], kind, None) or "bits" in _problem([outside], kind, None)
    assert "found 1.5" in _problem([1, 1.5], kind, None)


@pytest.mark.parametrize(("kind", "number"), [("float16", 70000), ("float32", 1e39), ("float64", 10**400)])
def test_numbers_too_large_for_a_float_are_refused(kind: str, number: float) -> None:
    assert f"too large for {kind}" in _problem([number], kind, None)


def test_booleans_and_strings() -> None:
    assert _feed([[True, False]], "bool", 1, 2).tolist() == [[True, False]]
    assert _feed(["a", "é", ""], "string", "N").tolist() == ["a", "é", ""]
    assert _feed("alone", "string").tolist() == "alone"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ([True], "float32", "expected numbers, found true or false"),
        ([1, None], "float32", "expected numbers, found null"),
        (["1"], "int64", "expected whole numbers, found strings"),
        ([{"a": 1}], "float64", "found objects"),
        ([1], "bool", "expected true or false, found whole numbers"),
        ([0.5], "string", "expected strings, found fractions"),
        (["\ud800"], "string", "half a surrogate pair"),
        ([[1], [2, 3]], "float32", "different lengths (1 and 2) at depth 1"),
        ([1, [2]], "float32", "lists beside whole numbers at depth 1"),
        ([None, [2]], "float32", "lists beside null"),
        (None, "float32", "found null"),
    ],
)
def test_wrong_values_are_described(value: Any, kind: str, text: str) -> None:
    problem = _problem(value, kind, None)
    assert text in problem
    assert f"The model expects: 'v' {kind} [any]." in problem


@pytest.mark.parametrize(
    ("value", "shape"),
    [([1], ("N", 2)), ([[1, 2, 3]], ("N", 2)), ([[1, 2]], (2, 2)), (5, (1,)), ([], ("N", 2)), ([[[1, 2]]], ("N", 2))],
)
def test_wrong_shapes_are_told_with_both_shapes(value: Any, shape: tuple[int | str, ...]) -> None:
    problem = _problem(value, "float32", *shape)
    assert f"expected 'v' float32 [{', '.join(map(str, shape))}], found shape {list(np.shape(value))}" in problem


def test_right_shapes() -> None:
    assert _feed([], "float32", "N").shape == (0,)
    assert _feed([[]], "float32", 1, None).shape == (1, 0)
    assert _feed([[[1]]], "int64", None, 1, "K").shape == (1, 1, 1)
    assert _feed([[1, 2]], "float32").shape == (1, 2)  # no declared shape


def test_one_input_may_come_bare() -> None:
    assert parse_feeds("[[1, 2]]", (X,))["x"].tolist() == [[1.0, 2.0]]
    with pytest.raises(BadInput, match="Expected a JSON object with the inputs' names, found lists"):
        parse_feeds("[[1, 2]]", (X, ModelInput("y", "int64", ("N",))))


def test_all_problems_come_at_once() -> None:
    inputs = (X, ModelInput("y", "int64", ("N",)), ModelInput("z", "bool", ("N",)), ModelInput("s", "string", ("N",)))
    text = json.dumps({"x": [[1, 2], [3, 4]], "y": [1.5], "s": ["a"], "q": 0})
    with pytest.raises(BadInput) as caught:
        parse_feeds(text, inputs)
    problem = str(caught.value)
    for part in (
        "Input 'z' is missing.",
        "Unknown input 'q'.",
        "Input 'y': expected whole numbers, found 1.5.",
        "Dimension N is 2 in 'x' and 1 in 's'.",
        "The model expects: 'x' float32 [N, 2]; 'y' int64 [N]; 'z' bool [N]; 's' string [N].",
    ):
        assert part in problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        '{"x": [[NaN, 1]]}',
        '{"x": [[Infinity, 1]]}',
        '{"x": [[1e999, 1]]}',
        "[" * 100_000,
        "nul",
        '"x"',
        "null",
        "{}",
        "1",
        f'{{"x": {"[" * 60}1{"]" * 60}}}',
        '{"x": [[1' + "0" * 5000 + ", 1]]}",
    ],
)
def test_whatever_is_not_the_input_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="The model expects: 'x' float32"):
        parse_feeds(text, (X,))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from("vwx"), part, max_size=3),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([*FLOATS, *INTEGERS, "bool", "string"]))
def test_any_json_gives_arrays_or_bad_input(value: Any, kind: str) -> None:
    try:
        feeds = parse_feeds(json.dumps(value), (ModelInput("v", kind, ("N", None)),))
    except BadInput:
        return
    assert feeds["v"].ndim == 2
