"""Operators, functions and properties of routes: what they give for a message, oddities of the product included."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

from edgepack.deployment.route_compiler import compile_expression, compile_route
from edgepack.deployment.route_message import BodyPath, RoutedMessage, Scope, is_time
from edgepack.deployment.route_parser import parse_route
from edgepack.deployment.route_tree import RouteProblem
from edgepack.deployment.route_values import MISSING, UNDEFINED, Value

BODY = {
    "n": 5,
    "zero": 0,
    "text": "five",
    "three": "3",
    "yes": True,
    "no": False,
    "null": None,
    "time": "2026-01-31T10:00:00Z",
    "object": {"a": 1},
    "list": [1, 2, {"x": "y"}, [7, 8]],
    "one": {"only": 9},
    "Case": "C",
}
JSON_SYSTEM = {"contentType": "application/json", "contentEncoding": "utf-8"}
PROPERTIES = {"t": "31.5", "label": "defect", "Site": "Oslo", "$own": "mine", "$body.n": "a property", "smile": "a😀b"}


def message(
    body: Any = BODY,
    properties: Mapping[str, str] = PROPERTIES,
    system: Mapping[str, str] = JSON_SYSTEM,
) -> RoutedMessage:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RoutedMessage("/messages", properties, dict(system) | {"messageId": "m-1", "own": "theirs"}, content)


def value(text: str, told: RoutedMessage | None = None) -> Value:
    problems: list[RouteProblem] = []
    condition = parse_route(f"FROM /* WHERE {text} INTO $upstream").condition
    assert condition is not None
    compiled = compile_expression(condition, problems)
    assert problems == []
    return compiled.run(Scope(told or message()))


def same(one: Value, other: Value) -> bool:
    return (type(one), one) == (type(other), other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # literals
        ("3", 3.0),
        ("-3", -3.0),
        ("0x1F", 31.0),
        ("0xffffffffffffffff", -1.0),
        ("0x10000000000000000", UNDEFINED),
        (".5e1", 5.0),
        ("1e999", math.inf),
        ("e5", UNDEFINED),
        ("'it\\'s'", "it's"),
        ("true", True),
        ("null", None),
        ("undefined", UNDEFINED),
        # properties
        ("t", "31.5"),
        ("T", "31.5"),
        ("site", "Oslo"),
        ("nothing", UNDEFINED),
        ("$messageId", "m-1"),
        ("$MESSAGEID", "m-1"),
        ("$own", "mine"),
        ("{$own}", "theirs"),
        ("$none", UNDEFINED),
        ("$x[0] ?? undefined", UNDEFINED),
        # the body
        ("$body.text", "five"),
        ("$BODY.text", "five"),
        ("$body.n", "a property"),
        ("{$body.n}", 5.0),
        ("$body.yes", True),
        ("$body.null", None),
        ("$body.nothing", MISSING),
        ("$body.case", MISSING),
        ("$body.object.a", 1.0),
        ("$body.text.more", MISSING),
        ("$body.list[1]", 2.0),
        ("$body.list[9]", MISSING),
        ("$body.list[99999999999999999999]", UNDEFINED),
        ("$body.list[3][1]", 8.0),
        ("$body.list[2].x", "y"),
        ("$body.list[0]x", UNDEFINED),
        ("$body.one.*", 9.0),
        ("$body.list.*", UNDEFINED),
        ("$body.object", UNDEFINED),
        ("$body.list", UNDEFINED),
        ("$body.time", UNDEFINED),
        # arithmetic
        ("1 + 2 * 3 - 4 / 8", 6.5),
        ("(1 + 2) * 3", 9.0),
        ("7 % 4", 3.0),
        ("- 7 % 4", -3.0),
        ("7 % 0", UNDEFINED),
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("0 / 0", UNDEFINED),
        ("1e308 * 10", math.inf),
        ("1 / 0 - 1 / 0", UNDEFINED),
        ("- as_number(t)", -31.5),
        ("- as_number(label)", UNDEFINED),
        ("{$body.n} + 1", 6.0),
        ("{$body.n} / $body.zero", math.inf),
        ("$body.text + 1", UNDEFINED),
        ("$body.nothing + 1", UNDEFINED),
        ("$body.zero / $body.zero < 0", True),
        ("is_number($body.zero / $body.zero)", False),
        ("is_defined($body.zero / $body.zero)", True),
        # strings
        ("'a' || 'b' || 'c'", "abc"),
        ("'a' || nothing", UNDEFINED),
        ("$body.text || '!'", "five!"),
        ("$body.yes || '!'", UNDEFINED),
        # comparisons of one kind
        ("3 = 3.0", True),
        ("3 != 3", False),
        ("3 <> 4", True),
        ("2 < 10", True),
        ("'2' < '10'", False),
        ("'a' < 'B'", False),
        ("'\ue000' < '😀'", False),
        ("'a' <= 'a'", True),
        ("true > false", True),
        ("false >= true", False),
        ("null = null", True),
        ("null < null", False),
        ("null >= null", True),
        ("undefined = undefined", UNDEFINED),
        ("nothing = 'x'", UNDEFINED),
        ("nothing != 'x'", UNDEFINED),
        ("as_number(label) > 3", UNDEFINED),
        ("1 = 1 = true", True),
        # comparisons with the body
        ("{$body.n} = 5", True),
        ("5 = {$body.n}", True),
        ("{$body.n} > 4", True),
        ("$body.text = 'five'", True),
        ("$body.text < 'g'", True),
        ("$body.yes = true", True),
        ("$body.null = null", True),
        ("$body.nothing = null", True),
        ("$body.nothing > 25", True),
        ("$body.nothing != 25", True),
        ("$body.nothing = 25", False),
        ("$body.nothing > 'zzz'", True),
        ("$body.three > 25", True),
        ("$body.three = 3", False),
        ("$body.yes < 0", True),
        ("$body.yes > $body.no", True),
        ("$body.text > {$body.n}", True),
        ("$body.object = 1", UNDEFINED),
        ("$body.time <> 'x'", UNDEFINED),
        ("$body.text = nothing", UNDEFINED),
        # logic
        ("true AND true", True),
        ("false AND nothing = 'x'", False),
        ("nothing = 'x' AND false", False),
        ("true AND nothing = 'x'", UNDEFINED),
        ("true OR nothing = 'x'", True),
        ("nothing = 'x' OR true", True),
        ("false OR nothing = 'x'", UNDEFINED),
        ("undefined AND undefined", UNDEFINED),
        ("undefined OR true", True),
        ("true OR true AND false", True),
        ("NOT true", False),
        ("NOT (nothing = 'x')", UNDEFINED),
        ("NOT null", True),
        ("NOT $body.no", True),
        ("NOT $body.text", UNDEFINED),
        ("null AND true", None),
        ("false AND null", None),
        ("null OR true", True),
        ("false OR null", False),
        ("null OR null", None),
        ("$body.yes AND $body.yes", True),
        ("$body.no AND $body.text", UNDEFINED),
        ("$body.no AND nothing", UNDEFINED),
        ("$body.yes AND 3", UNDEFINED),
        ("$body.yes OR $body.no", True),
        ("$body.yes OR null", UNDEFINED),
        ("$body.yes OR false", True),
        # ??
        ("nothing ?? 'x'", "x"),
        ("label ?? 'x'", "defect"),
        ("nothing ?? none ?? 'x'", "x"),
        ("null ?? null", None),
        ("undefined ?? undefined", UNDEFINED),
        ("as_number(label) ?? 3", 3.0),
        ("$body.nothing ?? 'x'", MISSING),
        ("$body.time ?? 'x'", "x"),
        # functions
        ("abs(-3)", 3.0),
        ("exp(0)", 1.0),
        ("exp(4000)", math.inf),
        ("square(3)", 9.0),
        ("square(1e200)", math.inf),
        ("ceiling(2.1)", 3.0),
        ("ceiling(1 / 0)", math.inf),
        ("floor(-2.1)", -3.0),
        ("sign(-2)", -1.0),
        ("sign(0)", 0.0),
        ("sqrt(9)", 3.0),
        ("sqrt(-9)", UNDEFINED),
        ("power(2, 3)", 8.0),
        ("power(10, 4000)", math.inf),
        ("power(-10, 4001)", -math.inf),
        ("power(-8, .5)", UNDEFINED),
        ("power(0, -1)", math.inf),
        ("power(2, $body.text)", UNDEFINED),
        ("abs({$body.n} - 7)", 2.0),
        ("abs($body.text)", UNDEFINED),
        ("abs(as_number(label))", UNDEFINED),
        ("as_number(3)", 3.0),
        ("as_number($body.three)", 3.0),
        ("as_number({$body.n})", 5.0),
        ("as_number($body.yes)", UNDEFINED),
        ("as_number($body.zero / $body.zero)", UNDEFINED),
        ("is_number(3)", True),
        ("is_number(1 / 0)", False),
        ("is_number(t)", False),
        ("is_number({$body.n})", True),
        ("is_number(nothing)", False),
        ("is_string(t)", True),
        ("is_string(nothing)", False),
        ("is_string($body.text)", True),
        ("is_string($body.time)", False),
        ("is_bool(true)", True),
        ("is_bool(t)", False),
        ("is_bool(nothing)", False),
        ("is_bool($body.no)", True),
        ("is_bool($body.time)", UNDEFINED),
        ("is_bool(nothing = 'x')", UNDEFINED),
        ("is_defined(t)", True),
        ("is_defined(nothing)", False),
        ("is_defined(null)", True),
        ("is_defined($body.nothing)", True),
        ("is_defined($body.object)", False),
        ("is_defined($body.time)", False),
        ("is_null(null)", True),
        ("is_null(t)", False),
        ("is_null(nothing)", False),
        ("is_null(3)", False),
        ("is_null($body.null)", True),
        ("is_null($body.text)", True),
        ("is_null($body.nothing)", False),
        ("is_null($body.object)", UNDEFINED),
        ("concat('a', t, 'b')", "a31.5b"),
        ("concat('a', nothing)", UNDEFINED),
        ("concat($body.text, $body.yes)", UNDEFINED),
        ("LOWER(site)", "oslo"),
        ("upper('straße')", "STRAßE"),
        ("lower(nothing)", UNDEFINED),
        ("length(label)", 6.0),
        ("length(smile)", 4.0),
        ("length($body.yes)", UNDEFINED),
        ("index_of(label, 'fe')", 2.0),
        ("index_of(label, 'x')", -1.0),
        ("index_of(smile, 'b')", 3.0),
        ("index_of(label, '')", 0.0),
        ("substring(label, 2)", "fect"),
        ("substring(label, 6)", ""),
        ("substring(label, 7)", UNDEFINED),
        ("substring(label, -1)", UNDEFINED),
        ("substring(label, 1.9)", "efect"),
        ("substring(label, 2, 2)", "fe"),
        ("substring(label, 6, 0)", UNDEFINED),
        ("substring(label, 2, 5)", UNDEFINED),
        ("substring(label, 2, $body.nothing)", UNDEFINED),
        ("substring(smile, 1, 2)", "😀"),
        ("starts_with(label, 'de')", True),
        ("contains(label, 'FE')", False),
        ("ends_with(label, 'ct')", True),
        ("contains(nothing, 'x')", UNDEFINED),
    ],
)
def test_values(text: str, expected: Value) -> None:
    assert same(value(text), expected)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        (" \t-1.5\n", -1.5),
        ("+3", 3.0),
        ("5-", -5.0),
        ("5 -", -5.0),
        ("(5)", -5.0),
        ("( 5)", UNDEFINED),
        ("(5", UNDEFINED),
        ("-5-", UNDEFINED),
        ("(-5)", UNDEFINED),
        ("1,234,5.25", 12345.25),
        ("1.5,0", UNDEFINED),
        (",1", UNDEFINED),
        ("1.", 1.0),
        (".5", 0.5),
        (".", UNDEFINED),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1e", UNDEFINED),
        ("1e999", math.inf),
        ("Infinity", math.inf),
        ("-infinity", -math.inf),
        ("NaN", UNDEFINED),
        ("0x10", UNDEFINED),
        ("1_0", UNDEFINED),
        ("१", UNDEFINED),
        ("", UNDEFINED),
        ("1 2", UNDEFINED),
    ],
)
def test_numbers_as_people_write_them(text: str, number: Value) -> None:
    assert same(value("as_number(x)", message(properties={"x": text})), number)


@pytest.mark.parametrize(
    "text",
    [
        "t + 1",
        "1 + true",
        "undefined + 1",
        "null - 1",
        "'a' || 1",
        "$body.n % 2",
        "2 % $body.n",
        "- $body.n",
        "- t",
        "t = 1",
        "1 = true",
        "null = 'x'",
        "undefined = 1",
        "$body.n = undefined",
        "undefined = $body.n",
        "NOT t",
        "NOT undefined",
        "NOT 1",
        "t AND true",
        "true OR 1",
        "true AND $body.yes",
        "$body.yes AND $body.yes AND $body.yes",
        "$body.yes AND null",
        "null AND $body.yes",
        "undefined AND null",
        "null OR undefined",
        "t ?? 1",
        "undefined ?? t",
        "undefined ?? $body.n",
        "$x[0] = 1",
        "$body[0] = 1",
        "nope(1)",
        "abs(t)",
        "abs(true)",
        "abs()",
        "abs(1, 2)",
        "power(2)",
        "concat('a')",
        "concat('a', 1)",
        "as_number(true)",
        "as_number(null)",
        "is_defined()",
        "is_number(1, 2)",
        "length(undefined)",
        "substring(t, t)",
        "starts_with(t)",
        "$body.a..b = 1",
        "$body.a[] = 1",
        "$body.1 = 1",
        "$body.a.0 = 1",
        "$body.a['x'] = 1",
        "$body. = 1",
    ],
)
def test_what_does_not_compile(text: str) -> None:
    condition = parse_route(f"FROM /* WHERE {text} INTO $upstream").condition
    assert condition is not None
    problems: list[RouteProblem] = []
    compile_expression(condition, problems)
    assert len(problems) == 1
    assert problems[0].stage == "types"


@pytest.mark.parametrize(
    ("system", "body", "readable"),
    [
        (JSON_SYSTEM, b'{"a": 1}', True),
        ({"contenttype": "Application/JSON", "contentencoding": "UTF-8"}, b'{"a": 1}', True),
        ({"contentType": "application/json", "contentEncoding": "utf-16"}, '{"a": 1}'.encode("utf-16-le"), True),
        ({"contentType": "application/json", "contentEncoding": "utf-32"}, '{"a": 1}'.encode("utf-32-le"), True),
        ({"contentType": "application/json"}, b'{"a": 1}', False),
        ({"contentEncoding": "utf-8"}, b'{"a": 1}', False),
        ({"contentType": "application/json; charset=utf-8", "contentEncoding": "utf-8"}, b'{"a": 1}', False),
        ({"contentType": "application/json", "contentEncoding": "gzip"}, b'{"a": 1}', False),
        (JSON_SYSTEM, b"[1]", False),
        (JSON_SYSTEM, b"3", False),
        (JSON_SYSTEM, b"", False),
        (JSON_SYSTEM, b'{"a": 1} x', False),
        (JSON_SYSTEM, b'\xef\xbb\xbf{"a": 1}', False),
        (JSON_SYSTEM, b'{"a": 1, "b": ' + b"[" * 63 + b"]" * 63 + b"}", True),
        (JSON_SYSTEM, b'{"a": 1, "b": ' + b"[" * 64 + b"]" * 64 + b"}", False),
        (JSON_SYSTEM, b'{"a": 1, "b": "' + b"[" * 100 + b'"}', True),
        (JSON_SYSTEM, b'{"a": ' * 100_000, False),
    ],
)
def test_which_bodies_routes_can_read(system: Mapping[str, str], body: bytes, readable: bool) -> None:
    told = RoutedMessage("/messages", {}, system, body)
    assert value("$body.a", told) == (1 if readable else UNDEFINED)
    assert readable or BodyPath("a").why_undefined(Scope(told))


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T10:00:00",
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00:00.1234567+02:00",
        "2024-02-29T24:00:00-0830",
        "/Date(1700000000000)/",
        "/Date(-1+0200)/",
    ],
)
def test_texts_that_are_read_as_times(text: str) -> None:
    assert is_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026-01-31 10:00:00",
        "2026-02-29T10:00:00",
        "2026-13-01T10:00:00",
        "0000-01-01T10:00:00",
        "2026-01-31T25:00:00",
        "2026-01-31T24:00:01",
        "2026-01-31T24:00:00.1",
        "2026-01-31T10:60:00",
        "2026-01-31T10:00",
        "2026-01-31T10:00:00.",
        "2026-01-31T10:00:00.12345678Z",
        "2026-01-31T10:00:00 Z",
        "/Date(x)/",
        "",
    ],
)
def test_texts_that_are_not(text: str) -> None:
    assert not is_time(text)


@pytest.mark.parametrize("condition", ["undefined", "3", "label", "null", "$body.text", "$body.nothing", "$body.time"])
def test_only_true_is_true(condition: str) -> None:
    assert not compile_route(parse_route(f"FROM /* WHERE {condition} INTO $upstream"))(message())


def test_a_route_looks_at_the_source_and_the_condition() -> None:
    takes = compile_route(parse_route("FROM /messages/modules/m WHERE label = 'defect' INTO $upstream"))
    assert not takes(message())
    assert takes(message()._replace(source="/messages/modules/m/outputs/o"))
    assert not takes(message(properties={})._replace(source="/messages/modules/m"))
    assert compile_route(parse_route("FROM /* INTO $upstream"))(message())
