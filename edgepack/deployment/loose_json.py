"""JSON as edgeAgent reads it in createOptions -> JSON. Pure, and linear in the length of the text.

Its library also takes comments, single quotes, names without quotes, a comma before a closing bracket and line breaks
in texts.
"""

import re
from typing import NamedTuple

_PART = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*+")'
    r"|(?P<single>'(?:[^'\\]|\\.)*+')"
    r"|(?P<comment>//[^\r\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)"
    r"|(?P<unclosed>[\"'].*|/\*.*)"
    r"|(?P<blanks>\s++)"
    r"|(?P<word>[A-Za-z_$][\w$]*+)"
    r"|(?P<comma>,)"
    r"|(?P<other>[^\s\"',/A-Za-z_$]++|.)",
    re.DOTALL | re.ASCII,
)
_COLON = re.compile(r"\s*+:")
_ESCAPE = re.compile(r"\\.|\"|[\x00-\x1f]", re.DOTALL)
_BREAK = re.compile(r"[\x00-\x1f]")


class StrictText(NamedTuple):
    """JSON; for each of its characters, and its end, where it comes from (from 0); what was no JSON, in words."""

    text: str
    origins: list[int]
    oddities: tuple[str, ...]


def strict_json(text: str) -> StrictText:
    """The text with all that JSON does not have written as JSON; the rest stays as it is, right or wrong."""
    written: list[str] = []
    origins: list[int] = []
    oddities: dict[str, None] = {}
    held: list[tuple[str, int]] = []  # a comma and the blanks behind it, until what follows is known

    def write(piece: str, at: int) -> None:
        """A piece whose characters stand one after the other from `at`."""
        written.append(piece)
        origins.extend(range(at, at + len(piece)))

    for part in _PART.finditer(text):
        kind, found, at = part.lastgroup, part[0], part.start()
        if kind == "comment":
            oddities["comments"] = None
            continue
        if kind == "blanks" and held:
            held.append((found, at))
            continue
        if held and found[0] in "}]":
            oddities["a comma before a closing bracket"] = None
            held = held[1:]
        for piece in held:
            write(*piece)
        held = [(found, at)] if kind == "comma" else []
        if held:
            continue
        if kind == "word" and _COLON.match(text, part.end()):
            oddities["names without quotes"] = None
            write(f'"{found}"', at)
            origins[-len(found) - 2 :] = [at, *range(at, at + len(found)), at + len(found) - 1]
        elif kind in ("text", "single"):
            if kind == "single":
                oddities["single quotes"] = None
            if _BREAK.search(found):
                oddities["line breaks in texts"] = None
            _write_text(found, at, written, origins)
        else:
            write(found, at)
    for piece in held:
        write(*piece)
    return StrictText("".join(written), [*origins, len(text)], tuple(oddities))


def _write_text(literal: str, at: int, written: list[str], origins: list[int]) -> None:
    """A text in double quotes, whatever its own are."""

    def escaped(match: re.Match[str]) -> str:
        found = match[0]
        if found == "\\'":
            return "'"
        if found == '"':
            return '\\"'
        return found if found[0] == "\\" else f"\\u{ord(found):04x}"

    end = at + len(literal)
    position = 1
    written.append('"')
    origins.append(at)
    for match in _ESCAPE.finditer(literal, 1, len(literal) - 1):
        plain = literal[position : match.start()]
        written.append(plain)
        origins.extend(range(at + position, at + match.start()))
        piece = escaped(match)
        written.append(piece)
        start = at + match.start()
        origins.extend(range(start, start + len(piece)) if piece == match[0] else [start] * len(piece))
        position = match.end()
    written.append(literal[position:-1])
    origins.extend(range(at + position, end - 1))
    written.append('"')
    origins.append(end - 1)
