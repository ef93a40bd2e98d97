"""The one place that turns entries into bytes: a deterministic tar, compressed in sections, hashed in the same pass.

Rules: PAX format, folders first, then files and links, each sorted, modification time 0, owner 0 with no names, modes
as the entries say. A layer is three sections: its folders, its files, and the end of the archive; the files' section
can therefore be put into another layer as it is (`join_layers`). Readers take several sections for one stream.

The digest of the tar inside (the diff_id) depends on content alone. The compressed bytes also depend on the zlib build:
`zlib_is_reference` tells whether this one gives the same bytes as stock zlib, which the promise of equal digests on any
machine needs.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry, ordered_entries
from edgepack.layers.packing import LEVEL, Compression, Write, is_worth_packing, section, unpacked

FORMAT = "pax-sections-3"  # part of every cache key: change it when the bytes below change
_STORED_FROM_BYTES = 1024 * 1024  # smaller files are compressed without a trial
_END = bytes(1024)


@dataclass(frozen=True, slots=True)
class TarDigests:
    """What one pass over a layer gives; digests are `sha256:HEX`.

    The bytes of the blob from `files_start` up to `files_end` are the files, without the folders and the end.
    """

    digest: str
    size_bytes: int
    diff_id: str
    files_start: int
    files_end: int


@dataclass(frozen=True, slots=True)
class FilesOf:
    """The files of a layer that is there: its blob, the bytes that hold them, and their paths."""

    blob: Path
    start: int
    end: int
    paths: tuple[str, ...]


class _HashingTarget:
    """Passes writes on and hashes them."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.size_bytes += len(content)
        return self._target.write(content)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class _LayerWriter:
    """Writes the sections of one layer."""

    def __init__(self, file: IO[bytes], compression: Compression) -> None:
        self._compression = compression
        self.blob = _HashingTarget(file)
        self._plain = hashlib.sha256()

    @contextmanager
    def section(self, *, stored: bool = False) -> Iterator[Write]:
        """Yield what writes one section, uncompressed."""
        with section(self.blob, self._compression, stored=stored) as packed:

            def write(content: bytes) -> None:
                self._plain.update(content)
                packed(content)

            yield write

    def folders(self, folders: Iterable[FolderEntry]) -> None:
        """The section of the folders."""
        with self.section() as write:
            for folder in folders:
                write(_header(folder, 0))

    def files(self, entries: Iterable[FileEntry | LinkEntry], where: str) -> None:
        """The files in one section, but for large ones that do not shrink: each of those is one of its own."""
        together: list[FileEntry | LinkEntry] = []
        for entry in entries:
            if isinstance(entry, FileEntry) and self._is_stored(entry):
                self._together(together, where)
                together = []
                with self.section(stored=True) as write:
                    _write_entry(write, entry, where)
            else:
                together.append(entry)
        self._together(together, where)

    def _together(self, entries: Sequence[FileEntry | LinkEntry], where: str) -> None:
        if entries:
            with self.section() as write:
                for entry in entries:
                    _write_entry(write, entry, where)

    def _is_stored(self, entry: FileEntry) -> bool:
        return (
            self._compression is Compression.GZIP
            and isinstance(entry.content, Path)
            and entry.size_bytes >= _STORED_FROM_BYTES
            and not is_worth_packing(entry.content)
        )

    def copy(self, part: FilesOf) -> None:
        """Sections that are there already, as they are; they are unpacked for the digest of the tar alone."""
        with part.blob.open("rb") as file:
            source = _Range(file, part, self.blob)
            with unpacked(source, self._compression) as plain:
                while content := plain.read(CHUNK_BYTES):
                    self._plain.update(content)
            if source.left_bytes:
                raise EOFError(f"{part.blob}: {source.left_bytes} bytes after the last section")

    def end(self) -> str:
        """The last section; gives the digest of the tar inside."""
        with self.section() as write:
            write(_END)
        return f"sha256:{self._plain.hexdigest()}"


