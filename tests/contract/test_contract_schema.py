"""The parameter types of inference-schema (section 5.3): what they convert, and what they refuse."""

import json
import re
from typing import Any

import pytest

from tests.contract.cases import Answer, Case, check, get, message, post_json, result, script_error
from tests.contract.servers import Servers, Setup

TYPES = Setup("schema_types.py")
PLAIN = Setup("schema_plain.py")
CALLERS_FAULT = (
    "section 6.1: a value that the schema refuses is the caller's fault for the agent, the script's for the peer"
)
DATES = "section 6.1: samples of datetime.date fail in the peer"
RECORDS = [{"a": 1, "b": "y"}, {"a": 2.5, "b": "z"}]
FRAME = ["DataFrame", ["a", "b"], [[1.0, "y"], [2.5, "z"]]]
NESTED = {"array": [[1, 2]], "day": "x", "list": [1]}
NESTED_SHOWN = {"array": ["ndarray", "float64", [[1.0, 2.0]]], "day": ["str", "x"], "list": ["list", [1]]}


def _converted(parameter: str, value: Any, *shown: Any) -> Case:
    name = f"{parameter} {json.dumps(value)}"
    return Case(name, post_json({parameter: value}), result([[parameter, *shown]]), setup=TYPES)


def _refused(parameter: str, value: Any, setup: Setup = TYPES) -> Case:
    why = message(400, re.compile(f"The value of the '{parameter}' parameter is not valid: .+"))
    name = f"{parameter} {json.dumps(value)}"
    return Case(name, post_json({parameter: value}), None, script_error(), why, CALLERS_FAULT, setup)


