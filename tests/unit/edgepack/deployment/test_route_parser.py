"""Routes are read into paths, conditions and sinks; every problem has its column."""

import pytest

from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_compiler import compile_route
from edgepack.deployment.route_parser import parse_route
from edgepack.deployment.route_tokens import can_be_spelled, quoted, tokenize, unquoted
from edgepack.deployment.route_tree import (
    Call,
    Chain,
    Expression,
    Literal,
    ModuleInput,
    Prefix,
    Property,
    Route,
    RouteError,
    SystemProperty,
    Upstream,
)

UP = Upstream()
A, B, C = Property("a"), Property("b"), Property("c")


def condition(text: str) -> Expression | None:
    return parse_route(f"FROM /* WHERE {text} INTO $upstream").condition


@pytest.mark.parametrize(
    ("text", "path", "sink"),
    [
        ("FROM /* INTO $upstream", ("*",), UP),
        ("from /messages/* into $UPSTREAM", ("messages", "*"), UP),
        ("SELECT * FROM /messages INTO $upstream and more", ("messages",), UP),
        ("FROM / messages / * INTO $upstream", ("messages", "*"), UP),
        (
            'FROM /messages/modules/a-b/outputs/o INTO BrokeredEndpoint("/modules/c/inputs/d")',
            ("messages", "modules", "a-b", "outputs", "o"),
            ModuleInput("c", "d"),
        ),
        (
            "FROM /* WHERE x = 'INTO $upstream' INTO brokeredendpoint ( 'modules/c/inputs/d/' )",
            ("*",),
            ModuleInput("c", "d"),
        ),
        ("FROM /* INTO BrokeredEndpoint('/x/it\"s/y/z')", ("*",), ModuleInput('it"s', "z")),
        ('FROM /* WHERE a = "\\" INTO " INTO $upstream', ("*",), UP),
        ("FROM /* WHERE $body.a[0] > 2 INTO $upstream", ("*",), UP),
        ("FROM /messages\nWHERE /* INTO */ a = b\nINTO $upstream", ("messages",), UP),
    ],
)
def test_paths_and_sinks(text: str, path: tuple[str, ...], sink: Upstream | ModuleInput) -> None:
    route = parse_route(text)
    assert (route.path, route.sink) == (path, sink)


VALID = """
FROM /messages/modules/* INTO $upstream
from /messages/modules/scorer/outputs/result into $UPSTREAM
SELECT * FROM /messages/modules/scorer/outputs/* INTO BrokeredEndpoint("/modules/alarm/inputs/scores")
FROM /messages/modules/cam-01/outputs/frames INTO brokeredendpoint('modules/scorer/inputs/frames/')
FROM /messages/modules/scorer WHERE label = 'defect' INTO $upstream
FROM /messages/modules/scorer WHERE as_number(confidence) >= 0.85 INTO $upstream
FROM /messages WHERE $body.prediction.score > 0.5 AND $body.prediction.label <> "background" INTO $upstream
FROM /messages WHERE $body.boxes[0].area / $body.image.area >= .1 INTO $upstream
FROM /messages WHERE NOT (line = 'test') INTO $upstream
FROM /messages WHERE NOT is_defined($connectionModuleId) INTO BrokeredEndpoint("/modules/translator/inputs/leaf")
FROM /messages WHERE (alertLevel ?? 'none') = 'critical' INTO $upstream
FROM /messages WHERE lower(site) || '/' || lower(line) = 'oslo/press-2' INTO $upstream
FROM /messages WHERE starts_with($body.model.name, 'yolo') OR $body.model.version = null INTO $upstream
FROM /messages WHERE $contentType = 'application/json' AND length($messageId) > 0 INTO $upstream
FROM /messages/modules/plc WHERE /* kelvin */ as_number(temperature) - 273.15 > 80 INTO $upstream
FROM /messages WHERE 0x10 = 16 AND power(2, 3) - 2e0 = 6 INTO $upstream
FROM /messages WHERE { $body.kind } = 'summary' INTO $upstream
FROM /messages WHERE contains(tags, '"urgent"') AND index_of(tags, "it's") = -1 INTO $upstream
FROM /twinChangeNotifications INTO BrokeredEndpoint("/modules/auditor/inputs/twin")
FROM /* WHERE $edgeHubOriginInterface = 'internal' INTO BrokeredEndpoint("/modules/mirror/inputs/all")
"""


