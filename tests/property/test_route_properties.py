"""Routes survive being printed; the compiled conditions agree with a plain walk over the tree; no text is too odd."""

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_compiler import compile_expression, compile_route
from edgepack.deployment.route_message import RoutedMessage, Scope
from edgepack.deployment.route_parser import parse_route
from edgepack.deployment.route_printer import print_route
from edgepack.deployment.route_tree import (
    LEVELS,
    Call,
    Chain,
    Expression,
    Literal,
    ModuleInput,
    Prefix,
    Property,
    Route,
    RouteError,
    RouteProblem,
    SystemProperty,
    Upstream,
)
from tests.examples import examples
from tests.fakes.route_walk import Refused, walk

LIGHT = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXTS = st.sampled_from(["", "a", "3", "-1.5", "it's", 'a "b"', "\\u0041", "😀b", "*/", "2026-01-31T10:00:00Z", "x\n"])
LEAVES: dict[str, st.SearchStrategy[Expression]] = {
    "string": st.one_of(
        TEXTS.map(lambda text: Literal("string", text)),
        st.sampled_from([Property("a"), Property("B"), Property("gone"), Property("a!"), SystemProperty("cid")]),
        st.sampled_from([SystemProperty("own"), SystemProperty("own", True), SystemProperty("gone")]),
    ),
    "number": st.sampled_from(["0", "3", "-2", "0x10", ".5", "1e400", "7.25"]).map(
        lambda text: Literal("number", text)
    ),
    "bool": st.sampled_from([Literal("bool", "true"), Literal("bool", "false")]),
    "null": st.just(Literal("null", "null")),
    "undefined": st.sampled_from([Literal("undefined", "undefined"), Literal("number", "e5")]),
    "body": st.sampled_from(["n", "z", "s", "t", "f", "x", "gone", "time", "o", "l[0]", "l[0][1]", "o.n"]).map(
        lambda path: SystemProperty(f"body.{path}")
    ),
}
FUNCTIONS = {
    "number": (["abs", "exp", "square", "ceiling", "floor", "sign", "sqrt"], ["number"]),
    "bool": (["is_number", "is_string", "is_bool", "is_defined", "is_null"], ["any"]),
    "string": (["lower", "UPPER", "concat", "substring"], ["string"]),
}


@st.composite
def expressions(draw: st.DrawFn, kind: str = "bool", depth: int = 3) -> Expression:
    """Mostly such as compile; now and then an operand of another kind."""
    if draw(st.integers(0, 19)) == 0 or kind == "any":
        kind = draw(st.sampled_from([*LEAVES]))
    if depth == 0 or kind not in FUNCTIONS or draw(st.booleans()):
        return draw(LEAVES[kind if draw(st.integers(0, 5)) else "body"])

    def part(of: str) -> Expression:
        return draw(expressions(of, depth - 1))

    if kind == "bool":
        match draw(st.integers(0, 4)):
            case 0:
                return _chain(draw, [*LEVELS[2], *LEVELS[3]], draw(st.sampled_from([*LEAVES])), part)
            case 1:
                return _chain(draw, ["and", "or"], "bool", part)
            case 2:
                return Prefix("not", part("bool"))
            case 3:
                name = draw(st.sampled_from(["starts_with", "contains", "ends_with"]))
                return Call(name, (part("string"), part("string")))
            case _:
                return Call(draw(st.sampled_from(FUNCTIONS["bool"][0])), (part("any"),))
    if kind == "number":
        match draw(st.integers(0, 4)):
            case 0:
                return _chain(draw, draw(st.sampled_from([list(LEVELS[0]), ["+", "-"]])), "number", part)
            case 1:
                return Call("as_number", (part("string"),))
            case 2:
                return Prefix("-", part("number"))
            case 3:
                return Call("power", (part("number"), part("number")))
            case _:
                return Call(draw(st.sampled_from(FUNCTIONS["number"][0])), (part("number"),))
    match draw(st.integers(0, 3)):
        case 0:
            return _chain(draw, ["||"], "string", part)
        case 1:
            return _chain(draw, ["??"], "string", part)
        case 2:
            return Call("substring", (part("string"), part("number")))
        case _:
            return Call("concat", (part("string"), part("string")))


