"""The functions of the routing language: what they take and what they give.

Pure. They follow the product, its oddities included: `is_null` of a body value is true for whatever is there and false
for a path that leads nowhere; `is_bool` of something undefined is undefined. `twin_change_includes` is in the product's
source, but no route of edgeHub can use it, so it is not here.
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from edgepack.deployment.route_values import MISSING, UNDEFINED, Kind, Odd, Value, as_defined, from_utf16, utf16


class Function(NamedTuple):
    """`parameters` are the kinds of the arguments, one tuple for each number of them; None takes any kind.

    A body value fits any parameter. `run` gets the values as they are, UNDEFINED among them. `repeats`: more
    arguments like the last may follow. `only`: an argument of another kind makes the answer false, whatever its value.
    """

    parameters: tuple[tuple[Kind | None, ...], ...]
    result: Kind
    run: Callable[..., Value]
    repeats: bool = False
    only: tuple[Kind, ...] = ()

    def accepts(self, kinds: tuple[Kind, ...]) -> bool:
        """Whether arguments of these kinds fit."""
        for wanted in self.parameters:
            if self.repeats and len(kinds) > len(wanted):
                wanted += (wanted[-1],) * (len(kinds) - len(wanted))
            if len(kinds) == len(wanted) and all(
                want is None or kind in (want, Kind.BODY, Kind.BROKEN) for want, kind in zip(wanted, kinds, strict=True)
            ):
                return True
        return False


_NUMBER_TEXT = re.compile(
    r"[\t-\r ]*(?:(\()|([-+]))?([0-9][0-9,]*(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
    r"[\t-\r ]*([-+)]?)[\t-\r ]*\x00*",
    re.ASCII,
)
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_INFINITIES = {"infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf}


def number_of_text(text: str) -> float | Odd:
    """A number as people write it, with blanks, a sign on either side, commas between digits, an exponent, or (5)."""
    if _PLAIN_NUMBER.fullmatch(text):
        return float(text)
    match = _NUMBER_TEXT.fullmatch(text)
    if match is None:
        return _INFINITIES.get(text.strip("\t\n\v\f\r ").lower(), UNDEFINED)
    bracket, sign, digits, tail = match.groups()
    if (bracket is not None) != (tail == ")") or (sign and tail):
        return UNDEFINED
    number = float(digits.replace(",", ""))
    return -number if bracket or "-" in (sign, tail) else number


def _as_number(value: Value) -> Value:
    if type(value) is str:
        return number_of_text(value)
    return as_defined(value) if type(value) is float else UNDEFINED


def _of_number(function: Callable[[float], float]) -> Callable[[Value], Value]:
    def run(value: Value) -> Value:
        return as_defined(function(value)) if type(value) is float and value == value else UNDEFINED

    return run


def _of_text(function: Callable[[str], Value]) -> Callable[[Value], Value]:
    def run(value: Value) -> Value:
        return function(value) if type(value) is str else UNDEFINED

    return run


def _of_texts(function: Callable[[str, str], Value]) -> Callable[[Value, Value], Value]:
    def run(text: Value, part: Value) -> Value:
        return function(text, part) if type(text) is str and type(part) is str else UNDEFINED

    return run


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda number: float(function(number)) if math.isfinite(number) else number


def _exp(number: float) -> float:
    try:
        return math.exp(number)
    except OverflowError:
        return math.inf


def _sqrt(number: float) -> float:
    return math.sqrt(number) if number >= 0 else math.nan


def _sign(number: float) -> float:
    return float((number > 0) - (number < 0))


def _power(base: Value, exponent: Value) -> Value:
    if type(base) is not float or type(exponent) is not float:
        return UNDEFINED
    odd = exponent % 2 == 1 if math.isfinite(exponent) else False
    try:
        return as_defined(math.pow(base, exponent))
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:  # 0 to a negative power is infinite; a broken power of a negative number is none
        if base != 0:
            return UNDEFINED
        return math.copysign(math.inf, base) if odd else math.inf


def concatenation(*texts: Value) -> Value:
    """All texts in one; UNDEFINED when one is no text."""
    joined = []
    for text in texts:
        if type(text) is not str:
            return UNDEFINED
        joined.append(text)
    return "".join(joined)


def _changed_case(change: Callable[[str], str]) -> Callable[[str], str]:
    """Character by character: what would become several stays."""

    def run(text: str) -> str:
        if text.isascii():
            return change(text)
        return "".join(other if len(other := change(each)) == 1 else each for each in text)

    return run


def _substring(text: Value, start: Value, *rest: Value) -> Value:
    if type(text) is not str or type(start) is not float or not 0 <= start <= len(utf16(text)):
        return UNDEFINED
    units = utf16(text)
    if not rest:
        return from_utf16(units[int(start) :])
    length = rest[0]
    if type(length) is not float or not (start < len(units) and 0 <= length <= len(units) - start):
        return UNDEFINED
    return from_utf16(units[int(start) : int(start) + int(length)])


def _is_number(value: Value) -> Value:
    return type(value) is float and math.isfinite(value)


def _is_bool(value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else type(value) is bool


def _is_null(value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else value is not MISSING


def _signature(*kinds: Kind) -> tuple[tuple[Kind | None, ...], ...]:
    return (kinds,)


_N, _S, _B = Kind.NUMBER, Kind.STRING, Kind.BOOL
_ANY: tuple[tuple[Kind | None, ...], ...] = ((None,),)

FUNCTIONS: dict[str, Function] = {
    "abs": Function(_signature(_N), _N, _of_number(abs)),
    "exp": Function(_signature(_N), _N, _of_number(_exp)),
    "square": Function(_signature(_N), _N, _of_number(lambda number: number * number)),
    "ceiling": Function(_signature(_N), _N, _of_number(_whole(math.ceil))),
    "floor": Function(_signature(_N), _N, _of_number(_whole(math.floor))),
    "sign": Function(_signature(_N), _N, _of_number(_sign)),
    "sqrt": Function(_signature(_N), _N, _of_number(_sqrt)),
    "power": Function(_signature(_N, _N), _N, _power),
    "as_number": Function(((_S,), (_N,)), _N, _as_number),
    "is_number": Function(_ANY, _B, _is_number),
    "is_string": Function(_ANY, _B, lambda value: type(value) is str),
    "is_bool": Function(_ANY, _B, _is_bool, only=(Kind.BOOL, Kind.BODY)),
    "is_defined": Function(_ANY, _B, lambda value: value is not UNDEFINED),
    "is_null": Function(_ANY, _B, _is_null, only=(Kind.NULL, Kind.BODY)),
    "concat": Function(_signature(_S, _S), _S, concatenation, repeats=True),
    "lower": Function(_signature(_S), _S, _of_text(_changed_case(str.lower))),
    "upper": Function(_signature(_S), _S, _of_text(_changed_case(str.upper))),
    "length": Function(_signature(_S), _N, _of_text(lambda text: float(len(utf16(text))))),
    "index_of": Function(_signature(_S, _S), _N, _of_texts(lambda text, part: float(utf16(text).find(utf16(part))))),
    "substring": Function(((_S, _N), (_S, _N, _N)), _S, _substring),
    "starts_with": Function(_signature(_S, _S), _B, _of_texts(lambda text, part: text.startswith(part))),
    "contains": Function(_signature(_S, _S), _B, _of_texts(lambda text, part: part in text)),
    "ends_with": Function(_signature(_S, _S), _B, _of_texts(lambda text, part: text.endswith(part))),
}
