"""Entries of a layer: files, folders and links as values, without a file system.

Rules: paths are relative, POSIX, without `.` and `..`; times, owners' names and extended attributes do not exist;
modes are 0755 or 0644 but for a few folders that need more.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from edgepack.errors import InputError


@dataclass(frozen=True, slots=True)
class ZipMember:
    """Content that stays inside a zip archive on this machine until it is read."""

    archive: Path
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file; `content` is its bytes, or where on this machine they are; `sha256` is what they must hash to."""

    path: str
    content: bytes | Path | ZipMember
    executable: bool = False
    sha256: str | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the content."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.stat().st_size if isinstance(self.content, Path) else self.content.size_bytes

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Yield a reader of the content."""
        if isinstance(self.content, bytes):
            yield io.BytesIO(self.content)
        elif isinstance(self.content, Path):
            with self.content.open("rb") as file:
                yield file
        else:
            with zipfile.ZipFile(self.content.archive) as archive, archive.open(self.content.name) as member:
                yield member


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A folder. Parents need not be given: they are made with mode 0755 and owner 0."""

    path: str
    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A symbolic link; `target` is stored as it is."""

    path: str
    target: str


Entry = FileEntry | FolderEntry | LinkEntry


def content_token(entry: FileEntry | LinkEntry) -> str:
    """A short text that is another one for another content, kind or mode; files that stay in archives never agree."""
    if isinstance(entry, LinkEntry):
        return f"-> {entry.target}"
    if isinstance(entry.content, bytes):
        return f"{'x' if entry.executable else '-'} {hashlib.sha256(entry.content).hexdigest()[:32]}"
    return str(entry.content)


def is_plain_path(path: str) -> bool:
    """Is `path` relative, not empty, and without `.`, `..` and needless slashes?"""
    parts = PurePosixPath(path).parts
    return bool(parts) and path == "/".join(parts) and parts[0] != "/" and ".." not in parts and "\0" not in path


def ordered_entries(entries: Iterable[Entry], where: str) -> list[Entry]:
    """All entries and their parent folders, sorted so that a folder comes before what it holds.

    Raises:
        InputError: a path leaves the root, or two entries that differ have one path. Names `where`.
    """
    found: dict[str, Entry] = {}
    problems: list[str] = []
    for entry in entries:
        if not is_plain_path(entry.path):
            problems.append(f"{where}: the path {entry.path!r} is not a plain relative path")
            continue
        other = found.get(entry.path)
        if other is not None and other != entry and not _same_content(other, entry):
            problems.append(f"{where}: two different files are both called {entry.path!r}")
        found[entry.path] = entry
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            name = str(parent)
            if name == ".":
                continue
            if not isinstance(found.setdefault(name, FolderEntry(name)), FolderEntry):
                problems.append(f"{where}: {name!r} is a file or link, but {path!r} lies below it")
    InputError.raise_if_any(problems)
    return sorted(found.values(), key=lambda entry: PurePosixPath(entry.path).parts)


def _same_content(one: Entry, other: Entry) -> bool:
    if not (isinstance(one, FileEntry) and isinstance(other, FileEntry)) or one.executable != other.executable:
        return False
    with one.open() as first, other.open() as second:
        return first.read() == second.read()
