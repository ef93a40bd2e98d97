"""Traps in routes that edgeHub takes, routes as text, explanations, and messages as documents."""

import pytest

from edgepack.deployment.message_document import parse_message
from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_explanation import Part, explain, shown_value
from edgepack.deployment.route_message import RoutedMessage
from edgepack.deployment.route_parser import parse_route
from edgepack.deployment.route_printer import print_route
from edgepack.deployment.route_tree import RouteError
from edgepack.deployment.route_values import MISSING, UNDEFINED, Value
from edgepack.errors import InputError


@pytest.mark.parametrize(
    ("condition", "column", "text"),
    [
        ("a!='x'", 1, "a! is the name of one property"),
        ("'x'||'y' = a", 1, "is the name of one property"),
        ("lower(-a) = 'x'", 7, "-a is the name of one property"),
        ("a = True", 5, "True is a property, write true"),
        ("a = NULL", 5, "NULL is a property, write null"),
        ("$body.t > 25", 9, "is true when $body.t is missing: write is_number($body.t) AND"),
        ("25 < $body.t", 4, "is true when $body.t is missing"),
        ("$body.t != 'x'", 9, "write is_string($body.t) AND"),
        ("$body.t <> true", 9, "write is_bool($body.t) AND"),
        ("is_null($body.t)", 1, "is_null is true for what is in the body"),
        ("is_defined($body.t)", 1, "is_defined is true when the path leads nowhere"),
        ("$body.t = '2026-01-31T10:00:00Z'", 11, "looks like a time"),
        ("$body = 'x'", 1, "$body is not the body"),
        ("$correlationId = 'x'", 1, "it is called $cid"),
        ("$content-type = 'x'", 1, "no system property"),
        ("label", 1, "the condition is a string, never true"),
        ("null", 1, "the condition is null, never true"),
        ("e5 = undefined", 1, "e5 is a number that cannot be read"),
    ],
)
def test_conditions_that_do_not_do_what_they_seem_to(condition: str, column: int, text: str) -> None:
    check = check_route(f"FROM /* WHERE {condition} INTO $upstream")
    assert check.problems == ()
    assert [trap.column - 14 for trap in check.traps if text in trap.text] == [column]


@pytest.mark.parametrize(
    "condition",
    [
        "a-b = 'x'",
        "a.b_c = 'x'",
        "$body.t < 25",
        "$body.t = 25",
        "25 >= $body.t",
        "is_number($body.t) AND $body.t > 25",
        "$body.t != null",
        "is_null(a)",
        "is_defined(a)",
        "$body.ok",
        "$contenttype = 'x' OR $cid = 'y'",
        "a = '2026-01-31T10:00:00Z'",
    ],
)
def test_conditions_that_do(condition: str) -> None:
    check = check_route(f"FROM /* WHERE {condition} INTO $upstream")
    assert (check.problems, check.traps) == ((), ())


@pytest.mark.parametrize(
    ("text", "column", "about_source"),
    [
        ("FROM /message/* INTO $upstream", 6, True),
        ("FROM /messages/modules/s*r/* INTO $upstream", 6, True),
        ("FROM /messages/*/outputs/o INTO $upstream", 6, True),
        ("FROM /* INTO $upstream and more", 24, False),
    ],
)
def test_other_traps(text: str, column: int, about_source: bool) -> None:
    assert [(trap.column, trap.about_source) for trap in check_route(text).traps] == [(column, about_source)]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("select * from /messages/* into $UPSTREAM", "FROM /messages/* INTO $upstream"),
        (
            "FROM /* WHERE(a='x')and not(b=\"y\")INTO $upstream",
            "FROM /* WHERE a = 'x' AND NOT (b = 'y') INTO $upstream",
        ),
        ("FROM /* WHERE (a OR b) OR (c OR d) INTO $upstream", "FROM /* WHERE a OR b OR (c OR d) INTO $upstream"),
        ("FROM /* WHERE f((1 + 2) * - -3) INTO $upstream", "FROM /* WHERE f((1 + 2) * - -3) INTO $upstream"),
        ("FROM /* WHERE - (- x) = {$y} INTO $upstream", "FROM /* WHERE - - x = {$y} INTO $upstream"),
        ('FROM /* WHERE a = "it\'s\n" INTO $upstream', "FROM /* WHERE a = 'it\\'s\\u000a' INTO $upstream"),
        ("FROM / * WHERE a = '*/' INTO $upstream", "FROM / * WHERE a = '*/' INTO $upstream"),
        ("FROM / * / * INTO $upstream", "FROM /*/* INTO $upstream"),
        ("FROM / * / a / * INTO $upstream", "FROM /*/a/* INTO $upstream"),
        (
            "FROM /* INTO brokeredendpoint('x/a\"b/y/c/')",
            "FROM /* INTO BrokeredEndpoint('/modules/a\"b/inputs/c')",
        ),
    ],
)
def test_routes_as_text(text: str, printed: str) -> None:
    assert print_route(parse_route(text)) == printed
    assert parse_route(printed) == parse_route(text)


MESSAGE = parse_message(
    '{"body": {"t": "2026-01-31T10:00:00", "o": {}, "n": 5, "z": 0}, "properties": {"label": "x", "k": "5"}}', "m"
)


def notes(condition: str, message: RoutedMessage = MESSAGE) -> dict[str, str]:
    """Each part's text and note, where it has one."""
    explanation = explain(parse_route(f"FROM /* WHERE {condition} INTO $upstream"), message)
    assert explanation.condition is not None
    found = {}
    waiting: list[Part] = [explanation.condition]
    while waiting:
        part = waiting.pop()
        if part.note:
            found[part.text] = part.note
        waiting += part.parts
    return found


