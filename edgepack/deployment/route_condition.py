"""Reads the expression after WHERE into a tree.

Pure. Nothing here recurses and every token is read once, so that no text is too deep or too long to be answered; what
is nested deeper than `MAX_DEPTH` is refused. Brackets leave no trace in the tree, and `(a OR b) OR c` is one chain.
"""

from dataclasses import dataclass, field

from edgepack.deployment.route_tokens import Token, unquoted
from edgepack.deployment.route_tree import (
    LEVEL_OF,
    LEVELS,
    MAX_DEPTH,
    Broken,
    Call,
    Chain,
    Expression,
    Literal,
    LiteralKind,
    Prefix,
    Property,
    RouteProblem,
    SystemProperty,
)

_KINDS: dict[str, LiteralKind] = {"true": "bool", "false": "bool", "null": "null", "undefined": "undefined"}


@dataclass(slots=True)
class _Group:
    """What is being read between two brackets, or at the top. `function` is set for a call's argument list."""

    opening: Token | None = None
    function: Token | None = None
    arguments: list[Expression] = field(default_factory=list)
    operands: list[Expression] = field(default_factory=list)
    operators: list[Token] = field(default_factory=list)
    prefixes: list[Token] = field(default_factory=list)

    def take(self, operand: Expression) -> None:
        """Add an operand, under the prefix operators before it."""
        for prefix in reversed(self.prefixes):
            operand = Prefix(prefix.text, operand, prefix.column)
        self.prefixes.clear()
        self.operands.append(operand)

    def folded(self) -> Expression:
        """The operands and operators as a tree, by precedence."""
        operands, operators = self.operands, self.operators
        self.operands, self.operators = [], []
        if any(operator.kind == "other" for operator in operators):
            return Broken(operators[0].column)
        for level in range(len(LEVELS)):
            operands, operators = _fold(operands, operators, level)
        return operands[0]


def _fold(operands: list[Expression], operators: list[Token], level: int) -> tuple[list[Expression], list[Token]]:
    folded, left, rest = [], [operands[0]], []
    signs: list[Token] = []
    for operator, operand in zip(operators, operands[1:], strict=True):
        if LEVEL_OF[operator.text] == level:
            left.append(operand)
            signs.append(operator)
            continue
        folded.append(_chain(left, signs))
        rest.append(operator)
        left, signs = [operand], []
    return [*folded, _chain(left, signs)], rest


def _chain(operands: list[Expression], signs: list[Token]) -> Expression:
    first = operands[0]
    if not signs:
        return first
    operators, columns = tuple(sign.text for sign in signs), tuple(sign.column for sign in signs)
    if isinstance(first, Chain) and LEVEL_OF[first.operators[0]] == LEVEL_OF[operators[0]]:
        return Chain((*first.operands, *operands[1:]), first.operators + operators, first.columns + columns)
    return Chain(tuple(operands), operators, columns)