NUMPY = (
    _converted("numpy_float", [[1, 2], [3, 4]], "ndarray", "float64", [[1.0, 2.0], [3.0, 4.0]]),
    _converted("numpy_float", [["1", 2]], "ndarray", "float64", [[1.0, 2.0]]),
    _converted("numpy_int", [1, 2, 3], "ndarray", "int64", [1, 2, 3]),
    _converted("numpy_int", [1.5, 2], "ndarray", "int64", [1, 2]),
    _converted("numpy_int", [True, False], "ndarray", "int64", [1, 0]),
    _converted("numpy_any_shape", [1, 2, 3], "ndarray", "float64", [1.0, 2.0, 3.0]),
    _converted("numpy_any_type", [1, 2], "ndarray", "int64", [1, 2]),
    _converted("numpy_as_is", [1, 2], "list", [1, 2]),
    _converted("numpy_float", [], "list", []),
    _refused("numpy_float", [[1, 2, 3]]),
    _refused("numpy_float", [1, 2]),
    _refused("numpy_float", [["x", 1]]),
    _refused("numpy_float", [[1, 2], [3]]),
    _refused("numpy_float", {"a": 1}),
    _refused("numpy_float", 5),
)
PANDAS = (
    _converted("frame", RECORDS, *FRAME),
    _converted("frame", {"a": [1, 2.5], "b": ["y", "z"]}, *FRAME),
    _converted("frame", [{"b": "y", "a": 1}], "DataFrame", ["b", "a"], [["y", 1.0]]),
    _converted("frame", [{"c": 1, "d": "y"}], "DataFrame", ["c", "d"], [[1, "y"]]),
    _converted("frame_split", {"columns": ["a", "b"], "index": [0, 1], "data": [[1, "y"], [2.5, "z"]]}, *FRAME),
    _converted("frame_index", {"0": RECORDS[0], "1": RECORDS[1]}, *FRAME),
    _converted("frame_columns", {"a": {"0": 1, "1": 2.5}, "b": {"0": "y", "1": "z"}}, *FRAME),
    _converted("frame_values", [[1, "y"]], "DataFrame", ["0", "1"], [[1, "y"]]),
    _converted("frame_any_type", [{"a": "x", "b": 1}], "DataFrame", ["a", "b"], [["x", 1]]),
    _converted("frame_any_shape", [{"a": 1}], "DataFrame", ["a"], [[1.0]]),
    _refused("frame", [{"a": 1}]),
    _refused("frame", [{"a": "x", "b": "y"}]),
    _refused("frame", 3),
    _refused("frame", "x"),
    _refused("frame_split", {"columns": ["a"]}),
)
STANDARD = (
    _converted("text", "\u00e9", "str", "\u00e9"),
    _converted("whole", 2, "int", 2),
    _converted("whole", True, "bool", True),
    _converted("real", 2, "int", 2),
    _converted("real", 2.5, "float", 2.5),
    _converted("truth", True, "bool", True),
    _converted("sequence", [1, "x"], "list", [1, "x"]),
    _converted("mapping", {"b": 2}, "dict", {"b": ["int", 2]}),
    _converted("moment", "2024-05-06 07:08:09", "datetime", "2024-05-06T07:08:09"),
    _converted("moment", "2024-05-06T07:08:09", "datetime", "2024-05-06T07:08:09"),
    _converted("moment", "2024-05-06T07:08:09.5+00:00", "datetime", "2024-05-06T07:08:09.500000+00:00"),
    _converted("clock", "04:05:06", "time", "04:05:06"),
    _converted("clock", "04:05:06.000007", "time", "04:05:06.000007"),
    _converted("binary", "eHl6", "bytes", "xyz"),
    _converted("nested", NESTED, "dict", NESTED_SHOWN),
    _converted("nested", NESTED | {"more": 1}, "dict", NESTED_SHOWN | {"more": ["int", 1]}),
    _converted("nested", {"day": "x"}, "dict", {"day": ["str", "x"]}),
    _refused("text", 1),
    _refused("whole", 2.5),
    _refused("whole", 2.0),
    _refused("whole", "2"),
    _refused("real", "x"),
    _refused("truth", 1),
    _refused("truth", "true"),
    _refused("sequence", {"a": 1}),
    _refused("mapping", [1]),
    _refused("moment", "x"),
    _refused("moment", 5),
    _refused("clock", "x"),
    _refused("binary", "x"),
    _refused("binary", 1),
    _refused("nested", NESTED | {"array": [[1]]}),
    _refused("nested", NESTED | {"day": 1}),
)
WHAT_IS_OPTIONAL_AND_EMPTY_IS_NOT_LOOKED_AT = (
    _converted("truth", 0, "int", 0),
    _converted("sequence", {}, "dict", {}),
    _converted("mapping", [], "list", []),
    _converted("text", 0, "int", 0),
    Case("null", post_json({"text": None}), result([]), setup=TYPES),
    Case("nothing", post_json({}), result([]), setup=TYPES),
)
DATE = (
    Case(
        "a date",
        post_json({"day": "2024-05-06"}),
        None,
        script_error(),
        result([["day", "date", "2024-05-06"]]),
        DATES,
        TYPES,
    ),
    _refused("day", "06.05.2024"),
)
QUERIES = (
    Case("query", get("/score?whole=5&text=x"), result([["text", "str", "x"], ["whole", "int", 5]]), setup=TYPES),
    Case(
        "query of an array", get("/score?numpy_int=[1]"), result([["numpy_int", "ndarray", "int64", [1]]]), setup=TYPES
    ),
)
REQUIRED = (
    Case("array", post_json({"data": [[1, 2], [3, 4]]}), result({"total": 10.0}), setup=PLAIN),
    _refused("data", [[1]], PLAIN),
    _refused("data", None, PLAIN),
    _refused("data", [], PLAIN),
    _refused("data", "x", PLAIN),
)


@pytest.mark.parametrize(
    "case",
    [*NUMPY, *PANDAS, *STANDARD, *WHAT_IS_OPTIONAL_AND_EMPTY_IS_NOT_LOOKED_AT, *DATE, *QUERIES, *REQUIRED],
    ids=lambda case: case.name,
)
def test_conversion(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_several_parameters_are_taken_by_name(servers: Servers, kind: str) -> None:
    value = {"whole": 1, "text": "x", "clock": "01:02:03", "unknown": 1}
    shown = [["text", "str", "x"], ["whole", "int", 1], ["clock", "time", "01:02:03"]]
    check(servers, kind, Case("several", post_json(value), Answer(json.dumps(shown)), setup=TYPES))
