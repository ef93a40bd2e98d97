"""Finished layers on this machine, by the key of what they were made from. A damaged one is made again, never used."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from edgepack.files import hash_file, new_file, write_file
from edgepack.layers.entry import Entry
from edgepack.layers.tarball import TarDigests, write_layer

_LEFTOVER_S = 24 * 3600


class LayerCache:
    """Layers in a folder. Threads and processes may share it: a blob appears by rename, complete."""

    def __init__(self, folder: Path) -> None:
        self._records = folder / "layers"
        self._blobs = folder / "blobs"
        _remove_leftovers(self._blobs)

    def blob_path(self, digest: str) -> Path:
        """Where the bytes of the layer `digest` are."""
        return self._blobs / digest.removeprefix("sha256:")

    def find(self, key: str) -> TarDigests | None:
        """The layer made from `key`, if it is here and its bytes have the digest they should."""
        try:
            record = json.loads((self._records / f"{key}.json").read_bytes())
            found = TarDigests(record["digest"], record["size_bytes"], record["diff_id"])
            path = self.blob_path(found.digest)
            if path.stat().st_size == found.size_bytes and f"sha256:{hash_file(path)}" == found.digest:
                return found
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # not here, or not readable: both mean that it is to be made
        return None

    def make(self, key: str, entries: Callable[[], Iterable[Entry]], where: str) -> TarDigests:
        """Make the layer and keep it; durable on return."""
        with new_file(folder=self._blobs) as file:
            made = write_layer(entries(), file.stream, where)
            file.name = self.blob_path(made.digest).name
        record = {"digest": made.digest, "size_bytes": made.size_bytes, "diff_id": made.diff_id}
        write_file(self._records / f"{key}.json", json.dumps(record).encode())
        return made


def _remove_leftovers(folder: Path) -> None:
    """Remove what builds that were killed have left; a build that is under way is never that old."""
    for path in folder.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                path.unlink()
        except FileNotFoundError:
            continue  # another build was faster