class _Reader:
    """Walks over the tokens with a stack of groups; an operand and an operator take turns."""

    def __init__(self, tokens: list[Token], at: int, problems: list[RouteProblem]) -> None:
        self.tokens, self.at, self.problems = tokens, at, problems
        self.groups = [_Group()]
        self.stopped = False

    def read(self) -> Expression:
        """The whole expression; afterwards `at` is the place of INTO, or of the end."""
        while not self.stopped:
            self._operand()
            while not self.stopped and self._operator():
                pass
        return self.groups[0].folded() if self.groups[0].operands else Broken(self.tokens[self.at].column)

    def _operand(self) -> None:
        """Read prefixes and opening brackets, then one operand."""
        while True:
            token, following = self.tokens[self.at], self.tokens[self.at + 1 : self.at + 3]
            group = self.groups[-1]
            self.at += 1
            if token.is_sign("not", "-"):
                group.prefixes.append(token)
            elif token.is_sign("("):
                self.groups.append(_Group(token))
            elif token.kind == "name" and following[0].is_sign("("):
                self.at += 1
                self.groups.append(_Group(following[0], token))
                if following[1].is_sign(")"):
                    return
            elif token.kind == "other":
                self._say(token, f"invalid symbol {token.shown}")
                if not _begins_operand(following[0]):
                    group.take(Broken(token.column))
                    return
            else:
                self._value(token, following)
                return

    def _value(self, token: Token, following: list[Token]) -> None:
        take = self.groups[-1].take
        if token.kind == "string":
            take(Literal("string", unquoted(token.text), token.column))
        elif token.kind == "number":
            take(Literal("number", token.text, token.column))
        elif token.kind == "literal":
            take(Literal(_KINDS[token.text], token.text, token.column))
        elif token.kind == "name":
            take(Property(token.text, token.column))
        elif token.kind == "system":
            take(SystemProperty(token.text[1:], False, token.column))
        elif token.is_sign("{") and following[0].kind == "system" and following[1].is_sign("}"):
            self.at += 2
            take(SystemProperty(following[0].text[1:], True, following[0].column))
        elif token.kind == "open string" and following[0].kind == "other":
            self._stop(following[0], "a backslash in a string must be followed by \", ', \\ or uXXXX")
        elif token.kind == "open string":
            take(Broken(token.column))  # it runs to the end: what is missing there is said by the caller
        else:
            self._stop(token, f"expected a value, found {token.shown}{_hint(self.tokens[self.at - 2], token)}")

    def _operator(self) -> bool:
        """Read what follows an operand; whether the same is to be done again, as after a closing bracket."""
        token, group = self.tokens[self.at], self.groups[-1]
        if token.is_keyword("into") or token.kind == "end":
            self._end(token)
            return False
        self.at += 1
        if token.kind == "other":
            self._say(token, f"invalid symbol {token.shown}")
            if _begins_operand(self.tokens[self.at]):
                group.operators.append(token)
                return False
        elif token.kind == "sign" and token.text in LEVEL_OF:
            group.operators.append(token)
            return False
        elif token.is_sign(")"):
            self._close(token, group)
        elif token.is_sign(",") and group.function:
            group.arguments.append(group.folded())
            return False
        else:
            what = "an operator, ) or INTO" if group.opening else "an operator or INTO"
            self._stop(token, f"expected {what}, found {token.shown}{_hint(self.tokens[self.at - 2], token)}")
        return True

    def _close(self, token: Token, group: _Group) -> None:
        if group.opening is None:
            self._say(token, "unmatched closing ')'")
            return
        self.groups.pop()
        if group.operands:
            group.arguments.append(group.folded())
        if group.function:
            call = Call(group.function.text, tuple(group.arguments), group.function.column)
            self.groups[-1].take(call)
        else:
            self.groups[-1].take(group.arguments[0])

    def _end(self, token: Token) -> None:
        self.stopped = True
        while len(self.groups) > 1:
            group = self.groups.pop()
            if group.function:
                self._say(token, f"expected ) to close {group.function.shown}, found {token.shown}")
            elif group.opening and token.kind != "end":
                self._say(group.opening, "missing closing ')'")
            self.groups[-1].take(Broken(token.column))

    def _say(self, token: Token, text: str) -> None:
        self.problems.append(RouteProblem(token.column, text))

    def _stop(self, token: Token, text: str) -> None:
        """Report what makes no sense and go on behind the condition."""
        self._say(token, text)
        self.stopped = True
        self.groups = [_Group()]
        self.at -= 1
        while self.tokens[self.at].kind != "end" and not self.tokens[self.at].is_keyword("into"):
            self.at += 1


def read_condition(tokens: list[Token], at: int, problems: list[RouteProblem]) -> tuple[Expression, int]:
    """Read the expression that begins at token `at`; gives it and the place of what follows (INTO, or the end)."""
    reader = _Reader(tokens, at, problems)
    expression = reader.read()
    too_deep = column_below(expression, MAX_DEPTH)
    if too_deep is not None:
        problems.append(RouteProblem(too_deep, f"is nested more than {MAX_DEPTH} deep: split the route"))
        expression = Broken(too_deep)
    return expression, reader.at


def column_below(expression: Expression, depth: int) -> int | None:
    """The column of something that lies deeper than `depth`; None when nothing does."""
    waiting: list[tuple[Expression, int]] = [(expression, 1)]
    while waiting:
        node, level = waiting.pop()
        if level > depth:
            return node.column
        waiting += [(part, level + 1) for part in parts_of(node)]
    return None


def parts_of(node: Expression) -> tuple[Expression, ...]:
    """The expressions of which this one is made."""
    if isinstance(node, Chain):
        return node.operands
    if isinstance(node, Call):
        return node.arguments
    return (node.operand,) if isinstance(node, Prefix) else ()


def _begins_operand(token: Token) -> bool:
    if token.kind == "sign":
        return token.text in ("not", "-", "(", "{")
    return token.kind in ("string", "open string", "number", "literal", "name", "system")


def _hint(before: Token, token: Token) -> str:
    if before.is_sign("=") and token.is_sign("="):
        return ": write = for equal"
    if token.kind == "path":
        return ": [ ] fit only into $body"
    if token.kind == "number" and token.text.startswith("-"):
        return ": put blanks around -"
    if token.kind == "name" and token.text.lower() in ("like", "in", "between", "is"):
        return f": there is no {token.text.upper()} in this language"
    return ": && is AND" if token.text == "&&" else ""
