"""The one place that turns entries into bytes: a deterministic tar, gzipped, hashed in the same pass.

Rules: PAX format, entries sorted, modification time 0, owner 0 with no names, modes as the entries say, gzip header
without time and name, zlib level 6. The digest of the tar inside (the diff_id) therefore depends on content alone.
The compressed bytes also depend on the zlib build: `zlib_is_reference` tells whether this one gives the same bytes
as stock zlib, which the promise of equal digests on any machine needs.
"""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, cast

from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, ordered_entries

FORMAT = "pax-gzip6-1"  # part of every cache key: change it when the bytes below change
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class TarDigests:
    """What one pass over a layer gives; digests are `sha256:HEX`."""

    digest: str
    size_bytes: int
    diff_id: str


class _HashingWriter:
    """Passes writes on and hashes them."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.size_bytes += len(content)
        self._target.write(content)
        return len(content)

    def flush(self) -> None:
        self._target.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class _HashingReader:
    """Hashes what is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._source.read(size)
        self._hash.update(content)
        return content

    @property
    def hex_digest(self) -> str:
        return self._hash.hexdigest()


def write_layer(entries: Iterable[Entry], file: IO[bytes], where: str) -> TarDigests:
    """Write the layer that holds `entries` to `file`. The order of `entries` does not matter.

    Raises:
        InputError: see `ordered_entries`; nothing has been written then.
        DamagedDataError: a file's content is not what its entry says.
    """
    ordered = ordered_entries(entries, where)
    compressed = _HashingWriter(file)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=compressed, mtime=0) as packed:
        plain = _HashingWriter(packed)
        with tarfile.open(
            fileobj=cast("IO[bytes]", plain),
            mode="w|",
            format=tarfile.PAX_FORMAT,
            bufsize=CHUNK_BYTES,
        ) as tar:
            for entry in ordered:
                _add(tar, entry, where)
    return TarDigests(compressed.digest, compressed.size_bytes, plain.digest)


def _add(tar: tarfile.TarFile, entry: Entry, where: str) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mtime = 0
    if isinstance(entry, FileEntry):
        member.mode = 0o755 if entry.executable else 0o644
        member.size = entry.size_bytes
        with entry.open() as content:
            reader = _HashingReader(content)
            try:
                tar.addfile(member, cast("IO[bytes]", reader))
            except OSError as error:
                if error.errno is not None:
                    raise
                raise DamagedDataError(f"{where}: {entry.path} became shorter while it was read") from error
        if entry.sha256 not in (None, reader.hex_digest):
            raise DamagedDataError(
                f"{where}: {entry.path} has SHA-256 {reader.hex_digest} instead of {entry.sha256}: it was changed "
                "since the build began, or is damaged; build again, or register the model again if it is its file"
            )
    elif isinstance(entry, FolderEntry):
        member.type, member.mode = tarfile.DIRTYPE, entry.mode
        member.uid = member.gid = entry.owner
        tar.addfile(member)
    else:
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, entry.target
        tar.addfile(member)


def zlib_is_reference() -> bool:
    """Does this machine's zlib compress a known text to the bytes that stock zlib 1.2 and 1.3 give?"""
    sample = b"".join(hashlib.sha256(number.to_bytes(2)).hexdigest().encode() * 3 for number in range(2000))
    packed = zlib.compress(sample, _LEVEL)
    return hashlib.sha256(packed).hexdigest() == _REFERENCE


_REFERENCE = "139e00a65fb11255d8fe682a78cf1b7c20f893068218e3aed2d083af940ca007"
