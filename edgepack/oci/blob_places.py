"""Which repository of a registry has which blob, as far as this workspace knows: where to mount blobs from.

One file a registry, by rename; the newest entries are kept. It is a hint: what is wrong in it costs nothing, since a
registry that does not find the blob begins an upload instead.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from edgepack.files import exclusive, write_file

MOST_ENTRIES = 5000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class BlobPlaces:
    """The places on one registry (`HOST[:PORT]`), kept below the cache of a workspace."""

    def __init__(self, cache: Path, registry: str) -> None:
        self._path = cache / "registries" / f"{re.sub(r'[^A-Za-z0-9.-]', '_', registry)}.json"
        self._known = self._read()

    def source(self, digest: str, repository: str) -> str | None:
        """Another repository than `repository` that has the blob; None if none is known."""
        found = self._known.get(digest)
        return found if found != repository else None

    def note(self, digests: Iterable[str], repository: str) -> None:
        """Remember that the repository has these blobs."""
        new = dict.fromkeys(digests, repository)
        if not new.keys() - self._known.keys() and all(self._known[digest] == repository for digest in new):
            return
        with exclusive(self._path.with_suffix(".lock")):
            known = self._read()
            kept = {digest: place for digest, place in known.items() if digest not in new} | new
            newest = dict(list(kept.items())[-MOST_ENTRIES:])
            write_file(self._path, json.dumps(newest, separators=(",", ":")).encode())
        self._known = newest

    def _read(self) -> dict[str, str]:
        try:
            document = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        entries = document.items() if isinstance(document, dict) else ()
        return {digest: place for digest, place in entries if _DIGEST.fullmatch(digest) and isinstance(place, str)}
