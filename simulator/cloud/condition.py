"""Conditions of the hub's query language: text -> steps of a small stack machine -> whether a twin document fits. Pure.

    condition  = or ;  or = and { OR and } ;  and = not { AND not } ;  not = { NOT } compare ;
    compare    = operand [ ( "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) operand | [ NOT ] IN list | NIN list ] ;
    operand    = number | text | true | false | null | path | "(" or ")" | function "(" or { "," or } ")" ;
    list       = "[" literal { "," literal } "]" ;
    function   = is_defined | array_contains ;

What a document lacks is undefined; so is a comparison with it, or of values of two kinds. Undefined fits as little as
false, also after NOT. The first name of a path is taken in any case, the others as they stand. Reading and evaluating
use no recursion and take time in proportion to the length of the text.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulator.cloud.query_text import QueryError, Token, literal, path_steps, split_tokens


class _Undefined:
    """What a document does not have."""


UNDEFINED = _Undefined()

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    **{"=": operator.eq, "!=": operator.ne, "<>": operator.ne},
    **{"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
}
_BINDING = {"or": 1, "and": 2, "not": 3, **dict.fromkeys(_COMPARISONS, 4)}
_FUNCTIONS = {"is_defined": 1, "array_contains": 2}


class Step(NamedTuple):
    """What the machine does: push a `value`, push what stands at a path, or replace values on top (`operator`)."""

    do: str
    argument: Any


class Condition(NamedTuple):
    """A condition that was read."""

    steps: tuple[Step, ...]

    def fits(self, document: Mapping[str, Any]) -> bool:
        """Whether the document fulfils it."""
        stack: list[Any] = []
        for step in self.steps:
            if step.do == "value":
                stack.append(step.argument)
            elif step.do == "path":
                stack.append(value_at(document, step.argument))
            else:
                _operate(step, stack)
        return stack[-1] is True


def value_at(document: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    """What stands at a path, UNDEFINED when nothing does."""
    value: Any = document
    for place, name in enumerate(steps):
        if not isinstance(value, Mapping):
            return UNDEFINED
        if place == 0 and name not in value:
            name = next((known for known in value if known.lower() == name.lower()), name)
        value = value.get(name, UNDEFINED)
    return value


def parse_condition(text: str) -> Condition:
    """Read a condition. Raises QueryError."""
    tokens = split_tokens(text)
    condition, place = read_condition(tokens, 0)
    if tokens[place].kind != "end":
        raise tokens[place].error("AND, OR or the end")
    return condition


def read_condition(tokens: list[Token], place: int) -> tuple[Condition, int]:
    """Read a condition from this place of the tokens on; it, and the place after it. Raises QueryError."""
    reading = _Reading(tokens, place)
    while reading.wants_more():
        pass
    return Condition(tuple(reading.steps)), reading.place


@dataclass
class _Reading:
    """Operator precedence with two stacks. `waiting` holds operators and open brackets, the bracket of a function as
    its token, and `arguments` how many of them each open function has.
    """

    tokens: list[Token]
    place: int
    steps: list[Step] = field(default_factory=list)
    waiting: list[Token] = field(default_factory=list)
    arguments: list[int] = field(default_factory=list)
    after_operand: bool = False
    compared: list[bool] = field(default_factory=lambda: [False])

    def wants_more(self) -> bool:
        """Take the next token or two; False when the condition ends here."""
        token = self.tokens[self.place]
        if not self.after_operand:
            self._take_operand(token)
            return True
        if token.is_sign(")") and self._is_open():
            self._close()
        elif token.is_sign(",") and self._is_open() and self._innermost().kind == "path":
            self._unwind(0)
            self.arguments[-1] += 1
            self.after_operand = self.compared[-1] = False
        elif token.text in _COMPARISONS and token.kind == "sign":
            self._mark_compared(token)
            self._unwind(_BINDING[token.text])
            self.waiting.append(token)
            self.after_operand = False
        elif token.is_keyword("and", "or"):
            self._unwind(_BINDING[token.text])
            self.waiting.append(token)
            self.after_operand = self.compared[-1] = False
        elif token.is_keyword("in", "nin", "not"):
            self._take_list(token)
            return True
        elif self._is_open():
            raise token.error("an operator or ')'")
        else:
            self._unwind(0)
            return False
        self.place += 1
        return True

    def _take_operand(self, token: Token) -> None:
        following = self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        self.place += 1
        if token.is_keyword("not"):
            if self.waiting and self.waiting[-1].text in _COMPARISONS:
                raise token.error("a value")
            self.waiting.append(token)
        elif token.is_sign("("):
            self.waiting.append(token)
            self.compared.append(False)
        elif token.kind == "path" and following.is_sign("("):
            if token.text.lower() not in _FUNCTIONS:
                raise token.error(f"one of the functions {', '.join(_FUNCTIONS)}")
            self.place += 1
            self.waiting.append(token)
            self.arguments.append(1)
            self.compared.append(False)
        elif token.kind == "path":
            self.steps.append(Step("path", path_steps(token)))
            self.after_operand = True
        else:
            self.steps.append(Step("value", literal(token)))
            self.after_operand = True

    def _take_list(self, token: Token) -> None:
        is_negated = token.text != "in"
        self.place += 1
        if token.text == "not":
            if not self.tokens[self.place].is_keyword("in"):
                raise self.tokens[self.place].error("IN")
            self.place += 1
        self._mark_compared(token)
        self._unwind(_BINDING["="])
        self.steps.append(Step("nin" if is_negated else "in", self._list()))

    def _list(self) -> tuple[object, ...]:
        if not self.tokens[self.place].is_sign("["):
            raise self.tokens[self.place].error("a list in [ ]")
        values: list[object] = []
        while True:
            self.place += 1
            values.append(literal(self.tokens[self.place]))
            self.place += 1
            if self.tokens[self.place].is_sign("]"):
                self.place += 1
                return tuple(values)
            if not self.tokens[self.place].is_sign(","):
                raise self.tokens[self.place].error("',' or ']'")

    def _mark_compared(self, token: Token) -> None:
        if self.compared[-1]:
            raise token.error("AND, OR or the end: comparisons cannot be chained")
        self.compared[-1] = True

    def _is_open(self) -> bool:
        return len(self.compared) > 1

    def _innermost(self) -> Token:
        return next(token for token in reversed(self.waiting) if token.kind == "path" or token.is_sign("("))

    def _unwind(self, binding: int) -> None:
        while self.waiting and _BINDING.get(self.waiting[-1].text, 0) >= max(binding, 1):
            self.steps.append(Step(self.waiting.pop().text, None))

    def _close(self) -> None:
        self._unwind(0)
        opened = self.waiting.pop()
        self.compared.pop()
        if opened.kind == "path":
            name, given = opened.text.lower(), self.arguments.pop()
            if given != _FUNCTIONS[name]:
                raise QueryError(f"{name} takes {_FUNCTIONS[name]} argument(s), not {given}", opened.column)
            self.steps.append(Step(name, None))


def _operate(step: Step, stack: list[Any]) -> None:
    last = stack.pop()
    if step.do == "is_defined":
        stack.append(last is not UNDEFINED)
    elif step.do == "not":
        stack.append(not last if isinstance(last, bool) else UNDEFINED)
    elif step.do in ("in", "nin"):
        stack.append(_is_in(last, step.argument, step.do == "nin"))
    elif step.do == "array_contains":
        array = stack.pop()
        stack.append(
            any(_compared("=", item, last) is True for item in array) if isinstance(array, list) else UNDEFINED
        )
    elif step.do in ("and", "or"):
        stack.append(_joined(step.do, stack.pop(), last))
    else:
        stack.append(_compared(step.do, stack.pop(), last))


def _joined(word: str, one: Any, other: Any) -> Any:
    decisive = word == "or"
    if one is decisive or other is decisive:
        return decisive
    both_known = isinstance(one, bool) and isinstance(other, bool)
    return (not decisive) if both_known else UNDEFINED


def _is_in(value: Any, values: tuple[object, ...], is_negated: bool) -> Any:
    if value is UNDEFINED:
        return UNDEFINED
    found = any(_compared("=", value, each) is True for each in values)
    return found != is_negated


def _compared(sign: str, one: Any, other: Any) -> Any:
    kinds = [_kind(one), _kind(other)]
    if not kinds[0] or kinds[0] != kinds[1]:
        return UNDEFINED
    return _COMPARISONS[sign](one, other)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""
