"""A message as routes see it: where it comes from, properties, system properties, and its body when it is JSON.

Pure. `Scope` is made once a message and shared by all routes: the body is read only when a route asks for it, and once.
The body must be strict JSON; the product also lets comments, single quotes and names without quotes through.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgepack.deployment.route_values import MISSING, UNDEFINED, Value

ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_DEEPEST_JSON = 64

# The product's JSON reader turns texts of these forms into times, which routes cannot compare.
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,7})?(?:[Zz]|[-+][0-9]{2}(?::?[0-9]{2})?)?"
    r"|/Date\(-?[0-9]+(?:[-+][0-9]{4})?\)/",
    re.ASCII,
)

_NAME = r"""[^()<>@,;:\\"/?={}.\[\]\t\n\r]+"""
_START = re.compile(rf"(?:{_NAME}(?:\[[0-9]+\])?\.)*{_NAME}(?:\[[0-9]+\])?")
_STEP = re.compile(rf"\.?({_NAME})|\[([0-9]+)\]|\['([^']*)'\]|(\[\*\])", re.ASCII)
_MAX_INDEX = 2**31 - 1


class RoutedMessage(NamedTuple):
    """`source` is `/messages` (a leaf device), `/messages/modules/M`, `/messages/modules/M/outputs/O` or
    `/twinChangeNotifications`. `system` has the names that routes use, such as `contentType` and `cid`.

    Names of properties and system properties are compared without regard to case.
    """

    source: str
    properties: Mapping[str, str]
    system: Mapping[str, str]
    body: bytes


class Scope:
    """One message while it is routed: what was looked up already."""

    __slots__ = ("_document", "_folded", "_folded_system", "body", "properties", "system")

    def __init__(self, message: RoutedMessage) -> None:
        self.properties, self.system, self.body = message.properties, message.system, message.body
        self._folded: dict[str, str] | None = None
        self._folded_system: dict[str, str] | None = None
        self._document: tuple[Any, str] | None = None

    def folded_property(self, folded_name: str) -> str | None:
        """A property by its name in lower case."""
        if self._folded is None:
            self._folded = {name.lower(): value for name, value in self.properties.items()}
        return self._folded.get(folded_name)

    def folded_system_property(self, folded_name: str) -> str | None:
        """A system property by its name in lower case."""
        if self._folded_system is None:
            self._folded_system = {name.lower(): value for name, value in self.system.items()}
        return self._folded_system.get(folded_name)

    @property
    def document(self) -> tuple[Any, str]:
        """The body as a JSON object; or None and why there is none."""
        if self._document is None:
            self._document = self._read()
        return self._document

    def _read(self) -> tuple[Any, str]:
        content_type = self.folded_system_property("contenttype")
        if content_type is None:
            return None, "the message has no contentType: it must be application/json"
        if content_type.lower() != "application/json":
            return None, f"contentType is {content_type!r}, not application/json"
        encoding = self.folded_system_property("contentencoding")
        if encoding is None:
            return None, "the message has no contentEncoding: it must be utf-8, utf-16 or utf-32"
        if encoding.lower() not in ENCODINGS:
            return None, f"contentEncoding is {encoding!r}, not utf-8, utf-16 or utf-32"
        text = self.body.decode(ENCODINGS[encoding.lower()], "replace")
        if text.count("{") + text.count("[") > _DEEPEST_JSON and _depth(text) > _DEEPEST_JSON:
            return None, f"the body is nested more than {_DEEPEST_JSON} deep"
        try:
            document = json.loads(text, parse_int=float, strict=False)
        except ValueError as error:
            return None, f"the body is not JSON: {error}"
        if not isinstance(document, dict):
            return None, "the body is JSON, but no object"
        return document, ""


def _depth(text: str) -> int:
    deepest = depth = 0
    for piece in re.finditer(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece[0], 0)
        deepest = max(deepest, depth)
    return deepest


class AnyMember(NamedTuple):
    """The step `*` of a body path: every member or item."""


Step = str | int | AnyMember


class BodyPath:
    """A path after `$body.`, such as `boxes[0].area`; names are case-sensitive."""

    __slots__ = ("steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = _steps(text)

    def value(self, scope: Scope) -> Value:
        """What is there: UNDEFINED for objects, arrays, times and bodies that cannot be read."""
        document = scope.document[0]
        node = UNDEFINED if document is None else self._follow(document)
        if type(node) is str:
            return UNDEFINED if is_time(node) else node
        return UNDEFINED if type(node) in (dict, list) else node

    def why_undefined(self, scope: Scope) -> str:
        """The reason that `value` is UNDEFINED."""
        document, reason = scope.document
        if document is None:
            return reason
        node = self._follow(document)
        if node is UNDEFINED:
            return "this path cannot be followed, or leads to several values"
        if isinstance(node, str):
            return f"there is the text {node!r}, which is read as a time, and routes see no times"
        return f"there is an {'object' if isinstance(node, dict) else 'array'}, and routes see none"

    def _follow(self, node: Any) -> Any:
        if self.steps is None:
            return UNDEFINED
        for step in self.steps:
            if type(step) is str:
                node = node.get(step, MISSING) if type(node) is dict else MISSING
            elif type(step) is int:
                node = node[step] if type(node) is list and step < len(node) else MISSING
            else:
                members = list(node.values()) if type(node) is dict else node if type(node) is list else []
                if len(members) > 1:
                    return UNDEFINED
                node = members[0] if members else MISSING
        return node


def _steps(text: str) -> tuple[Step, ...] | None:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match[1] and bool(at) != text.startswith(".", at)):
            return None
        name, index, quoted_name, _ = match.groups()
        if index is not None:
            if len(index) > 10 or int(index) > _MAX_INDEX:
                return None
            steps.append(int(index))
        elif (name or quoted_name) is not None and name != "*":
            steps.append(name if quoted_name is None else quoted_name)
        else:
            steps.append(AnyMember())
        at = match.end()
    return tuple(steps)


def body_path_problem(text: str) -> str | None:
    """What is wrong with a path after `$body.`, as edgeHub checks it: it looks at the longest valid start."""
    if not text:
        return "a path must follow $body., as in $body.machine.pressure"
    match = _START.match(text)
    end = match.end() if match else 0
    names = [part.partition("[")[0] for part in match[0].split(".")] if match else []
    if match is None or any(name.isascii() and name.isdigit() for name in names):
        return f"$body.{text}: a path is names with dots between them, not all digits"
    if text.startswith(".", end) or (text.startswith("[", end) and not match[0].endswith("]")):
        return f"$body.{text}: after a name may come [NUMBER] or .NAME, nothing else"
    return None


def is_time(text: str) -> bool:
    """Whether the product's JSON reader takes this text for a time."""
    match = _TIME.fullmatch(text) if len(text) <= 40 else None
    if match is None or match[1] is None:
        return match is not None
    from calendar import monthrange  # slow to load, and few texts come so far

    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if not (year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1] and minute < 60 and second < 60):
        return False
    rest = bool(minute or second or (match[7] or "").strip(".0"))
    return hour < 24 or (hour == 24 and not rest)
