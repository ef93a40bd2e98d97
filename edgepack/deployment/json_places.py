"""The places of the values of a JSON text: lines, columns, and what a pointer leads to.

Pure, and linear in the length of the text; nothing here recurses. (The published libraries that keep places recurse, or
are silent about keys that stand twice.)
"""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from edgepack.deployment.manifest_check import Span
from edgepack.deployment.problem import pointer_step

_BLANKS = re.compile(r"[ \t\r\n]*+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(r"[^\s,:\[\]{}\"]+")
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\?.", re.DOTALL)


@dataclass(slots=True)
class Node:
    """Where a value stands: `at` to `end`, and its key from `key_at` on (-1: it has none)."""

    at: int
    end: int = -1
    key_at: int = -1
    members: dict[str, "Node"] = field(default_factory=dict)
    items: list["Node"] = field(default_factory=list)


class Twice(NamedTuple):
    """A key that its object had already: where it stands, how long it is, and the pointer to it."""

    at: int
    length: int
    pointer: str
    key: str


def index(text: str) -> tuple[Node, list[Twice]]:
    """The places of all values of a JSON text, and the keys that their object had already.

    The text must be one that `read_json` has read. Of equal keys the last one counts, as for the decoder.
    """
    top = Node(-1)
    twice: list[Twice] = []
    open_nodes, steps, key, at, length = [top], [""], None, 0, len(text)
    key_at = key_end = -1
    while at < length:
        at = _skip(text, at)
        if at >= length:
            break
        character = text[at]
        if character in ",:":
            at += 1
            continue
        if character in "}]":
            at += 1
            open_nodes.pop().end = at
            steps.pop()
            continue
        parent = open_nodes[-1]
        string = _STRING.match(text, at) if character == '"' else None
        if string and key is None and text[parent.at] == "{" and parent is not top:
            key, key_at, at = str(json.loads(string[0], strict=False)), at, string.end()
            key_end = at
            continue
        node = Node(at, key_at=key_at)
        if key is None:
            parent.items.append(node)
        else:
            if key in parent.members:
                pointer = "".join(f"/{pointer_step(step)}" for step in (*steps[2:], key))
                twice.append(Twice(key_at, key_end - key_at, pointer, key))
            parent.members[key] = node
        step, key, key_at = str(len(parent.items) - 1) if key is None else key, None, -1
        if character in "{[":
            open_nodes.append(node)
            steps.append(step)
            at += 1
        else:
            scalar = string or _SCALAR.match(text, at)
            at = node.end = scalar.end() if scalar else length
    return (top.items[0] if top.items else top), twice


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


class Places:
    """Finds lines, columns and values of a text that was read; made when the first problem is to be shown."""

    def __init__(self, text: str, readable: str) -> None:
        self._text, self._readable = text, readable
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._root = index(readable)[0]
        self._characters: dict[int, list[int]] = {}  # of strings, by their place: where each character begins

    def line(self, number: int) -> str:
        """The text of a line."""
        start = self._starts[number - 1]
        return self._text[start : self._text.find("\n", start) if number < len(self._starts) else None].rstrip("\r")

    def span(self, at: int, end: int) -> Span:
        """Where the characters from `at` to `end` stand."""
        return Span(*self._line_column(at), *self._line_column(max(at, end)))

    def _line_column(self, at: int) -> tuple[int, int]:
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def node(self, pointer: str) -> Node:
        """The value that a JSON pointer leads to, or the last one on the way that exists."""
        return find(self._root, pointer)

    def key_span(self, node: Node) -> Span:
        """Where the key of a member stands."""
        string = _STRING.match(self._readable, node.key_at)
        return self.span(node.key_at, string.end() if string else node.at)

    def character(self, at: int) -> str:
        """The character at an offset; none outside of the text."""
        return self._readable[at : at + 1] if at >= 0 else ""

    def string(self, node: Node) -> str:
        """The value of the string at `node`."""
        return str(json.loads(self._readable[node.at : node.end]))

    def column_of(self, at: int) -> int:
        """The column of an offset in its line."""
        return self._line_column(at)[1]

    def inside(self, node: Node, column: int) -> int:
        """The offset of a character (column from 1) of the value of the string at `node`."""
        if node.at not in self._characters:
            escapes = _ESCAPE.finditer(self._readable, node.at + 1, node.end - 1)
            self._characters[node.at] = [*(escape.start() for escape in escapes), node.end - 1]
        characters = self._characters[node.at]
        return characters[min(column, len(characters)) - 1]


def find(root: Node, pointer: str) -> Node:
    """The value that a JSON pointer leads to, or the last one on the way that exists."""
    node = root
    for step in pointer.split("/")[1:]:
        following = node.members.get(step.replace("~1", "/").replace("~0", "~"))
        if following is None and node.items and step.isascii() and step.isdigit() and len(step) < 10:
            following = node.items[int(step)] if int(step) < len(node.items) else None
        if following is None:
            break
        node = following
    return node
