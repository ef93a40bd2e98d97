"""Status codes and bodies of what goes wrong (section 5.5), but for the time limit (test_contract_process)."""

import re

import pytest

from tests.contract.cases import (
    JSON,
    Answer,
    Case,
    Request,
    check,
    get,
    internal_error,
    message,
    post,
    post_json,
    result,
    script_error,
)
from tests.contract.servers import Servers, Setup

FAILURES = Setup("failures.py")
MEMBERS = Setup("schema_members.py")
WRONG_NAME = Setup("schema_wrong_name.py")
NO_BODY = message(400, "POST body is empty. Expecting a JSON dictionary.")
NO_DICTIONARY = message(400, "POST body should be a JSON dictionary.")
NOT_JSON = message(415, f"Expects Content-Type to be {JSON}")
MISSING = message(400, "A value is not provided for the 'data' parameter.")


def _bad_json(reason: str) -> Answer:
    return message(400, f"POST body could not be decoded as JSON: {reason}")


def _members(name: str, request: Request, expected: Answer) -> Case:
    return Case(name, request, expected, setup=MEMBERS)


RAISED = (
    *(
        Case(name, post(name), script_error(), setup=FAILURES)
        for name in (
            *("ValueError", "abort", "KeyError", "StopIteration", "RecursionError", "MemoryError", "AssertionError"),
            "unprintable",
        )
    ),
    Case("and then it works", post("x"), result("x"), setup=FAILURES),
)
BODIES = (
    _members("empty body", post(b""), NO_BODY),
    _members(
        "broken JSON",
        post("{"),
        _bad_json(r"Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ),
    _members("no JSON", post("x"), _bad_json("Expecting value: line 1 column 1 (char 0)")),
    _members("two documents", post('{"data": [1]} {}'), _bad_json("Extra data: line 1 column 15 (char 14)")),
    _members("only spaces", post("  "), _bad_json("Expecting value: line 1 column 3 (char 2)")),
    _members("a list", post("[1]"), NO_DICTIONARY),
    _members("a string", post('"data"'), NO_DICTIONARY),
    _members("null", post("null"), NO_DICTIONARY),
    _members("missing", post_json({"limit": 1}), MISSING),
    _members("missing in a query", get("/score?limit=1"), MISSING),
    _members("no query", get("/score"), MISSING),
    _members("another case", post_json({"Data": [1]}), MISSING),
)
TYPES = (
    _members("with a character set", post('{"data": [1]}', f"{JSON}; charset=utf-8"), result([[1], 7, None])),
    _members("in capitals", post('{"data": [1]}', "Application/JSON"), result([[1], 7, None])),
    _members("a kind of JSON", post('{"data": [1]}', "application/ld+json"), result([[1], 7, None])),
    _members("text/json", post('{"data": [1]}', "text/json"), NOT_JSON),
    _members("text/plain", post('{"data": [1]}', "text/plain"), NOT_JSON),
    _members("a form", post("data=[1]", "application/x-www-form-urlencoded"), NOT_JSON),
    _members("none", post('{"data": [1]}', None), NOT_JSON),
    _members("none and no body", post("", None), NOT_JSON),
    _members("a GET needs none", get("/score?data=[1]"), result([[1], 7, None])),
)
ACCEPTED = (
    _members("unknown members are ignored", post_json({"data": [1], "other": 1}), result([[1], 7, None])),
    _members("defaults are used", post_json({"data": []}), result([[], 7, None])),
    _members("defaults are replaced", post_json({"data": [1], "limit": 8}), result([[1], 8, None])),
    _members("headers", post_json({"data": [1]}, **{"x-own": "1"}), result([[1], 7, "1"])),
    _members("a query", get("/score?data=[1]&limit=8&other=1"), result([[1], 8, None])),
    _members("a repeated key of a query", get("/score?data=1&data=x"), result([[1, "x"], 7, None])),
    _members("the last of two equal members", post('{"data": [1], "data": [2]}'), result([[2], 7, None])),
    _members("NaN is read", post('{"data": [1], "limit": NaN, "limit": 1}'), result([[1], 1, None])),
    _members("a byte order mark", post(b'\xef\xbb\xbf{"data": [1]}'), result([[1], 7, None])),
    _members("UTF-16", post('{"data": ["\u00e9"]}'.encode("utf-16")), result([["\u00e9"], 7, None])),
    _members("the script's own fault", post_json({"data": ["raise"]}), script_error()),
    _members("OPTIONS", Request("OPTIONS"), Answer("", 200, "text/html; charset=utf-8", "False", False)),
    _members(
        "headers cannot be sent as a member", post_json({"data": [1], "request_headers": 1}), result([[1], 7, None])
    ),
)


@pytest.mark.parametrize("case", [*RAISED, *BODIES, *TYPES, *ACCEPTED], ids=lambda case: case.name)
def test_error(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


NOT_UTF8 = Case(
    "a schema's body that is not UTF-8",
    post(b'{"data": ["\xff"]}'),
    None,
    internal_error(),
    message(400, re.compile(r"POST body could not be decoded as JSON: 'utf-8' codec can't decode byte 0xff .*")),
    "the peer takes a caller's fault for one of its own; not in the reference",
    MEMBERS,
)
TOO_DEEP = Case(
    "nested too deeply",
    post('{"data": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    None,
    internal_error(),
    message(400, re.compile(r"POST body could not be decoded as JSON: .*")),
    "the peer takes a caller's fault for one of its own; not in the reference",
    MEMBERS,
)


@pytest.mark.parametrize("case", [NOT_UTF8, TOO_DEEP], ids=lambda case: case.name)
def test_difference(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


UNNOTICED = (
    Case("the schema's name", post_json({"other": "x"}), MISSING, setup=WRONG_NAME),
    Case("the function's name", post_json({"data": "x"}), script_error(), setup=WRONG_NAME),
)


@pytest.mark.parametrize("case", UNNOTICED, ids=lambda case: case.name)
def test_a_schema_for_a_parameter_that_does_not_exist(servers: Servers, kind: str, case: Case) -> None:
    """Section 5.3: not detected at start; calls answer 400 or 500."""
    check(servers, kind, case)
