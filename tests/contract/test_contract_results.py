"""What a return value becomes (section 5.4), and the differences of section 6.1 in it."""

from typing import Any

import pytest

from tests.contract.cases import HTML, Answer, Case, check, internal_error, post, result, script_error
from tests.contract.servers import Servers, Setup

SETUP = Setup("results.py")
STRICT = "section 6.1: the agent writes strict JSON"
SERIALISED = "section 6.1: the agent writes numpy values and dates, the peer fails"


def _case(name: str, expected: Answer) -> Case:
    return Case(name, post(name), expected, setup=SETUP)


def _strict(name: str, peer_body: str, agent: Answer) -> Case:
    return Case(name, post(name), None, Answer(peer_body), agent, STRICT, SETUP)


def _serialised(name: str, value: Any) -> Case:
    return Case(name, post(name), None, internal_error(), result(value), SERIALISED, SETUP)


SENT = (
    _case("dict", Answer('{"b": 1, "a": [true, null, 1.5], "\\u00e9": "\\u00fc\\u2028\\ud83d\\ude00"}')),
    _case("list", Answer('[1, "two", [3]]')),
    _case("int", Answer("5")),
    _case("big int", Answer("1180591620717411303424")),
    _case("float", Answer("1.0")),
    _case("small float", Answer("1e-07")),
    _case("str", Answer('"a \\"quoted\\" \\u00e9"')),
    _case("bool", Answer("true")),
    _case("empty string", Answer('""')),
    _case("json string", Answer('"{\\"a\\": 1}"')),
    _case("None", Answer("{}")),
    _case("zero", Answer("0")),
    _case("empty dict", Answer("{}")),
    _case("tuple", Answer('["body", 418]')),
    _case("number keys", Answer('{"1": "a", "null": "b", "false": "c", "1.5": "d"}')),
    _case("subclass", Answer('[3, "x"]')),
    _case("surrogate", Answer('"\\ud800"')),
    _case("numpy.float64", Answer("2.5")),
    _case("numpy.str", Answer('"x"')),
)
NOT_SENT = tuple(
    _case(name, internal_error())
    for name in (
        *("bytes", "bytearray", "set", "generator", "data frame", "series", "Decimal", "UUID", "path", "tuple keys"),
        *("numpy.complex128", "complex", "timedelta", "dataclass", "function", "recursive"),
    )
)
DIFFERENCES = (
    _strict("nan", "NaN", result(None)),
    _strict("infinities", '{"a": [Infinity, {"b": -Infinity}]}', result({"a": [None, {"b": None}]})),
    _strict("nan in numpy.float64", "[NaN]", result([None])),
    _serialised("numpy.float32", 0.5),
    _serialised("numpy.int64", 5),
    _serialised("numpy.bool", True),
    _serialised("array", [[1, 2], [3, 4]]),
    _serialised("float array", {"a": [0.5, None]}),
    _serialised("numpy.datetime64", "2024-05-06"),
    _serialised("date", "2024-05-06"),
    _serialised("datetime", ["2024-05-06T07:08:09.000010", "2024-05-06T07:08:09.000010+00:00"]),
    _serialised("time", "01:02:03"),
    _serialised("timestamp", "2024-05-06T07:08:09.000010"),
)
RESPONSES = (
    _case("flask response", Answer("made by flask", 202, "text/plain; charset=utf-8", failed=None)),
    _case("flask failure", Answer("failed", 503, HTML, failed="True")),
)
SCRIPT_FAULTS = (Case("no such value", post("no such value"), script_error(), setup=SETUP),)


@pytest.mark.parametrize(
    "case", [*SENT, *NOT_SENT, *DIFFERENCES, *RESPONSES, *SCRIPT_FAULTS], ids=lambda case: case.name
)
def test_result(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_a_key_that_is_no_number_is_a_string_for_both(servers: Servers, kind: str) -> None:
    check(servers, kind, _case("nan key", Answer('{"NaN": 1}')))


LITERAL = Setup("results.py", environment=(("EDGEPACK_JSON_NAN", "literal"),))
AS_THE_PEER = (
    Case("nan", post("nan"), Answer("NaN"), setup=LITERAL),
    Case("infinities", post("infinities"), Answer('{"a": [Infinity, {"b": -Infinity}]}'), setup=LITERAL),
)


@pytest.mark.parametrize("case", AS_THE_PEER, ids=lambda case: case.name)
def test_the_peers_numbers_can_be_had_back(servers: Servers, kind: str, case: Case) -> None:
    """Section 6.1: `json_nan=literal`."""
    check(servers, kind, case)


def test_a_returned_coroutine(servers: Servers, kind: str) -> None:
    reason = "section 6.1: the agent awaits what can be awaited"
    setup = Setup("returned_coroutine.py")
    check(servers, kind, Case("coroutine", post("x"), None, internal_error(), result(1), reason, setup))


ASYNC = Setup("async_run.py")
NEVER_AWAITED = "section 6.1: the peer never awaits an asynchronous run()"
ASYNCHRONOUS = (
    Case("returns", post("x"), None, internal_error(), result(["awaited", "x"]), NEVER_AWAITED, ASYNC),
    Case("raises", post("fail"), None, internal_error(), script_error(), NEVER_AWAITED, ASYNC),
)


@pytest.mark.parametrize("case", ASYNCHRONOUS, ids=lambda case: case.name)
def test_asynchronous_run(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)