@pytest.mark.parametrize("text", VALID.strip().splitlines())
def test_routes_that_the_product_takes(text: str) -> None:
    compile_route(parse_route(text))
    assert check_route(text).problems == ()


# The column of the route, or of the condition (as the product counts these, from its first character).
INVALID = """
FROM /messages/* $upstream                                           | route 18     | expected INTO
FROM messages/* INTO $upstream                                       | route 6      | expected a path
FROM /messages/ INTO $upstream                                       | route 17     | a name or * after /
FROM /messages/modules/42/outputs/out INTO $upstream                 | route 24     | no name in a route
FROM /messages/modules/not/outputs/out INTO $upstream                | route 24     | no name in a route
FROM /* /* everything */ INTO $upstream                              | route 26     | expected a path
FROM /messages WHERE label = 'high INTO $upstream                    | route 50     | from column 30 on has no end
FROM /messages WHERE (label = 'x' INTO $upstream                     | condition 1  | missing closing ')'
FROM /messages WHERE label; 'x' INTO $upstream                       | condition 6  | invalid symbol ';'
FROM /messages WHERE severity > 3 INTO $upstream                     | condition 10 | use as_number
FROM /messages WHERE as_number(a) = 1-2 INTO $upstream               | condition 14 | 1-2 is one name
FROM /messages WHERE round(as_number(t)) = 3 INTO $upstream          | condition 1  | no function 'round'
FROM /messages WHERE substring(name) = 'a' INTO $upstream            | condition 1  | substring takes
FROM /messages WHERE NOT site = 'oslo' INTO $upstream                | condition 1  | NOT needs a condition
FROM /messages WHERE contains(site, 'o') = True INTO $upstream       | condition 21 | True is a property
FROM /messages WHERE is_defined(site) AND $body.ok INTO $upstream    | condition 18 | bare body value
FROM /messages WHERE $body.count % 2 = 0 INTO $upstream              | condition 13 | % does not take body values
FROM /messages WHERE $body.items[first].id = 1 INTO $upstream        | condition 1  | after a name may come
FROM /messages INTO $dlq                                             | route 21     | no endpoint '$dlq'
FROM /messages INTO BrokeredEndpoint("/modules/scorer/in")           | route 38     | an endpoint is
"""


