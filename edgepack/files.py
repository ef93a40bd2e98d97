"""Durable files: write to a temporary file in the same folder, fsync, rename, fsync the folder.

A reader therefore sees either the old content or the new one, also after a power cut. Every file that edgepack
keeps (registry, cache, locks, output) is written through this module.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgepack.errors import RemoteError

CHUNK_BYTES = 1024 * 1024


@contextmanager
def new_file(
    path: Path | None = None, *, folder: Path | None = None, mode: int = 0o644, replaces: bool = True
) -> Iterator["NewFile"]:
    """Yield a file to write; it appears under its name, complete and durable, when the block ends without an error.

    The name is `path`, or what the block sets as `name` when only the `folder` is known beforehand. A file of that name
    is replaced, or with `replaces=False` left as it is. A link stays, and what it leads to is replaced; to what is no
    file (a device, a pipe) is written as it is.

    Raises:
        RemoteError: the disk is full (names the file); nothing appears then.
        FileExistsError: with `replaces=False`, the name is taken.
    """
    target = path or (folder or Path()) / "new file"
    if replaces and path is not None and (path.is_symlink() or path.exists()):
        target = path.resolve()
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as stream:
                yield NewFile(stream, target.name)
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_named(target):
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    try:
        with full_disk_named(target), os.fdopen(descriptor, "wb") as stream:
            file = NewFile(stream, target.name)
            yield file
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        if replaces:
            Path(temporary).replace(target.with_name(file.name))
        else:
            os.link(temporary, target.with_name(file.name))
            Path(temporary).unlink()
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


@dataclass
class NewFile:
    """A file in the making: where to write, and the name under which it will appear."""

    stream: IO[bytes]
    name: str

    def write(self, content: bytes) -> int:
        """Write some bytes."""
        return self.stream.write(content)


def write_file(path: Path, content: bytes, *, mode: int = 0o644, replaces: bool = True) -> None:
    """Write `content` as `path`, all or nothing, durable on return; as `new_file`."""
    with new_file(path, mode=mode, replaces=replaces) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashMemory:
    """SHA-256 of files by what the file system says of them: one that is asked for again under another name, or later,
    is not read again unless it has been written to. For one run of a command, not longer: disks rot.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}

    def hash_of(self, path: Path) -> str:
        """As `hash_file`."""
        about = path.stat()
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        if key not in self._known:
            self._known[key] = hash_file(path)
        return self._known[key]


def copy_or_link(source: Path, target: Path) -> None:
    """Make `target` the same bytes as `source`: a hard link where the file system allows, else a durable copy.

    A `target` that is there already is replaced by rename: it is never missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        os.link(source, temporary)
        temporary.replace(target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        with source.open("rb") as reader, new_file(target) as writer:
            shutil.copyfileobj(reader, writer.stream, CHUNK_BYTES)
    finally:
        temporary.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a file or folder, whatever it is, also folders that a script has made read-only."""

    def again(_call: object, name: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(Path(name).parent, 0o700)  # noqa: PTH101 - of a name that rmtree gives
            os.unlink(name)  # noqa: PTH108 - the same

    if path.is_dir() and not path.is_symlink():
        for _ in range(2):
            shutil.rmtree(path, onerror=again)
            if not path.exists():
                return
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the advisory lock `path` among processes; waits for the present holder. A killed holder releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """As `exclusive`, with a folder that is there as the lock: leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turn "no space left" into an error that names the file and the space left."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists())).free
        raise RemoteError(
            f"no space left on the disk that holds {path} ({free // 2**20} MiB free): "
            "free some space, or choose another disk with --workspace and -o; nothing was left half written",
            retryable=False,
        ) from error
