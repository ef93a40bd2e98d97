"""The operators of the routing language: which kinds they take, what kind they give, and how they are carried out.

Pure. Nothing is converted: a route whose operands do not fit does not compile. What is known to be no body value is
checked then; body values are checked at run time, and give UNDEFINED or, in comparisons, the order of their kinds.
Logic has three values: `false AND x` is false, `true OR x` is true, else UNDEFINED wins.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from edgepack.deployment.route_functions import concatenation
from edgepack.deployment.route_values import UNDEFINED, Kind, Value, as_defined, body_comparison, utf16

Combine = Callable[[Any, Any], Value]


class Operation(NamedTuple):
    """What an operator does with two operands of known kinds."""

    kind: Kind
    combine: Combine


def _both_defined(operation: Callable[[Any, Any], Value]) -> Combine:
    def combine(left: Value, right: Value) -> Value:
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
        return operation(left, right)

    return combine


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or left != left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _remainder,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_LOGICAL = (Kind.BOOL, Kind.NULL, Kind.UNDEFINED, Kind.BODY)
_COMPARED_WITH_BODY = (Kind.STRING, Kind.NUMBER, Kind.BOOL, Kind.NULL, Kind.BODY)


def operation(operator: str, left: Kind, right: Kind) -> Operation | str:
    """The operation for operands of these kinds, or what is wrong with them."""
    if operator in _COMPARISONS:
        return _comparison(operator, left, right)
    if operator == "||":
        return _concatenation(left, right)
    if operator in _ARITHMETIC:
        return _arithmetic(operator, left, right)
    return _coalesce(left, right) if operator == "??" else _logic(operator, left, right)


def _comparison(operator: str, left: Kind, right: Kind) -> Operation | str:
    if Kind.BODY in (left, right):
        if left in _COMPARED_WITH_BODY and right in _COMPARED_WITH_BODY:
            return Operation(Kind.BOOL, body_comparison(operator))
    elif left == right:
        return Operation(Kind.BOOL, _plain_comparison(operator, left))
    return f"{operator} cannot compare {left.shown} with {right.shown}"


def _plain_comparison(operator: str, kind: Kind) -> Combine:
    compare = _COMPARISONS[operator]
    if kind is Kind.NULL:
        return lambda _left, _right: compare(0, 0)
    if kind is Kind.STRING and operator in ("<", "<=", ">", ">="):
        return _both_defined(lambda left, right: compare(utf16(left), utf16(right)))
    return _both_defined(compare)


def _concatenation(left: Kind, right: Kind) -> Operation | str:
    if {left, right} <= {Kind.STRING, Kind.BODY}:
        return Operation(Kind.STRING, concatenation)
    return f"|| puts strings together, not {left.shown} and {right.shown}"


def _arithmetic(operator: str, left: Kind, right: Kind) -> Operation | str:
    compute = _ARITHMETIC[operator]
    if left is right is Kind.NUMBER:
        return Operation(Kind.NUMBER, _both_defined(lambda left, right: as_defined(compute(left, right))))
    if {left, right} <= {Kind.NUMBER, Kind.BODY}:
        if operator == "%":
            return "% does not take body values: use as_number(...)"
        return Operation(Kind.BODY, _body_arithmetic(compute))
    return f"{operator} needs numbers, not {left.shown} and {right.shown}"


def _body_arithmetic(compute: Callable[[float, float], float]) -> Combine:
    def combine(left: Value, right: Value) -> Value:
        return compute(left, right) if type(left) is float and type(right) is float else UNDEFINED

    return combine


def _coalesce(left: Kind, right: Kind) -> Operation | str:
    kind = left
    if Kind.BODY in (left, right):
        if left not in _COMPARED_WITH_BODY or right not in _COMPARED_WITH_BODY:
            return f"?? cannot choose between {left.shown} and {right.shown}"
        kind = Kind.BODY
    elif left != right:
        return f"?? cannot choose between {left.shown} and {right.shown}"
    return Operation(kind, lambda left, right: right if left is UNDEFINED else left)


def _logic(operator: str, left: Kind, right: Kind) -> Operation | str:
    name = operator.upper()
    if left not in _LOGICAL or (right not in _LOGICAL and left is not Kind.BODY):
        return f"{name} needs conditions, not {left.shown} and {right.shown}"
    if right is Kind.BODY and left is not Kind.BODY:
        return f"{name} takes a bare body value on its right only if one is on its left: compare it, as in ... = true"
    if left is Kind.BODY:
        if right is Kind.NULL and operator == "and":
            return "AND does not take a body value and null"
        return Operation(Kind.BOOL, _body_and if operator == "and" else _body_or)
    if Kind.NULL in (left, right):
        if Kind.UNDEFINED in (left, right):
            return f"{name} does not take {left.shown} and {right.shown}"
        return _logic_with_null(operator, left, right)
    return Operation(Kind.BOOL, _and if operator == "and" else _or)


def _logic_with_null(operator: str, left: Kind, right: Kind) -> Operation:
    """`null AND x` is null; `null OR x` is x."""
    if operator == "and" or left is right:
        return Operation(Kind.NULL, lambda _left, _right: None)
    if left is Kind.NULL:
        return Operation(Kind.BOOL, lambda _left, right: right)
    return Operation(Kind.BOOL, lambda left, _right: left)


def _and(left: Value, right: Value) -> Value:
    if left is False or right is False:
        return False
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else True


def _or(left: Value, right: Value) -> Value:
    if left is True or right is True:
        return True
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else False


def _body_and(left: Value, right: Value) -> Value:
    return left and right if type(left) is bool and type(right) is bool else UNDEFINED


def _body_or(left: Value, right: Value) -> Value:
    return left or right if type(left) is bool and type(right) is bool else UNDEFINED


def prefix_operation(operator: str, kind: Kind) -> tuple[Kind, Callable[[Any], Value]] | str:
    """The same for NOT and a leading `-`."""
    if operator == "-":
        if kind is Kind.NUMBER:
            return Kind.NUMBER, lambda value: UNDEFINED if value is UNDEFINED else -value
        return f"- needs a number, not {kind.shown}" + (": use as_number(...)" if kind is Kind.BODY else "")
    if kind is Kind.NULL:
        return Kind.BOOL, lambda _value: True
    if kind in (Kind.BOOL, Kind.BODY):
        return Kind.BOOL, lambda value: not value if type(value) is bool else UNDEFINED
    return f"NOT needs a condition, not {kind.shown}"
