"""Texts in YAML, read without ever running or constructing anything but plain values. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from edgepack.errors import InputError

# What the library's constructors let through for odd scalars (`2020-99-99`, `!!int x`), beside its own errors.
_REFUSED = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


def parse_yaml(text: str, where: str, *, kind: str = "YAML") -> Any:
    """The document in `text`; all keys of its mappings are texts.

    Raises:
        InputError: it is not YAML, or has other keys; starts with `where`.
    """
    try:
        document = yaml.safe_load(text)
    except _REFUSED as error:
        raise InputError(f"{where}: not {kind}: {' '.join(str(error).split()) or type(error).__name__}") from error
    InputError.raise_if_any(dict.fromkeys(_key_problems(document, where)))
    return document


def _key_problems(document: Any, where: str) -> Iterator[str]:
    seen: set[int] = set()  # aliases can make a document hold itself
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, dict):
            seen.add(id(value))
            yield from (
                f"{where}: key {key!r} is not a text; put it in quotes" for key in value if type(key) is not str
            )
            waiting += value.values()
        elif isinstance(value, list):
            seen.add(id(value))
            waiting += value
