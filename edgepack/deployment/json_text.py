"""JSON text, read by the standard decoder, and all that is wrong with it as JSON.

Pure, and linear in the length of the text; nothing here recurses. Reported are a key that an object has twice, numbers
that JSON does not have, and what people write though JSON has no such thing (comments, a comma before a closing
bracket); such things are taken out, and the rest is read. What looks for faults is loaded only where there are some.
"""

import json
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """Something wrong with the text itself, at this character (from 0); `pointer` to the key that stands twice."""

    rule: str
    at: int
    text: str
    length: int = 1
    pointer: str = ""


class JsonText(NamedTuple):
    """A text, what it says, and what is wrong with it as JSON; `is_read` tells whether there is a value at all.

    `readable` is JSON of the same length: characters stand where they stood, and what was taken out is blank. A
    placeholder outside of texts is a text in `value`, and some text in `readable`.
    """

    text: str
    readable: str
    value: Any
    is_read: bool
    faults: tuple[Fault, ...]


def read_json(text: str, *, has_placeholders: bool = False) -> JsonText:
    """Read any text; that of a template may have placeholders (`$NAME`, `${NAME}`) where a value or key stands."""
    value, error, is_odd = decode(text)
    if error is None and not is_odd:
        return JsonText(text, text, value, True, ())
    from edgepack.deployment.json_faults import read_faulty

    return read_faulty(text, has_placeholders=has_placeholders)


def decode(text: str) -> tuple[Any, Exception | None, bool]:
    """The value, or else the decoder's error; and whether keys stood twice or numbers were none."""
    is_odd = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_odd
        found = dict(pairs)
        is_odd = is_odd or len(found) != len(pairs)
        return found

    def constant(name: str) -> float:
        nonlocal is_odd
        is_odd = True
        return float(name)

    try:
        return json.loads(text, object_pairs_hook=members, parse_constant=constant), None, is_odd
    except (ValueError, RecursionError) as error:
        return None, error, False
