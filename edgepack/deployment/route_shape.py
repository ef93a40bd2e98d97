"""The outer shape of a route: where messages come from and where they go; WHERE is skipped over.

Pure. `[SELECT *] FROM path [WHERE ...] INTO sink`, with the tokens of edgeHub's routing language: the longest
match wins, so that a word swallows `+ - * % ! | ' . & #`, and a comment may begin at the `/*` of a path.
"""

import re
from dataclasses import dataclass

_STRING = re.compile(
    r"""(?:"(?:\\["'\\]|\\u[0-9a-fA-F]{4}|[^"\\])*"|'(?:\\["'\\]|\\u[0-9a-fA-F]{4}|[^'\\])*')""", re.DOTALL
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[^()<>@,;:\\\"/?={} \t\r\n\[\]]+")
_NUMBER = re.compile(r"-?[0-9]+|0x[0-9a-fA-F]+|-?[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?|-?[0-9]*[eE][+-]?[0-9]+")
_KEYWORDS = frozenset({"select", "from", "where", "into", "and", "or", "not"})
_LITERALS = frozenset({"true", "false", "null", "undefined"})


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `kind` is word, string or sign; `column` counts characters from 1."""

    kind: str
    text: str
    column: int

    def is_word(self, word: str) -> bool:
        """Whether it is this keyword, in any case."""
        return self.kind == "word" and self.text.lower() == word


@dataclass(frozen=True, slots=True)
class RouteShape:
    """`path` are the source's segments as written. The sink is `$upstream` (both None) or an input."""

    path: tuple[str, ...]
    module: str | None = None
    input_name: str | None = None

    @property
    def source_module(self) -> str | None:
        """The module whose messages the route takes; None when it takes those of others too."""
        if len(self.path) < 3 or tuple(part.lower() for part in self.path[:2]) != ("messages", "modules"):
            return None
        return self.path[2].rstrip("*") or None


class RouteShapeError(ValueError):
    """The text is no route; the message says why and at which column."""


def read_shape(text: str) -> RouteShape:
    """Read a route's path and sink.

    Raises:
        RouteShapeError: the route does not have that shape.
    """
    tokens = list(_tokens(text))
    end = Token("end", "the end", len(text) + 1)
    at = 2 if len(tokens) > 1 and tokens[0].is_word("select") and tokens[1].text == "*" else 0
    tokens += [end] * 6
    if not tokens[at].is_word("from"):
        raise _expected("FROM", tokens[at])
    at += 1
    path = []
    if tokens[at].text != "/":
        raise _expected("a path such as /messages/*", tokens[at])
    while tokens[at].text == "/":
        item = tokens[at + 1]
        if item.kind != "word":
            raise _expected("a name or * after /", item)
        if not can_be_spelled(item.text):
            raise RouteShapeError(f"column {item.column}: {item.text!r} is no name in a route: use a shorter path")
        path.append(item.text)
        at += 2
    if tokens[at].is_word("where"):
        while tokens[at].kind != "end" and not tokens[at].is_word("into"):
            at += 1
    if not tokens[at].is_word("into"):
        raise _expected("INTO (with blanks around it) or WHERE", tokens[at])
    return _sink(tuple(path), tokens[at + 1 : at + 5])


def can_be_spelled(name: str) -> bool:
    """Whether a module's or output's name can stand in a route's path (numbers and keywords cannot)."""
    reserved = name.lower() in _KEYWORDS or name in _LITERALS or _NUMBER.fullmatch(name)
    return not reserved and not name.startswith("$") and _WORD.fullmatch(name) is not None


def _sink(path: tuple[str, ...], tokens: list[Token]) -> RouteShape:
    name, opening, endpoint, closing = tokens
    if name.is_word("$upstream"):
        return RouteShape(path)
    if not name.is_word("brokeredendpoint"):
        raise _expected('$upstream or BrokeredEndpoint("/modules/MODULE/inputs/INPUT")', name)
    if opening.text != "(" or endpoint.kind != "string" or closing.text != ")":
        raise _expected('("/modules/MODULE/inputs/INPUT") after BrokeredEndpoint', opening)
    parts = endpoint.text[1:-1].removeprefix("/").removesuffix("/").split("/")
    if len(parts) != 4 or not all(parts):
        raise RouteShapeError(f"column {endpoint.column}: an endpoint is /modules/MODULE/inputs/INPUT")
    return RouteShape(path, parts[1], parts[3])


def _tokens(text: str) -> list[Token]:
    tokens = []
    at = 0
    while at < len(text):
        comment = _COMMENT.match(text, at)
        if comment or text[at] in " \t\r\n":
            at = comment.end() if comment else at + 1
            continue
        string, word = _STRING.match(text, at), _WORD.match(text, at)
        if string and (not word or string.end() >= word.end()):
            kind, end = "string", string.end()
        elif word:
            kind, end = "word", word.end()
        else:
            kind, end = "sign", at + 1
        tokens.append(Token(kind, text[at:end], at + 1))
        at = end
    return tokens


def _expected(what: str, found: Token) -> RouteShapeError:
    text = found.text if found.kind == "end" else repr(found.text[:40])
    return RouteShapeError(f"column {found.column}: expected {what}, found {text}")
