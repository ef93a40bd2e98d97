"""The words of the hub's query language: text -> tokens with their columns. Pure, in one pass.

A path is one token: names joined by dots, a name with other characters in `[[ ]]`. Texts stand in single or double
quotes, with backslash escapes.
"""

import re
from typing import NamedTuple

from simulator.cloud.hub_error import HubError

LONGEST_CHARACTERS = 8_192

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)(?![\w$])
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<path>(?:[^\W\d]|\$)[\w$]*(?:\.(?:\[\[[^\[\]]{1,256}\]\]|[\w$]+))*)
      | (?P<sign><=|>=|<>|!=|[=<>(),\[\]*])
    )""",
    re.VERBOSE | re.DOTALL,
)
_STEP = re.compile(r"\[\[([^\[\]]+)\]\]|([\w$]+)")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_KEYWORDS = frozenset("select top from where group order by as and or not in nin true false null".split())


class QueryError(HubError):
    """The hub cannot read a query or condition; the text names the column (from 1)."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(400, f"{text} (column {column})")


class Token(NamedTuple):
    """`kind` is number, text, path, sign, keyword or end; `text` is as it stands, a keyword in lower case."""

    kind: str
    text: str
    column: int

    def is_sign(self, sign: str) -> bool:
        """Whether it is this sign."""
        return self.kind == "sign" and self.text == sign

    def is_keyword(self, *words: str) -> bool:
        """Whether it is one of these keywords."""
        return self.kind == "keyword" and self.text in words

    def error(self, expected: str) -> QueryError:
        """That something else is expected here."""
        found = "the end" if self.kind == "end" else repr(self.text[:60])
        return QueryError(f"expected {expected}, found {found}", self.column)


def split_tokens(text: str) -> list[Token]:
    """All tokens of a text, and one that says that it ends. Raises QueryError."""
    if len(text) > LONGEST_CHARACTERS:
        raise QueryError(f"the query has more than {LONGEST_CHARACTERS} characters", LONGEST_CHARACTERS + 1)
    tokens: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
            raise QueryError(f"cannot read {text[column - 1 : column + 19]!r}", column)
        kind, word = found.lastgroup, found.group(found.lastgroup)
        column = found.start(kind) + 1
        if kind == "path" and word.lower() in _KEYWORDS:
            kind, word = "keyword", word.lower()
        tokens.append(Token(kind, word, column))
        position = found.end()
    tokens.append(Token("end", "", end + 1))
    return tokens


def path_steps(token: Token) -> tuple[str, ...]:
    """The names of a path; `devices.` and `devices.modules.` at its beginning say nothing."""
    steps = tuple(quoted or plain for quoted, plain in _STEP.findall(token.text))
    if len(steps) > 1 and steps[0].lower() == "devices":
        steps = steps[2:] if len(steps) > 2 and steps[1].lower() == "modules" else steps[1:]
    return steps


def literal(token: Token) -> object:
    """The value of a number, a text, true, false or null. Raises QueryError for any other token."""
    if token.kind == "number":
        return _number(token)
    if token.kind == "text":
        return _ESCAPE.sub(lambda found: _unescaped(found.group(1)), token.text[1:-1])
    if token.is_keyword("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[token.text]
    raise token.error("a value")


def _number(token: Token) -> int | float:
    if token.text.lstrip("-").isdigit():
        if len(token.text) > 18:
            raise QueryError("the number is too large", token.column)
        return int(token.text)
    return float(token.text)


def _unescaped(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _LETTERS.get(escape, escape)
