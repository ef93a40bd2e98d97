"""Values of expressions at run time and their kinds when a route is compiled.

Pure. A value is a text, a number (always a float), a bool, None (null), or one of `Odd`. Texts are compared and counted
in the units of UTF-16, as the product does.
"""

from collections.abc import Callable
from enum import Enum, StrEnum


class Odd(Enum):
    """`UNDEFINED`: there is no value. `MISSING`: what a path into the body gives that leads nowhere.

    MISSING is null in every respect but one: `is_null` answers false.
    """

    UNDEFINED = "undefined"
    MISSING = "null (missing)"


UNDEFINED, MISSING = Odd.UNDEFINED, Odd.MISSING
Value = str | float | bool | None | Odd


class Kind(StrEnum):
    """What is known of an expression before there is a message. BROKEN: a problem was reported, all goes with it."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    NULL = "null"
    UNDEFINED = "undefined"
    BODY = "body"
    BROKEN = "broken"

    @property
    def shown(self) -> str:
        """The kind in a sentence."""
        return {"null": "null", "undefined": "undefined", "body": "a body value"}.get(self, f"a {self.value}")


def as_defined(number: float) -> float | Odd:
    """A result of arithmetic: not-a-number is UNDEFINED."""
    return number if number == number else UNDEFINED


def utf16(text: str) -> str:
    """The text with each unit of UTF-16 as a character."""
    if text.isascii() or max(text) < "\U00010000":
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(units[at] | units[at + 1] << 8) for at in range(0, len(units), 2))


def from_utf16(text: str) -> str:
    """The opposite of `utf16`; half of a pair stays what it is."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


# Body values of different kinds are never equal; this is their order.
_RANKS: dict[type, int] = {bool: 0, float: 1, str: 2, type(None): 3, Odd: 3}


def body_order(left: Value, right: Value) -> int:
    """-1, 0 or 1, when at least one side comes from the body and none is UNDEFINED."""
    rank, other_rank = _RANKS[type(left)], _RANKS[type(right)]
    if rank != other_rank:
        return -1 if rank < other_rank else 1
    if isinstance(left, str) and isinstance(right, str):
        left, right = utf16(left), utf16(right)
        return (left > right) - (left < right)
    if isinstance(left, float) and isinstance(right, float):
        if left != left or right != right:  # not-a-number comes before all numbers
            return (left == left) - (right == right)
        return (left > right) - (left < right)
    if isinstance(left, bool) and isinstance(right, bool):
        return left - right
    return 0


_ORDER_TESTS: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<>": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def body_comparison(operator: str) -> Callable[[Value, Value], Value]:
    """A comparison with a body value on at least one side."""
    fits = _ORDER_TESTS[operator]

    def compare(left: Value, right: Value) -> Value:
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
        return fits(body_order(left, right))

    return compare
