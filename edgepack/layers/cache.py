"""Finished layers on this machine, by the key of what they were made from. A damaged one is made again, never used.

Parts are layers, too: a package's own. A layer of several packages is joined from the files in theirs, which are not
compressed again; the layer of a package that has one to itself is the part itself, so nothing is kept twice.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.files import HashMemory, NewFile, new_file, write_file
from edgepack.layers.entry import Entry, FolderEntry, content_token
from edgepack.layers.packing import Compression, damage_kinds
from edgepack.layers.tarball import FilesOf, TarDigests, can_join, join_layers, write_layer

_LEFTOVER_S = 24 * 3600


class LayerCache:
    """Layers in a folder. Threads and processes may share it: a blob appears by rename, complete."""

    def __init__(self, folder: Path, compression: Compression = Compression.GZIP) -> None:
        self.compression = compression
        self.hashes = HashMemory()
        self._records = folder / "layers"
        self._blobs = folder / "blobs"
        _remove_leftovers(self._blobs)

    def blob_path(self, digest: str) -> Path:
        """Where the bytes of the layer `digest` are."""
        return self._blobs / digest.removeprefix("sha256:")

    def find(self, key: str) -> TarDigests | None:
        """The layer made from `key`, if it is here and its bytes have the digest they should."""
        try:
            found = TarDigests(**self._read_record(f"{key}.json"))
            path = self.blob_path(found.digest)
            if path.stat().st_size == found.size_bytes and f"sha256:{self.hashes.hash_of(path)}" == found.digest:
                return found
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # not here, or not readable: both mean that it is to be made
        return None

    def make(
        self, key: str, entries: Callable[[], Iterable[Entry]], where: str, *, as_part: bool = False
    ) -> TarDigests:
        """Make the layer and keep it; durable on return. Only what is made `as_part` can be joined later."""
        listed = list(entries())
        if as_part:
            tokens = {entry.path: content_token(entry) for entry in listed if not isinstance(entry, FolderEntry)}
            self._write_record(f"{key}.files.json", dict(sorted(tokens.items())))
        return self._keep(key, lambda file: write_layer(listed, file.stream, where, self.compression))

    def find_part(self, key: str) -> TarDigests | None:
        """As `find`, of a layer that was made as a part and can be joined."""
        found = self.find(key)
        try:
            return found if found is not None and self.files_of(key) is not None else None
        except (OSError, ValueError):
            return None

    def join(self, key: str, parts: Mapping[str, TarDigests]) -> TarDigests | None:
        """Make the layer that holds the files of all parts, in this order, and keep it.

        None when they cannot be joined, since two have a path in common: that depends on what is in them alone.

        Raises:
            DamagedDataError: a part was damaged after it was found.
        """
        try:
            files = [
                FilesOf(self.blob_path(made.digest), made.files_start, made.files_end, tuple(self.files_of(part)))
                for part, made in parts.items()
            ]
            if not can_join([each.paths for each in files]):
                return None
            return self._keep(key, lambda file: join_layers(files, file.stream, self.compression))
        except damage_kinds(ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DamagedDataError(
                f"{self._blobs}: a part was damaged while it was read ({error}); build again"
            ) from error

    def files_of(self, part: str) -> dict[str, str]:
        """The paths of the files in a layer that was made as a part, each with a token that tells its content.

        Raises:
            OSError, ValueError: the record is not there, or damaged.
        """
        files = self._read_record(f"{part}.files.json")
        if not isinstance(files, dict):
            raise ValueError(f"{part}: no list of files")
        return files

    def _keep(self, key: str, write: Callable[[NewFile], TarDigests]) -> TarDigests:
        with new_file(folder=self._blobs) as file:
            made = write(file)
            file.name = self.blob_path(made.digest).name
        self._write_record(f"{key}.json", asdict(made))
        return made

    def _write_record(self, name: str, document: Any) -> None:
        """A record is its SHA-256 and a JSON text: what is read of it leads to bytes that nothing else checks."""
        text = json.dumps(document).encode()
        write_file(self._records / name, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)

    def _read_record(self, name: str) -> Any:
        digest, _, text = (self._records / name).read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            raise ValueError(f"{name} is damaged")
        return json.loads(text)


def _remove_leftovers(folder: Path) -> None:
    """Remove what builds that were killed have left; a build that is under way is never that old."""
    for path in folder.glob(".*.part"):
        try:
            if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                path.unlink()
        except FileNotFoundError:
            continue  # another build was faster