@pytest.mark.parametrize("line", INVALID.strip().splitlines())
def test_routes_that_the_product_refuses(line: str) -> None:
    text, place, message = (part.strip() for part in line.split(" | "))
    problems = check_route(text).problems
    origin, _, column = place.partition(" ")
    offset = text.index(" WHERE ") + len(" WHERE ") if origin == "condition" else 0
    assert [problem.column for problem in problems] == [offset + int(column)]
    assert message in problems[0].text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected FROM, found the end"),
        ("INTO $upstream", "column 1: expected FROM"),
        ("FROM / INTO", "column 8: expected a name or"),
        ("FROM /messages/*INTO $upstream", "expected INTO"),
        ("FROM /messages/*", "expected INTO"),
        ("FROM /* WHERE x", "expected INTO"),
        ("FROM /* WHERE INTO $upstream", "column 15: expected a value, found 'INTO'"),
        ("FROM /* INTO", "expected .upstream or"),
        ("FROM /* INTO upstream", "expected .upstream or"),
        ("FROM /* INTO Queue('a')", "column 14: there is no kind of endpoint 'Queue'"),
        ("FROM /* INTO BrokeredEndpoint", "after BrokeredEndpoint"),
        ('FROM /* INTO BrokeredEndpoint("/modules/a/inputs/b"', "column 52: expected"),
        ('FROM /* INTO BrokeredEndpoint("/modules//inputs/x")', "an endpoint is"),
        ("FROM /messages/into/x INTO $upstream", "'INTO' is no name in a route"),
        ("FROM /* INTO $upstream */", "expected a path"),
        ("FROM /messages/{x} INTO $upstream", "expected a name"),
        ("FROM /messages/[x] INTO $upstream", "no name in a route"),
        ("SELECT FROM /* INTO $upstream", "column 1: expected FROM, found 'SELECT'"),
        ("FROM /* WHERE a == b INTO $upstream", "column 18: .*write = for equal"),
        ("FROM /* WHERE a = @ b INTO $upstream", "column 19: invalid symbol '@'"),
        ("FROM /* WHERE a @ INTO $upstream", "column 17: invalid symbol '@'"),
        ("FROM /* WHERE @ INTO $upstream", "column 15: invalid symbol '@'"),
        ("FROM /* WHERE (1 = 1)) INTO $upstream", "column 22: unmatched closing '\\)'"),
        ("FROM /* WHERE a = b) INTO $upstream", "column 20: unmatched closing '\\)'"),
        ("FROM /* WHERE length(a = 1 INTO $upstream", "column 28: expected \\) to close 'length'"),
        ("FROM /* WHERE (a b) INTO $upstream", "column 18: expected an operator, \\) or INTO, found 'b'"),
        ("FROM /* WHERE a, b INTO $upstream", "column 16: expected an operator or INTO, found ','"),
        ("FROM /* WHERE () INTO $upstream", "column 16: expected a value"),
        ("FROM /* WHERE lower(a,) = a INTO $upstream", "column 23: expected a value"),
        ("FROM /* WHERE 3 -2 = 1 INTO $upstream", "column 17: .*put blanks around -"),
        ("FROM /* WHERE a && b INTO $upstream", "column 17: .*&& is AND"),
        ("FROM /* WHERE a LIKE 'x' INTO $upstream", "there is no LIKE"),
        ("FROM /* WHERE a[0] = 1 INTO $upstream", "column 15: .* fit only into .body"),
        ("FROM /* WHERE {a} = 1 INTO $upstream", "column 15: expected a value, found '{'"),
        ("FROM /* WHERE a = 'x\\y' INTO $upstream", "column 21: a backslash in a string"),
        ("FROM /* WHERE -abs(as_number(a)) < 0 INTO $upstream", "put a blank behind -"),
        ("FROM /* WHERE twin_change_includes(a) INTO $upstream", "no function that a route of edgeHub can use"),
        ("FROM /* WHERE $body. = 1 INTO $upstream", "a path must follow"),
    ],
)
def test_texts_that_are_no_routes(text: str, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        compile_route(parse_route(text))
    assert check_route(text).problems


def test_all_problems_at_once_from_left_to_right() -> None:
    check = check_route("FROM /messages/42 WHERE a > 3 AND (b = 1) AND round(c) = 2 INTO $dlq")
    assert [(problem.column, problem.stage) for problem in check.problems] == [
        (16, "syntax"),
        (27, "types"),
        (38, "types"),
        (47, "types"),
        (65, "syntax"),
    ]
    assert [problem.column for problem in check_route("FROM WHERE = INTO BrokeredEndpoint('x')").problems] == [
        6,
        12,
        36,
    ]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        ("true", Literal("bool", "true")),
        ("True", Property("True")),
        ("0X1f", Literal("number", "0X1f")),
        ("-.5e-3", Literal("number", "-.5e-3")),
        ("e5", Literal("number", "e5")),
        ("'it\\'s'", Literal("string", "it's")),
        ("'it's'", Property("'it's'")),
        ("a!", Property("a!")),
        ("a!='b'", Chain((Property("a!"), Literal("string", "b")), ("=",))),
        ("a != b", Chain((A, B), ("!=",))),
        ("a<>b", Chain((A, B), ("<>",))),
        ("2*3", Property("2*3")),
        ("'x'||'y'", Property("'x'||'y'")),
        ('"x"||"y"', Chain((Literal("string", "x"), Literal("string", "y")), ("||",))),
        ("a/b", Chain((A, B), ("/",))),
        ("a + b * c", Chain((A, Chain((B, C), ("*",))), ("+",))),
        ("a * b + c", Chain((Chain((A, B), ("*",)), C), ("+",))),
        ("a + b - c", Chain((A, B, C), ("+", "-"))),
        ("(a + b) - c", Chain((A, B, C), ("+", "-"))),
        ("a + (b - c)", Chain((A, Chain((B, C), ("-",))), ("+",))),
        ("a or b AND c", Chain((A, Chain((B, C), ("and",))), ("or",))),
        ("a ?? b OR c", Chain((A, Chain((B, C), ("or",))), ("??",))),
        ("NOT a = b", Chain((Prefix("not", A), B), ("=",))),
        ("not - a", Prefix("not", Prefix("-", A))),
        ("- 5", Prefix("-", Literal("number", "5"))),
        ("-abs(a)", Call("-abs", (A,))),
        ("power (a, (b))", Call("power", (A, B))),
        ("f()", Call("f", ())),
        ("$name", SystemProperty("name")),
        ("{ $body.a }", SystemProperty("body.a", True)),
        ("$body.a[0].b", SystemProperty("body.a[0].b")),
        ("a\u00a0b", Property("a\u00a0b")),
    ],
)
def test_conditions(text: str, tree: Expression) -> None:
    assert condition(text) == tree


