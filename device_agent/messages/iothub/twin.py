"""The two halves of a twin: desired properties and their versions, and what to report. Pure.

Changes of the desired properties arrive as merge patches (RFC 7396: null deletes) that are numbered without gaps. One
that does not follow what is known says that the whole document is needed.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

LARGEST_BYTES = 32_768
"""The hub takes that much for each half."""


def json_copy(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, as JSON makes it. Raises ValueError or TypeError for what is no JSON."""
    copy: dict[str, Any] = json.loads(json.dumps(properties, allow_nan=False))
    return copy


class Desired(NamedTuple):
    """The desired properties, without `$version` and `$metadata`, and their version."""

    version: int
    properties: dict[str, Any]


def parse_desired(document: object) -> Desired | None:
    """The desired properties from a JSON document with `$version`, or a patch of them; None when it is neither."""
    if not isinstance(document, dict):
        return None
    version = document.get("$version")
    if not isinstance(version, int) or isinstance(version, bool):
        return None
    return Desired(version, without_system(document))


def without_system(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what the hub adds at its top: names that begin with $."""
    return {name: value for name, value in document.items() if not name.startswith("$")}


def follow(known: Desired, patch: Desired) -> Desired | None:
    """The properties after this patch; `known` itself when it is the same version; None: ask for the whole."""
    if patch.version == known.version:
        return known
    if patch.version != known.version + 1:
        return None
    return Desired(patch.version, merge(known.properties, patch.properties))


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The document after a merge patch. Neither is changed."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            before = merged.get(name)
            merged[name] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes `after` of `before`; {} when they are equal. Nulls in `after` count as missing."""
    patch: dict[str, Any] = {name: None for name in before if after.get(name) is None}
    for name, value in after.items():
        old = before.get(name)
        if value is None or _same(old, value):
            continue
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = difference(old, value)
            if inner:
                patch[name] = inner
        else:
            patch[name] = value
    return patch


def _same(one: object, other: object) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
