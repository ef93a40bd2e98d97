"""Texts in YAML, read without ever running or constructing anything but plain values. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from edgepack.errors import InputError

# What the library's constructors let through for odd scalars (`2020-99-99`, `!!int x`), beside its own errors.
_REFUSED = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


def parse_yaml(text: str, where: str, *, kind: str = "YAML") -> Any:
    """The document in `text`; all keys of its mappings are texts, and each stands once.

    Raises:
        InputError: it is not YAML, or has other keys; starts with `where`.
    """
    try:
        repeated = dict.fromkeys(_repeated_keys(yaml.compose(text, yaml.SafeLoader), where))
        InputError.raise_if_any(repeated)
        document = yaml.safe_load(text)
    except _REFUSED as error:
        raise InputError(f"{where}: not {kind}: {_reason(error)}") from error
    InputError.raise_if_any(dict.fromkeys(_key_problems(document, where)))
    return document


def _reason(error: Exception) -> str:
    """What the library says, without the line itself: it may hold a secret."""
    text = str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        text = ", ".join(filter(None, (error.context, error.problem))) + place
    return " ".join(text.split()) or type(error).__name__


def _repeated_keys(root: yaml.Node | None, where: str) -> Iterator[str]:
    """The library would silently take the last of them."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    line = key.start_mark.line + 1
                    if key.value in lines:
                        yield f"{where}: key `{key.value}` stands twice, in lines {lines[key.value]} and {line}"
                    lines[key.value] = line
                waiting.append(value)
        else:
            waiting += node.value


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