@pytest.mark.parametrize(
    "name", ["42", "0x1f", "e5", "1e5", "true", "null", "NOT", "From", "-1", "$a", "a/b", "", "a b", "*", "'a'", "a[0]"]
)
def test_names_that_routes_cannot_spell(name: str) -> None:
    assert not can_be_spelled(name)


@pytest.mark.parametrize("name", ["a", "a-b", "a_b", "42a", "True", "e5x", "into2", "it's"])
def test_names_that_routes_can(name: str) -> None:
    assert can_be_spelled(name)


@pytest.mark.parametrize(
    ("string", "value"),
    [
        ("'a'", "a"),
        ("'\\'\\\"\\\\'", "'\"\\"),
        ("'\\u0041\\u00e9'", "Aé"),
        ("'\\ud83d\\ude00'", "😀"),
        ("'\\\\u0041'", "\\A"),  # as the product reads it: code points first
        ("'\\u005c\\u0027'", "'"),
    ],
)
def test_strings(string: str, value: str) -> None:
    assert [token.kind for token in tokenize(string)] == ["string", "end"]
    assert unquoted(string) == value
    assert unquoted(quoted(value)) == value


def test_the_module_a_route_listens_to() -> None:
    assert parse_route("FROM /Messages/Modules/a/* INTO $upstream").source_module == "a"
    assert parse_route("FROM /messages/modules/* INTO $upstream").source_module is None
    assert parse_route("FROM /messages/* INTO $upstream").source_module is None


@pytest.mark.parametrize(
    ("path", "source", "takes"),
    [
        ("/messages/*", "/messages", True),
        ("/messages", "/messages/modules/m/outputs/o", True),
        ("/*", "/twinChangeNotifications", True),
        ("/messages/*", "/twinChangeNotifications", False),
        ("/messages/modules/M", "/messages/modules/m/outputs/o", True),
        ("/messages/modules/m", "/messages/modules/m2", False),
        ("/messages/modules/cam*", "/messages/modules/cam1", False),
        ("/messages/modules/cam*", "/messages/modules/cam", True),
        ("/messages/*/m", "/messages/modules/m", False),
        ("/messages/modules/m/outputs/o", "/messages/modules/m", False),
        ("/TwinChangeNotifications", "/twinChangeNotifications", True),
    ],
)
def test_sources(path: str, source: str, takes: bool) -> None:
    assert parse_route(f"FROM {path} INTO $upstream").takes_from(source) is takes


def test_what_follows_the_sink_is_remembered() -> None:
    assert parse_route("FROM /* INTO $upstream extra").ignored == 24
    assert parse_route("FROM /messages INTO $upstream /* no */").ignored is None
    assert parse_route("FROM /* INTO $upstream x") == Route(("*",), None, UP)


def test_hostile_texts_are_answered() -> None:
    many = 1300
    for text in (
        "(" * many + "a" + ")" * many + " = 'x'",
        "NOT " * many + "a",
        "f(" * many + "a" + ")" * many,
        "a = '" + "\\\\" * many,
        "/*" * many,
        "'" * many,
        '"' * many,
        "(a OR b) OR (" * many,
        "- " * many,
        "9" * many + "-",
        "$body" + ".a" * many + "..",
        "$body.a" + "[0]" * many + "x = 1",
        "[" * many,
    ):
        assert check_route(f"FROM /* WHERE {text} INTO $upstream") is not None
    chain = " OR ".join(["a = 'x'"] * 350)
    assert callable(compile_route(parse_route(f"FROM /* WHERE {chain} INTO $upstream")))
    deep = check_route(f"FROM /* WHERE {'NOT ' * 200}true INTO $upstream")
    assert [problem.text for problem in deep.problems] == ["is nested more than 100 deep: split the route"]