class _Range:
    """Reads the files' sections of a layer, and copies what is read."""

    def __init__(self, file: IO[bytes], part: FilesOf, target: _HashingTarget) -> None:
        self._file = file
        self._target = target
        self.left_bytes = part.end - part.start
        file.seek(part.start)

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(self.left_bytes if size < 0 else min(size, self.left_bytes))
        self.left_bytes -= len(content)
        self._target.write(content)
        return content


def write_layer(
    entries: Iterable[Entry], file: IO[bytes], where: str, compression: Compression = Compression.GZIP
) -> TarDigests:
    """Write the layer that holds `entries` to `file`. The order of `entries` does not matter.

    Raises:
        InputError: see `ordered_entries`; nothing has been written then. Or this Python has no zstd.
        DamagedDataError: a file's content is not what its entry says.
    """
    ordered = ordered_entries(entries, where)
    layer = _LayerWriter(file, compression)
    layer.folders(entry for entry in ordered if isinstance(entry, FolderEntry))
    start = layer.blob.size_bytes
    layer.files((entry for entry in ordered if not isinstance(entry, FolderEntry)), where)
    end = layer.blob.size_bytes
    diff_id = layer.end()
    return TarDigests(layer.blob.digest, layer.blob.size_bytes, diff_id, start, end)


def join_layers(parts: Sequence[FilesOf], file: IO[bytes], compression: Compression = Compression.GZIP) -> TarDigests:
    """Write the layer that holds the files of all `parts`, in this order. No two of them may have a path in common.

    Raises one of `packing.damage_kinds` if a part cannot be read.
    """
    folders = {str(parent) for part in parts for path in part.paths for parent in PurePosixPath(path).parents} - {"."}
    layer = _LayerWriter(file, compression)
    layer.folders(FolderEntry(folder) for folder in sorted(folders, key=lambda folder: PurePosixPath(folder).parts))
    start = layer.blob.size_bytes
    for part in parts:
        layer.copy(part)
    end = layer.blob.size_bytes
    diff_id = layer.end()
    return TarDigests(layer.blob.digest, layer.blob.size_bytes, diff_id, start, end)


def can_join(parts: Sequence[Sequence[str]]) -> bool:
    """May layers with these paths of files be joined: does none have a path, or need a folder, that another has?"""
    paths = [path for part in parts for path in part]
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return len(set(paths)) == len(paths) and folders.isdisjoint(paths)


def _write_entry(write: Write, entry: FileEntry | LinkEntry, where: str) -> None:
    if isinstance(entry, LinkEntry):
        write(_header(entry, 0))
        return
    size = left = entry.size_bytes
    digest = hashlib.sha256()
    write(_header(entry, size))
    with entry.open() as content:
        while left and (piece := content.read(min(left, CHUNK_BYTES))):
            if entry.sha256 is not None:
                digest.update(piece)
            write(piece)
            left -= len(piece)
    if left:
        raise DamagedDataError(f"{where}: {entry.path} became shorter while it was read")
    write(bytes(-size % tarfile.BLOCKSIZE))
    if entry.sha256 not in (None, digest.hexdigest()):
        raise DamagedDataError(
            f"{where}: {entry.path} has SHA-256 {digest.hexdigest()} instead of {entry.sha256}: it was changed "
            "since the build began, or is damaged; build again, or register the model again if it is its file"
        )


def _header(entry: Entry, size_bytes: int) -> bytes:
    member = tarfile.TarInfo(entry.path)
    member.mtime = 0
    if isinstance(entry, FileEntry):
        member.mode = 0o755 if entry.executable else 0o644
        member.size = size_bytes
    elif isinstance(entry, FolderEntry):
        member.type, member.mode = tarfile.DIRTYPE, entry.mode
        member.uid = member.gid = entry.owner
    else:
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, entry.target
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def zlib_is_reference() -> bool:
    """Does this machine's zlib compress a known text to the bytes that stock zlib 1.2 and 1.3 give?"""
    sample = b"".join(hashlib.sha256(number.to_bytes(2)).hexdigest().encode() * 3 for number in range(2000))
    packed = zlib.compress(sample, LEVEL)
    return hashlib.sha256(packed).hexdigest() == _REFERENCE


_REFERENCE = "139e00a65fb11255d8fe682a78cf1b7c20f893068218e3aed2d083af940ca007"