def _chain(draw: st.DrawFn, operators: list[str], kind: str, part: Callable[[str], Expression]) -> Expression:
    level = next(level for level in LEVELS if operators[0] in level)
    chosen = draw(st.lists(st.sampled_from([each for each in operators if each in level]), min_size=1, max_size=2))
    first = part(kind)
    if isinstance(first, Chain) and first.operators[0] in level:  # the reader makes one chain of these
        return Chain((*first.operands, *(part(kind) for _ in chosen)), (*first.operators, *chosen))
    return Chain((first, *(part(kind) for _ in chosen)), tuple(chosen))


ROUTES = st.builds(
    Route,
    st.lists(st.sampled_from(["messages", "*", "modules", "a-b", "it's", "cam*"]), min_size=1, max_size=4).map(tuple),
    st.none() | expressions(),
    st.just(Upstream()) | st.builds(ModuleInput, st.sampled_from(["m", 'a"b', "it's"]), st.sampled_from(["in", "*"])),
)
MESSAGES = st.builds(
    lambda properties, body: RoutedMessage(
        "/messages",
        properties,
        {"contentType": "application/json", "contentEncoding": "utf-8", "cid": "c", "own": "theirs"},
        json.dumps(body).encode(),
    ),
    st.dictionaries(st.sampled_from(["a", "b", "A!", "$own"]), TEXTS, max_size=3),
    st.dictionaries(
        st.sampled_from(["n", "z", "s", "t", "f", "x", "l", "o", "time"]),
        st.sampled_from([0, 3, -2.5, "a", "3", True, False, None, [5], [[1, 2]], {"n": 1}, "2026-01-31T10:00:00"]),
        max_size=5,
    ),
)


@LIGHT
@given(ROUTES)
def test_a_printed_route_is_read_as_the_same(route: Route) -> None:
    assert parse_route(print_route(route)) == route
    assert "\n" not in print_route(route)


@LIGHT
@given(expressions(), MESSAGES)
def test_compiled_conditions_agree_with_a_walk_over_the_tree(node: Expression, message: RoutedMessage) -> None:
    problems: list[RouteProblem] = []
    compiled = compile_expression(node, problems)
    try:
        kind, expected = walk(node, message)
    except Refused:
        assert problems
        return
    assert problems == []
    assert compiled.kind == kind
    value = compiled.run(Scope(message))
    assert (type(value), repr(value)) == (type(expected), repr(expected))
    takes = compile_route(Route(("*",), node, Upstream()))(message)
    assert takes is (expected is True)


PIECES = st.sampled_from(
    "FROM INTO WHERE SELECT * / /messages $upstream $body.a[0] BrokeredEndpoint ( ) , ' \" \\ /* */ AND OR NOT = != <> "
    "<= ?? || + - % { } [ ] @ ; a a!='x' 'x' 3 -2 e5 true null undefined lower(a) $ é \n".split(" ")
)


@LIGHT
@given(
    st.text(max_size=60)
    | st.lists(PIECES, max_size=25).map(" ".join)
    | st.lists(PIECES, max_size=25).map("".join)
    | st.lists(PIECES, max_size=15).map(lambda pieces: f"FROM /* WHERE {' '.join(pieces)} INTO $upstream")
)
def test_any_text_is_a_route_or_refused(text: str) -> None:
    check = check_route(text)
    for column in (*(problem.column for problem in check.problems), *(trap.column for trap in check.traps)):
        assert 1 <= column <= len(text) + 1
    if check.problems:
        with pytest.raises(RouteError):
            compile_route(parse_route(text))
    else:
        route = parse_route(text)
        assert callable(compile_route(route))
        assert parse_route(print_route(route)) == route


@LIGHT
@given(
    st.binary(max_size=20) | st.text('{}[]",:a1 \\', max_size=20).map(str.encode), st.sampled_from(["utf-8", "utf-16"])
)
def test_any_body_is_taken_or_not(body: bytes, encoding: str) -> None:
    message = RoutedMessage("/messages", {}, {"contentType": "application/json", "contentEncoding": encoding}, body)
    route = parse_route("FROM /* WHERE $body.a = 1 OR is_defined($body.a[0]) INTO $upstream")
    assert compile_route(route)(message) in (True, False)
