"""Checks the text of a route: all that is wrong with it, and what is taken but probably not meant.

Pure. `check_route` never raises, whatever the text.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from edgepack.deployment.route_compiler import Compiled, compile_expression, swallowed
from edgepack.deployment.route_message import is_time
from edgepack.deployment.route_parser import read_route
from edgepack.deployment.route_tree import Call, Chain, Literal, Property, Route, RouteProblem, SystemProperty
from edgepack.deployment.route_values import MISSING, Kind, Value, body_comparison

_SOURCES = ("messages", "twinchangenotifications", "")
SYSTEM_PROPERTIES = (
    "messageId cid userId to contentType contentEncoding outputName absolute-expiry-time messageSchema creationTime "
    "iothub-interface-id dt-subject operation connectionDeviceId connectionModuleId edgeHubOriginInterface "
    "edgeMessageId modelId rpSenderDeviceId rpSenderModuleId"
).split()
_KNOWN_SYSTEM_PROPERTIES = {name.lower() for name in SYSTEM_PROPERTIES}
_KIND_TESTS = ("is_number", "is_string", "is_bool")
_LITERAL_VALUES: dict[str, Value] = {"string": "", "number": 0.0, "bool": False}


class Trap(NamedTuple):
    """Something that edgeHub takes and that probably does not do what was meant."""

    column: int
    text: str
    about_source: bool = False

    def __str__(self) -> str:
        return f"column {self.column}: {self.text}"


class RouteCheck(NamedTuple):
    """`route` is None when there are problems in its shape. Traps are only looked for where there are no problems."""

    route: Route | None
    problems: tuple[RouteProblem, ...]
    traps: tuple[Trap, ...]


@lru_cache(maxsize=256)  # a manifest's rules ask several times about each of its routes
def check_route(text: str) -> RouteCheck:
    """All problems of a route, or else its traps."""
    reading = read_route(text)
    problems = list(reading.problems)
    compiled = None if reading.condition is None else compile_expression(reading.condition, problems)
    if problems or reading.route is None:
        return RouteCheck(reading.route, tuple(sorted(problems, key=lambda problem: problem.column)), ())
    traps = [*_source_traps(reading.route, text), *(_condition_traps(compiled) if compiled else ())]
    if reading.ignored is not None:
        traps.append(Trap(reading.ignored, "what follows the sink is ignored"))
    return RouteCheck(reading.route, (), tuple(sorted(traps, key=lambda trap: trap.column)))


def _source_traps(route: Route, text: str) -> Iterator[Trap]:
    column = text.index("/") + 1
    if route.path[0].lower().rstrip("*") not in _SOURCES:
        yield Trap(column, f"no message comes from /{route.path[0]}: use /messages/* or /*", True)
    for item in route.path:
        if "*" in item.strip("*") or (item.rstrip("*") and item != item.rstrip("*")) or item.startswith("**"):
            yield Trap(column, f"{item!r} is no pattern: a * only stands for all that follows a /", True)
    if "*" in route.path[:-1]:
        yield Trap(column, "a * before another name stands for itself: the route takes nothing", True)


def _condition_traps(compiled: Compiled) -> Iterator[Trap]:
    if compiled.kind not in (Kind.BOOL, Kind.BODY):
        yield Trap(compiled.node.column, f"the condition is {compiled.kind.shown}, never true: the route takes nothing")
    parts = list(_all_parts(compiled))
    guarded = {
        argument.body_path
        for part in parts
        if isinstance(part.node, Call) and part.node.function.lower() in _KIND_TESTS
        for argument in part.node.arguments
        if isinstance(argument, SystemProperty)
    }
    for part in parts:
        match part.node:
            case Property(name, column):
                yield from _name_traps(name, column)
            case SystemProperty(name, _, column):
                yield from _system_name_traps(name, column)
            case Literal("number", text, column) if part.kind is Kind.UNDEFINED:
                yield Trap(column, f"{text} is a number that cannot be read: it is undefined")
            case Call(function, _, column) if part.parts and part.parts[0].kind is Kind.BODY:
                yield from _body_call_traps(function.lower(), column)
            case Chain() as chain:
                yield from _comparison_traps(chain, part.parts, guarded)


def _all_parts(compiled: Compiled) -> Iterator[Compiled]:
    waiting = [compiled]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.parts


def _name_traps(name: str, column: int) -> Iterator[Trap]:
    if name.lower() in ("true", "false", "null", "undefined"):
        yield Trap(column, f"{name} is a property, write {name.lower()}")
    elif swallowed(name):
        yield Trap(column, f"{name} is the name of one property: put blanks around operators, and around strings")


def _system_name_traps(name: str, column: int) -> Iterator[Trap]:
    if name.lower() == "body" or name.lower().startswith("body["):
        yield Trap(column, f"${name} is not the body: a path must follow, as in $body.machine.pressure")
    elif name.lower() == "correlationid":
        yield Trap(column, "there is no $correlationId: it is called $cid")
    elif name.lower() not in _KNOWN_SYSTEM_PROPERTIES and not name.lower().startswith("body."):
        yield Trap(column, f"${name} is no system property: there are {', '.join(SYSTEM_PROPERTIES)}")


def _body_call_traps(function: str, column: int) -> Iterator[Trap]:
    if function == "is_null":
        yield Trap(column, "is_null is true for what is in the body, and false for what is missing: write ... = null")
    if function == "is_defined":
        yield Trap(column, "is_defined is true when the path leads nowhere: write ... != null")


def _comparison_traps(chain: Chain, parts: tuple[Compiled, ...], guarded: set[str | None]) -> Iterator[Trap]:
    sides = zip(parts, chain.operators, parts[1:], chain.columns, strict=False)
    for left, operator, right, column in sides:
        body, other = (left, right) if left.kind is Kind.BODY else (right, left)
        literal = other.node
        if body.kind is not Kind.BODY or not isinstance(literal, Literal) or operator not in _COMPARISONS:
            continue
        if literal.kind == "string" and is_time(literal.text):
            yield Trap(literal.column, "a text that looks like a time is never in the body: it is undefined there")
        path = body.node.body_path if isinstance(body.node, SystemProperty) else None
        if path is None or path in guarded or literal.kind not in _LITERAL_VALUES:
            continue
        sample = _LITERAL_VALUES[literal.kind]
        compare = body_comparison(operator)
        if (compare(MISSING, sample) if body is left else compare(sample, MISSING)) is True:
            test = {"number": "is_number", "string": "is_string", "bool": "is_bool"}[literal.kind]
            text = f"{operator} is true when $body.{path} is missing: write {test}($body.{path}) AND ..."
            yield Trap(column, text)


_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")
