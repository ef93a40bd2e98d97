"""When an answer is what was expected."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.trial.answers import body_difference, first_difference

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
TOLERANCES = st.floats(0, 1)


def same(one: Any, other: Any, tolerance: float = 1e-3) -> bool:
    """Whether two values have no difference."""
    return first_difference(one, other, tolerance) is None


@given(VALUES, VALUES, TOLERANCES)
def test_sameness_is_symmetric(one: Any, other: Any, tolerance: float) -> None:
    assert same(one, other, tolerance) == same(other, one, tolerance)


@given(VALUES, TOLERANCES)
def test_everything_is_the_same_as_itself(value: Any, tolerance: float) -> None:
    assert same(value, json.loads(json.dumps(value)), tolerance)
    assert body_difference(json.dumps(value).encode(), json.dumps(value, indent=1).encode(), tolerance) is None


@given(VALUES, VALUES, TOLERANCES)
def test_a_larger_tolerance_accepts_no_less(one: Any, other: Any, tolerance: float) -> None:
    if same(one, other, tolerance):
        assert same(one, other, tolerance * 2)


@given(VALUES, VALUES)
def test_the_pointer_leads_to_the_difference(one: Any, other: Any) -> None:
    found = first_difference(one, other, 1e-3)
    if found is None:
        return
    value = one
    for part in found.pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part not in value:
            assert found.expected == "nothing"
            return
        if isinstance(value, str):
            value = json.loads(value)
        value = value[int(part)] if isinstance(value, list) else value[part]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1.0009),
        (1000.0, 1000.9),
        (1, 1.0005),
        (0.0, 0.0009),
        ("[0.5, 1]", "[0.5001,1]"),
        (float("nan"), float("nan")),
        (10**400, 10**400),
    ],
)
def test_what_is_the_same(one: Any, other: Any) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other", "pointer", "sentence"),
    [
        (1.0, 1.01, "", "the answer differs as a whole: expected 1.0, found 1.01"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "/a/1/b", "the answer differs at /a/1/b: expected 2, found 3"),
        (1000000, 1000001, "", "the answer differs as a whole: expected 1000000, found 1000001"),
        ({"a/b~": 1}, {"a/b~": "1"}, "/a~1b~0", 'the answer differs at /a~1b~0: expected 1, found "1"'),
        ({"a": 1}, {}, "/a", "the answer differs at /a: expected 1, found nothing"),
        ({}, {"a": None}, "/a", "the answer differs at /a: expected nothing, found null"),
        ([1], [1, 2], "", "the answer differs as a whole: expected a list of 1, found one of 2"),
        (True, 1, "", "the answer differs as a whole: expected true, found 1"),
        (None, 0, "", "the answer differs as a whole: expected null, found 0"),
        ("[1.0]", "[2.0]", "/0", "the answer differs at /0: expected 1.0, found 2.0"),
        (10**400, 1.5, "", f"the answer differs as a whole: expected {'1' + '0' * 198}…, found 1.5"),
    ],
)
def test_what_differs(one: Any, other: Any, pointer: str, sentence: str) -> None:
    found = first_difference(one, other, 1e-3)
    assert found is not None
    assert (found.pointer, found.sentence()) == (pointer, sentence)


def test_bodies_that_are_no_json() -> None:
    assert body_difference(b"plain text\n", b"plain text", 1e-3) is None
    found = body_difference(b"plain text", b"another", 1e-3)
    assert found is not None
    assert found.sentence() == "the answer differs as a whole: expected plain text, found another"


def test_bodies_that_are_nested_too_deeply() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert body_difference(deep, deep + b"\n", 1e-3) is None
    assert body_difference(deep, b"[]", 1e-3) is not None
