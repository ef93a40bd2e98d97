"""The tokens of edgeHub's routing language.

Pure. The longest match wins, so that a name swallows `+ - * % ! | ' . & #`: `a-b` and `'x'||'y'` are one name each.
A comment may begin at the `/*` of a path. Columns count characters of the whole route from 1. Every text has tokens;
the time is linear in its length.
"""

import re
from typing import NamedTuple

# Strings in either quote; without the closing one they run to the end, or to a backslash that must not stand there.
_STRINGS = {
    quote: re.compile(rf"""{quote}(?:[^{quote}\\]|\\(?:["'\\]|u[0-9a-fA-F]{{4}}))*+({quote})?""") for quote in "\"'"
}
_WORD = re.compile(r"[^()<>@,;:\\\"/?={} \t\r\n]+")
_BLANKS = re.compile(r"[ \t\r\n]+")
_SIGN = re.compile(r"<>|<=|>=|\?\?|!=|[()<>,=/{}]")
_NUMBER = re.compile(
    r"-?[0-9]+|0[xX][0-9a-fA-F]+|-?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|-?[0-9]*[eE][+-]?[0-9]+", re.ASCII
)
_LITERALS = frozenset({"true", "false", "null", "undefined"})
_KEYWORDS = frozenset({"select", "from", "where", "into"})
_WORD_SIGNS = frozenset({"+", "-", "*", "%", "||"})
_WORD_OPERATORS = frozenset({"and", "or", "not"})

_CODE_POINT = re.compile(r"\\[uU]([0-9a-fA-F]{4})")
_ESCAPED = re.compile(r"""\\(["'\\])""")


class Token(NamedTuple):
    """One token. `column` counts characters of the whole route from 1.

    `kind`: `keyword`, `sign` (operators and brackets, in lower case), `literal`, `number`, `string`, `open string`
    (one without an end), `system` (`$name`), `name`, `path` (a word with brackets, which fits nowhere), `other`, `end`.
    """

    kind: str
    text: str
    column: int

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs (`and`, `or` and `not` among them)."""
        return self.kind == "sign" and self.text in signs

    def is_keyword(self, word: str) -> bool:
        """Whether it is this keyword, in any case."""
        return self.kind == "keyword" and self.text == word

    @property
    def shown(self) -> str:
        """The token for a message, at most 40 characters of it."""
        if self.kind == "end":
            return "the end"
        text = self.text.upper() if self.kind == "keyword" else self.text
        return repr(text if len(text) <= 40 else f"{text[:37]}...")


def tokenize(text: str) -> list[Token]:
    """All tokens of a text, and one of the kind `end` after them."""
    tokens = []
    at, last_comment_end = 0, text.rfind("*/")
    while at < len(text):
        blanks = _BLANKS.match(text, at)
        if blanks:
            at = blanks.end()
        elif text.startswith("/*", at) and at + 2 <= last_comment_end:
            at = text.index("*/", at + 2) + 2
        else:
            token = _token(text, at)
            tokens.append(token)
            at += len(token.text)
    return [*tokens, Token("end", "", len(text) + 1)]


def _token(text: str, at: int) -> Token:
    word, first = _WORD.match(text, at), text[at]
    if first in _STRINGS:
        string = _STRINGS[first].match(text, at)
        if string and (word is None or string.end() >= word.end()):
            return Token("string" if string[1] else "open string", string[0], at + 1)
    if word is None or word[0] == "!":  # only `!=` is a sign that begins as a word does
        sign = _SIGN.match(text, at)
        if sign:
            return Token("sign", sign[0], at + 1)
    if word is None:
        return Token("other", first, at + 1)
    kind = _kind_of_word(word[0])
    return Token(kind, word[0].lower() if kind in ("sign", "keyword") else word[0], at + 1)


def _kind_of_word(word: str) -> str:
    lower = word.lower()
    if lower in _KEYWORDS:
        return "keyword"
    if lower in _WORD_OPERATORS or word in _WORD_SIGNS:
        return "sign"
    if word in _LITERALS:
        return "literal"
    if _NUMBER.fullmatch(word):
        return "number"
    if word[0] == "$" and len(word) > 1:
        return "system"
    return "path" if "[" in word or "]" in word else "name"


def can_be_spelled(name: str) -> bool:
    """Whether a module's or output's name can stand in a route's path (numbers and keywords cannot)."""
    return [(token.kind, token.text) for token in tokenize(name)][:-1] == [("name", name)]


def unquoted(string: str) -> str:
    r"""The value of a string token: quotes off, escapes read.

    As the product does it: first all `\uXXXX`, then in what that gave `\"`, `\'` and `\\`.
    """
    if "\\" not in string:
        return string[1:-1]
    value = _CODE_POINT.sub(lambda match: chr(int(match[1], 16)), string[1:-1])
    value = _ESCAPED.sub(r"\1", value)
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def quoted(value: str) -> str:
    """A string token that has this value, without line breaks and other characters that do not print."""
    pieces = []
    for index, character in enumerate(value):
        if character in "'\\":
            pieces.append(f"\\{character}")
        elif (character in "uU" and value[index - 1 : index] == "\\") or _is_hidden(character):
            pieces.append(f"\\u{ord(character):04x}")  # a backslash and a `u` would be read as a code point
        else:
            pieces.append(character)
    return f"'{''.join(pieces)}'"


def _is_hidden(character: str) -> bool:
    return not character.isprintable() and ord(character) < 0x10000