@pytest.mark.parametrize(
    ("condition", "text", "note"),
    [
        ("temp = 'x'", "temp", "the message has no property temp"),
        ("temp = 'x'", "temp = 'x'", "temp is undefined"),
        ("$cid = 'x'", "$cid", "the message has no system property cid"),
        ("as_number(label) = 3", "as_number(label)", "'x' is no number"),
        ("substring(label, 5) = 'x'", "substring(label, 5)", "substring has no result for 'x', 5"),
        ("$body.t = 'x'", "$body.t", "the text '2026-01-31T10:00:00', which is read as a time"),
        ("$body.o = 'x'", "$body.o", "there is an object"),
        ("$body.* = 'x'", "$body.*", "several values"),
        ("$body.n > 'x'", "$body.n > 'x'", "a number and a text are never equal"),
        ("$body.none > 3", "$body.none", "nothing is there: that is null"),
        ("$body.n + $body.none = 3", "$body.n + $body.none", "+ has no result for 5, null (missing)"),
        ("$body.z / $body.z < 1", "$body.z / $body.z", "it comes before all numbers"),
        ("$body.n AND $body.n", "$body.n AND $body.n", "bare body values must be true or false here, not 5, 5"),
        ("NOT $body.n", "NOT $body.n", "it must be true or false, not 5"),
        ("is_null($body.n)", "is_null($body.n)", "is_null says whether something is there"),
        ("is_defined($body.none)", "is_defined($body.none)", "null is defined"),
        ("e5 = undefined", "e5", "cannot be read"),
        ("undefined", "undefined", "it is written so"),
        ("label", "label", "a condition must be true: a string never is"),
    ],
)
def test_explanations(condition: str, text: str, note: str) -> None:
    assert note in notes(condition)[text]


@pytest.mark.parametrize(
    ("message", "note"),
    [
        ('{"body": "{}"}', "the message has no contentType"),
        ('{"body": {}, "system": {"contentType": "text/plain"}}', "contentType is 'text/plain', not application/json"),
        ('{"body": {}, "system": {"contentEncoding": "gzip"}}', "contentEncoding is 'gzip'"),
        (
            '{"body": [], "system": {"contentType": "application/json"}}',
            "the message has no contentEncoding",
        ),
        (
            '{"body": [1], "system": {"contentType": "application/json", "contentEncoding": "utf-8"}}',
            "the body is JSON, but no object",
        ),
        (
            '{"body": "x", "system": {"contentType": "application/json", "contentEncoding": "utf-8"}}',
            "the body is not JSON: ",
        ),
    ],
)
def test_why_a_body_cannot_be_read(message: str, note: str) -> None:
    assert note in notes("$body.a = 1", parse_message(message, "m"))["$body.a"]


def test_explanations_say_what_the_route_does() -> None:
    route = parse_route("FROM /messages/modules/m WHERE label = 'x' INTO $upstream")
    assert explain(route, MESSAGE)[:2] == (False, False)
    assert explain(route, MESSAGE._replace(source="/messages/modules/m"))[:2] == (True, True)
    assert explain(parse_route("FROM /* INTO $upstream"), MESSAGE) == (True, True, None)
    with pytest.raises(RouteError, match="cannot compare"):
        explain(parse_route("FROM /* WHERE label = 3 INTO $upstream"), MESSAGE)


def test_values_as_routes_spell_them() -> None:
    values: list[Value] = ["it's", 3.0, 0.5, 1e300, True, None, MISSING, UNDEFINED]
    shown = ["'it\\'s'", "3", "0.5", "1e+300", "true", "null", "null (missing)", "undefined"]
    assert [shown_value(value) for value in values] == shown


def test_messages_as_documents() -> None:
    assert parse_message("{}", "m") == RoutedMessage("/messages", {}, {}, b"")
    assert parse_message('{"body": "text", "properties": {"a": "b"}}', "m").body == b"text"
    told = parse_message('{"body": {"a": "é"}, "system": {"contentencoding": "utf-16"}}', "m")
    assert told.system == {"contentencoding": "utf-16", "contentType": "application/json"}
    assert told.body == '{"a": "é"}'.encode("utf-16-le")
    told = parse_message('{"source": "/messages/modules/m/outputs/o", "system": {"outputName": "p"}}', "m")
    assert told.system == {"connectionModuleId": "m", "outputName": "p"}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("{", ["m: not JSON: "]),
        ("[" * 100_000, ["m: not JSON: "]),
        ("[]", ["m: must be an object with body, properties, system, source"]),
        (
            '{"bdy": 1, "properties": {"a": 1, "A": "x"}, "system": [], "source": "x"}',
            [
                "m: unknown key 'bdy'",
                "m: properties: a must be a text, not 1",
                "m: properties: A is there twice",
                "m: system must be an object",
                "m: source must be a text",
            ],
        ),
    ],
)
def test_documents_that_are_no_messages(text: str, problems: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_message(text, "m")
    assert [problem[: len(want)] for problem, want in zip(caught.value.problems, problems, strict=True)] == problems


def test_a_route_that_no_twin_can_hold_is_refused_at_once() -> None:
    text = f"FROM /* WHERE a = '{'ä' * 2100}' INTO $upstream"
    (problem,) = check_route(text).problems
    assert problem.text.startswith("the route has 4235 bytes, and IoT Hub takes 4096 a value")
    assert check_route(f"FROM /* WHERE a = '{'ä' * 2000}' INTO $upstream").problems == ()
    assert len(check_route("FROM /* WHERE " + "(" * 1_000_000).problems) == 1
