"""The list of what refers to a manifest, where a registry does not keep it: an index under a tag of its own. Pure.

As the distribution specification 1.1 has it ("Referrers Tag Schema").
"""

import json
from collections.abc import Mapping
from typing import Any

from edgepack.oci.descriptor import INDEX, Descriptor, encode_document


def fallback_tag(digest: str) -> str:
    """The tag of the list for the subject `sha256:HEX`."""
    return digest.replace(":", "-")


def parse_referrers(content: bytes) -> list[dict[str, Any]]:
    """The entries of a list; none where it is no index."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    listed = document.get("manifests") if isinstance(document, dict) else None
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def with_referrer(entries: list[dict[str, Any]], referrer: Descriptor, document: Mapping[str, Any]) -> bytes | None:
    """The list with one manifest (`document`, found as `referrer`) more; None if it is in it already."""
    if any(entry.get("digest") == referrer.digest for entry in entries):
        return None
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    entry: dict[str, Any] = referrer.document()
    if kind:
        entry["artifactType"] = kind
    if annotations := document.get("annotations"):
        entry["annotations"] = annotations
    return encode_document({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, entry]})
