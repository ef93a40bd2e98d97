"""Descriptors and media types of the OCI image specification 1.1: how one document points at a blob."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from edgepack.errors import DamagedDataError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"

REFERENCE_NAME = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Points at a blob by digest. `size` is in bytes, `digest` is `sha256:` and 64 hex digits."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    platform: dict[str, str] | None = None

    def document(self) -> dict[str, Any]:
        """The JSON object of this descriptor."""
        document: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            document["platform"] = self.platform
        return document


def parse_descriptor(document: Any, where: str) -> Descriptor:
    """Read a descriptor.

    Raises:
        DamagedDataError: it is no descriptor; the message starts with `where`.
    """
    match document:
        case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)} if _DIGEST.fullmatch(digest):
            annotations, platform = document.get("annotations") or {}, document.get("platform")
            if isinstance(annotations, dict) and isinstance(platform, dict | None):
                return Descriptor(media_type, digest, size, annotations, platform)
    raise DamagedDataError(f"{where}: not a descriptor with mediaType, sha256 digest and size")


def digest_of(content: bytes) -> str:
    """`sha256:HEX` of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encode_document(document: dict[str, Any]) -> bytes:
    """The one JSON text that is hashed, stored and pushed: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
