"""Says why a route takes a message or not: the value of every part of its condition, and why a part is undefined.

Pure.
"""

import math
from typing import NamedTuple

from edgepack.deployment.route_compiler import Compiled, compile_expression
from edgepack.deployment.route_message import BodyPath, RoutedMessage, Scope
from edgepack.deployment.route_printer import print_expression
from edgepack.deployment.route_tokens import quoted
from edgepack.deployment.route_tree import (
    LEVEL_OF,
    Call,
    Chain,
    Literal,
    Property,
    Route,
    RouteError,
    RouteProblem,
    SystemProperty,
)
from edgepack.deployment.route_values import MISSING, UNDEFINED, Kind, Odd, Value

_LOGIC = ("and", "or")
_COMPARING_LEVELS = (2, 3)


class Part(NamedTuple):
    """An expression and its value for one message; `note`: why it is undefined, or what is odd about the value."""

    text: str
    value: Value
    note: str
    parts: tuple["Part", ...]


class Explanation(NamedTuple):
    """`takes`: the route takes the message. `condition` is None when the route has none."""

    takes: bool
    source_fits: bool
    condition: Part | None


def explain(route: Route, message: RoutedMessage) -> Explanation:
    """Evaluate all parts of a route, also when the message's source does not fit.

    Raises:
        RouteError: the condition does not compile.
    """
    fits = route.takes_from(message.source)
    if route.condition is None:
        return Explanation(fits, fits, None)
    problems: list[RouteProblem] = []
    compiled = compile_expression(route.condition, problems)
    if problems:
        raise RouteError(problems)
    condition = _part(compiled, Scope(message))
    if compiled.kind not in (Kind.BOOL, Kind.BODY) and condition.value is not UNDEFINED:
        condition = condition._replace(note=f"a condition must be true: {compiled.kind.shown} never is")
    return Explanation(fits and condition.value is True, fits, condition)


def shown_value(value: Value) -> str:
    """A value as a route would spell it."""
    if isinstance(value, Odd):
        return value.value
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    return "null" if value is None else str(value).lower()


def _part(compiled: Compiled, scope: Scope) -> Part:
    parts = tuple(_part(part, scope) for part in compiled.parts)
    value = compiled.run(scope)
    note = _why_undefined(compiled, parts, scope) if value is UNDEFINED else _oddity(compiled, value, parts)
    return Part(print_expression(compiled.node), value, note, parts)


def _why_undefined(compiled: Compiled, parts: tuple[Part, ...], scope: Scope) -> str:
    match compiled.node:
        case Literal(kind, text):
            return "it is written so" if kind == "undefined" else f"{text} is a number that cannot be read"
        case Property(name):
            return f"the message has no property {name}"
        case SystemProperty() as node if node.body_path is not None:
            return BodyPath(node.body_path).why_undefined(scope)
        case SystemProperty(name):
            return f"the message has no system property {name}"
    undefined = [part.text for part in parts if part.value is UNDEFINED]
    if undefined:
        return f"{undefined[0]} is undefined"
    return _why_no_result(compiled, ", ".join(shown_value(part.value) for part in parts))


def _why_no_result(compiled: Compiled, values: str) -> str:
    node = compiled.node
    if isinstance(node, Call):
        if node.function.lower() == "as_number":
            return f"{values} is no number"
        return f"{node.function} has no result for {values}"
    if isinstance(node, Chain) and node.operators[0] in _LOGIC:
        return f"bare body values must be true or false here, not {values}"
    if isinstance(node, Chain):
        return f"{node.operators[0]} has no result for {values}"
    return f"it must be true or false, not {values}"


def _oddity(compiled: Compiled, value: Value, parts: tuple[Part, ...]) -> str:
    if value is MISSING:
        return "nothing is there: that is null"
    if isinstance(value, float) and math.isnan(value):
        return "not a number: it comes before all numbers"
    node = compiled.node
    if isinstance(node, Chain) and LEVEL_OF[node.operators[0]] in _COMPARING_LEVELS and len(parts) == 2:
        kinds = [_kind(part.value) for part in parts]
        if kinds[0] != kinds[1]:
            return f"{kinds[0]} and {kinds[1]} are never equal; the order is bool, number, text, null"
    if isinstance(node, Call) and compiled.parts and compiled.parts[0].kind is Kind.BODY:
        if node.function.lower() == "is_null":
            return "of a body value, is_null says whether something is there"
        if node.function.lower() == "is_defined" and parts[0].value is MISSING:
            return "a path that leads nowhere is null, and null is defined"
    return ""


def _kind(value: Value) -> str:
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    return "a number" if isinstance(value, float) else "a text"
