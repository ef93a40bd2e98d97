"""What is wrong with a text that is to be JSON, and what can be made of it all the same. Pure; see `json_text`."""

import json
import re
from collections.abc import Iterator

from edgepack.deployment.json_places import index
from edgepack.deployment.json_text import Fault, JsonText, decode

# What has no end is taken to run to the end of the line, or of the text: each character is looked at once.
_TEXT = r'"(?:[^"\\\n]|\\.)*+"?'
_FOREIGN = re.compile(_TEXT + r"|(//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|\#[^\n]*)", re.DOTALL)
_LAST_COMMA = re.compile(_TEXT + r"|(,)(?=[ \t\r\n]*+[}\]])", re.DOTALL)
_NO_NUMBER = re.compile(_TEXT + r"|(-?Infinity|NaN)", re.DOTALL)
_BRACKET = re.compile(_TEXT + r"|([\[{])|([\]}])", re.DOTALL)
_LONG_NUMBER = re.compile(_TEXT + r"|([0-9]{4000,})", re.DOTALL)
_PLACEHOLDER = re.compile(_TEXT + r"|\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.DOTALL | re.ASCII)


def read_faulty(text: str, *, has_placeholders: bool = False) -> JsonText:
    """Read a text in which something is wrong; comments and last commas are passed over."""
    readable, faults = text, list[Fault]()
    value, error, is_odd = decode(text)
    if error is not None:
        readable, faults = _without_foreign_parts(text)
        if faults:
            value, error, is_odd = decode(readable)
    if error is not None and has_placeholders:
        filled = _PLACEHOLDER.sub(_filled, readable)
        value, error, is_odd = decode(filled)
        if error is None:
            value, _, is_odd = decode(_PLACEHOLDER.sub(_quoted, readable))
        readable = filled
    if error is not None:
        return JsonText(text, readable, None, False, (*faults, _fault(readable, error)))
    return JsonText(text, readable, value, True, (*faults, *(_odd_faults(readable) if is_odd else ())))


def _filled(match: re.Match[str]) -> str:
    """A text of the same length for a placeholder."""
    return f'"{match[0][1:-1]}"' if match[0].startswith("$") else match[0]


def _quoted(match: re.Match[str]) -> str:
    """The placeholder as a text."""
    return f'"${{{match[1] or match[2]}}}"' if match[0].startswith("$") else match[0]


def _fault(text: str, error: Exception) -> Fault:
    if isinstance(error, json.JSONDecodeError):
        return _syntax_fault(text, error)
    if isinstance(error, RecursionError):
        return Fault("json-depth", _deepest(text), "is nested too deep to be read: make it flatter")
    at = next((match.start() for match in _LONG_NUMBER.finditer(text) if match[1]), 0)
    return Fault("json-syntax", at, "a number of thousands of digits: write it as a text")


def _syntax_fault(text: str, error: json.JSONDecodeError) -> Fault:
    at = min(error.pos, len(text))
    found = text[at : at + 1]
    if not text.strip():
        what = "the file is empty, it must hold a JSON object"
    elif found == "'":
        what = "a text stands in double quotes in JSON: replace '"
    elif found == "$" and _PLACEHOLDER.match(text, at):
        what = "a placeholder that was not replaced: render the template first (its name has .template. in it)"
    elif found == "\ufeff":
        what = "a byte order mark (U+FEFF) stands before the document: remove it"
    elif error.msg.startswith("Unterminated"):
        what = "this text has no closing quote on its line"
    elif error.msg.startswith("Invalid control"):
        what = "a text must not hold a line break or another control character: write \\n, \\t or \\u001f"
    elif error.msg.startswith("Invalid \\"):
        what = 'a backslash in a text must be followed by one of " \\ / b f n r t, or u and 4 hex digits'
    elif error.msg.startswith("Extra"):
        what = "the document has ended before: remove what follows"
    elif not found:
        what = "the file ends too early: a closing bracket or a value is missing"
    else:
        what = f"{error.msg[0].lower()}{error.msg[1:]}, found {found!r}"
    return Fault("json-syntax", at, what)


def _without_foreign_parts(text: str) -> tuple[str, list[Fault]]:
    """The text with blanks for comments and for commas before a closing bracket, and a fault for each."""
    faults = []

    def blank(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        what = "JSON has no comments: remove it" if match[1] != "," else "a comma before a closing bracket: remove it"
        faults.append(Fault("json-syntax", match.start(), what))
        return re.sub(r"[^\n]", " ", match[0])

    readable = _LAST_COMMA.sub(blank, _FOREIGN.sub(blank, text))
    return readable, sorted(faults, key=lambda fault: fault.at)


def _odd_faults(text: str) -> Iterator[Fault]:
    for at, length, pointer, key in index(text)[1]:
        what = f"the key {key[:60]!r} stands twice in this object: remove one"
        yield Fault("duplicate-key", at, what, length, pointer)
    for match in _NO_NUMBER.finditer(text):
        if match[1]:
            yield Fault("json-syntax", match.start(), f"{match[1]} is no JSON number: write null or a text")


def _deepest(text: str) -> int:
    depth = deepest = at = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match[1] else -1 if match[2] else 0
        if depth > deepest:
            deepest, at = depth, match.start()
    return at
