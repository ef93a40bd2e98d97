"""Return values of run() on the wire: the contract's table, and the differences that the agent makes."""

import datetime
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.result_json import NotSerialisable, encode_result, encode_result_literal, plain_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, "é", True, None]}, b'{"a": [1, 2.5, "\\u00e9", true, null]}'),
        ('{"a": 1}', b'"{\\"a\\": 1}"'),
        (None, b"{}"),
        (("body", 418), b'["body", 418]'),
        ("", b'""'),
        ([], b"[]"),
        (0, b"0"),
        (np.float64(1.5), b"1.5"),
        ({1: "a", None: "b", False: "c"}, b'{"1": "a", "null": "b", "false": "c"}'),
    ],
)
def test_plain_values_are_written_as_json_dumps_does(value: object, text: bytes) -> None:
    assert encode_result(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, b"null"),
        ({"a": [math.inf, -math.inf, 1.0]}, b'{"a": [null, null, 1.0]}'),
        (np.array([1.0, math.nan]), b"[1.0, null]"),
        ({math.nan: 1, -math.inf: 2}, b'{"NaN": 1, "-Infinity": 2}'),
        (np.float32(0.5), b"0.5"),
        (np.int64(7), b"7"),
        (np.bool_(True), b"true"),
        (np.uint8(255), b"255"),
        (np.longdouble(2), b"2.0"),
        (np.array([[1, 2], [3, 4]]), b"[[1, 2], [3, 4]]"),
        (np.array(5), b"5"),
        (np.array(["a", "b"]), b'["a", "b"]'),
        (np.array([{"a": np.int32(1)}, None], dtype=object), b'[{"a": 1}, null]'),
        (np.ma.array([1.5, 2.5], mask=[False, True]), b"[1.5, null]"),
        ({np.int64(3): np.float32(1)}, b'{"3": 1.0}'),
        (np.datetime64("2024-05-01T10:00"), b'"2024-05-01T10:00"'),
        (np.array(["2024-05-01", "NaT"], dtype="datetime64[D]"), b'["2024-05-01", null]'),
        (datetime.date(2024, 5, 1), b'"2024-05-01"'),
        ([datetime.time(1, 2, 3)], b'["01:02:03"]'),
        (datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC), b'"2024-05-01T00:00:00+00:00"'),
    ],
)
def test_what_the_agent_writes_beyond_the_contract(value: object, text: bytes) -> None:
    assert encode_result(value) == text


def _endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"bytes", "result is of type bytes"),
        ({"a": [1, {2}]}, r"result\['a'\]\[1\] is of type set"),
        ((number for number in (1, 2)), "generator"),
        (Decimal(1), "decimal.Decimal"),
        ({(1, 2): 3}, "key of type tuple"),
        (datetime.timedelta(1), "datetime.timedelta"),
        (1j, "complex"),
        (np.array([1j]), "complex128"),
        (np.timedelta64(1, "s"), "timedelta64"),
        (_endless(), "nested too deeply, or contains itself"),
    ],
)
def test_what_has_no_json_form_is_named_with_its_place(value: object, reason: str) -> None:
    with pytest.raises(NotSerialisable, match=reason):
        encode_result(value)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes()


@given(st.recursive(_LEAVES, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=20))
def test_whatever_is_written_is_strict_json(value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(encode_result(value), parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [math.nan, math.inf, -math.inf]}, b'{"a": [NaN, Infinity, -Infinity]}'),
        (np.float64("nan"), b"NaN"),
        (np.float32("inf"), b"Infinity"),
        (np.array([1.0, math.nan]), b"[1.0, NaN]"),
        (np.ma.array([math.nan, 2.5], mask=[False, True]), b"[NaN, null]"),
        (np.array([math.nan, None], dtype=object), b"[NaN, null]"),
        ([datetime.date(2024, 5, 1), np.int8(1)], b'["2024-05-01", 1]'),
        (None, b"{}"),
        ("é", b'"\\u00e9"'),
    ],
)
def test_the_literal_form_keeps_what_json_does_not_have(value: object, text: bytes) -> None:
    assert encode_result_literal(value) == text


def test_the_literal_form_refuses_the_same_types() -> None:
    with pytest.raises(NotSerialisable, match=r"result\[0\] is of type bytes"):
        encode_result_literal([b""])
    with pytest.raises(NotSerialisable, match="contains itself"):
        encode_result_literal(_endless())


def test_a_plain_value_holds_nothing_that_json_lacks() -> None:
    assert plain_value({"a": (np.int64(1), np.array([math.nan])), "b": datetime.time(1)}) == {
        "a": [1, [None]],
        "b": "01:00:00",
    }
    with pytest.raises(NotSerialisable):
        plain_value(_endless())
