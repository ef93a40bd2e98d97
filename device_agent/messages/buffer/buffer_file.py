"""The buffer's file: whose it is, making and upgrading it, opening it, and keeping a damaged one aside.

    PATH          the SQLite database, with PATH-wal while it is open or was not closed in order
    PATH-lock     empty; locked by the one process that has the buffer open
    PATH.new      a database being made
    PATH.ready    one that is whole, and takes the place of PATH; what was there is kept aside
    PATH.damaged-YYYYmmddTHHMMSSZ   kept for whoever wants to look into it; only the newest is kept

A file is touched only if it says that it is ours (application_id), or is a blank of ours: its first page zero. What is
no regular file is never touched. DO: look before anything is made, even the lock; make
a file whole under another name, sync, rename, sync the folder. DON'T: open another's file, not even to read it with
SQLite, which may write to it.

Source: SQLite's file format, "The Database Header".
"""

import contextlib
import fcntl
import glob
import os
import re
import sqlite3
import stat
import time
from pathlib import Path

from device_agent.errors import SettingsError
from device_agent.messages.buffer.buffer_space import PAGE_BYTES, Space

APPLICATION_ID = 0x4550_4B42
"""EPKB"""
UPGRADES: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE message (key INTEGER PRIMARY KEY, arrival_ms INTEGER, ttl_s INTEGER, head BLOB, body BLOB)",
        "CREATE TABLE meta (id INTEGER PRIMARY KEY, name TEXT, value TEXT, checksum INTEGER)",
    ),
)
"""UPGRADES[n] makes version n + 1 of version n; version 0 is empty. Only ever append to it."""
_HEAD = re.compile(
    rb"SQLite format 3\x00%b[\x01\x02]{2}\x00@  .{20}"
    rb"\x00{3}\x04.{4}(?!\x00{4}).{4}\x00{3}\x01.{4}\x00{3}\x01.{32}" % re.escape(PAGE_BYTES.to_bytes(2)),
    re.DOTALL,
)
"""Magic, page size, versions, fractions; schema format; incremental vacuum, UTF-8."""
_LOG = "-wal"
_READ_BYTES = 100


class Unusable(Exception):
    """The file is ours and damaged. The text says how."""


def lock_file(path: Path) -> int:
    """Take the buffer for this process; the descriptor holds it until it is closed.

    Raises SettingsError when another process has it, the folder cannot be written, or what is there is not ours: then
    nothing is made beside it.
    """
    check_path(path)
    place = path.with_name(f"{path.name}-lock")
    try:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(_unwritable(path, error.strerror)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SettingsError(
            f"The buffer {path} is used by another process: end that one, or set EDGEPACK_BUFFER_PATH to another file"
        ) from error
    return lock


def unlock_file(lock: int) -> None:
    """Give it back."""
    os.close(lock)


def check_path(path: Path) -> None:
    """Raises SettingsError when the buffer cannot be there, since what is there is not ours. Changes nothing."""
    try:
        has_folder = path.parent.is_dir()
        mode = path.stat().st_mode if has_folder and path.exists() else None
    except OSError as error:
        raise SettingsError(_unwritable(path, error.strerror)) from error
    if not has_folder:
        raise SettingsError(
            f"EDGEPACK_BUFFER_PATH is {path}, but there is no folder {path.parent}: create it, or mount a volume there"
        )
    if mode is not None and not stat.S_ISREG(mode):
        raise SettingsError(
            f"EDGEPACK_BUFFER_PATH is {path}, which is a folder or a device and no regular file, and is left alone: "
            f"name a file in a folder that the agent can write to"
        )
    if not _ready_name(path).exists():  # else what is there was damaged, and is about to be replaced
        with contextlib.suppress(Unusable):
            needs_making(path)


def needs_making(path: Path) -> bool:
    """Whether there is no file yet.

    Raises SettingsError when it is not ours, or of a newer version; Unusable when it is ours and its head is damaged.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_READ_BYTES)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise SettingsError(_unwritable(path, error.strerror)) from error
    if not head:
        return True
    if not head.strip(b"\0"):
        raise Unusable("its first page is empty")
    if int.from_bytes(head[68:72]) != APPLICATION_ID:
        raise SettingsError(
            f"{path} is not a buffer of edgepack, and is left alone: move it away, or set EDGEPACK_BUFFER_PATH to "
            f"another file"
        )
    if _HEAD.fullmatch(head) is None:
        raise Unusable("its header is damaged")
    return False


def open_file(path: Path, space: Space) -> sqlite3.Connection:
    """Open it for this process alone, upgraded to this version.

    Raises SettingsError when its version is newer than this agent's, or another program has it open; sqlite3.Error.
    """
    connection = _connect(path)
    try:
        return _prepare(connection, path, space)
    except BaseException:
        close_quietly(connection)
        raise


def make_file(path: Path, space: Space) -> sqlite3.Connection:
    """Make an empty one as PATH.new, for whoever calls `put_in_place` next. Raises OSError, sqlite3.Error."""
    place = new_name(path)
    for old in (place, _log_of(place)):
        old.unlink(missing_ok=True)
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = _connect(place)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        return _prepare(connection, place, space)
    except BaseException:
        close_quietly(connection)
        raise


def put_in_place(path: Path, connection: sqlite3.Connection) -> Path | None:
    """Close what `make_file` gave, and let it be the buffer; where the old one is. Raises OSError, sqlite3.Error."""
    place = new_name(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    descriptor = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    place.rename(_ready_name(path))
    return finish_replacing(path)


def finish_replacing(path: Path) -> Path | None:
    """Let what is ready be the buffer, also when a power cut came in between; where the old one is. Raises OSError."""
    if not _ready_name(path).exists():
        return None
    _sync_folder(path.parent)
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    if _length(path):
        for old in path.parent.glob(f"{glob.escape(path.name)}.damaged-*"):
            old.unlink()
        path.rename(aside)
    with contextlib.suppress(FileNotFoundError):
        _log_of(path).rename(_log_of(aside))
    _sync_folder(path.parent)
    _ready_name(path).rename(path)
    _sync_folder(path.parent)
    return aside


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring it to this agent's version, in one transaction. Raises SettingsError when it is newer, sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(UPGRADES):
        raise SettingsError(
            f"The buffer {path} was written by a newer agent (version {version}, this one knows {len(UPGRADES)}): run "
            f"that agent until it is empty, or set EDGEPACK_BUFFER_PATH to another file"
        )
    if version == len(UPGRADES):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in UPGRADES[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(UPGRADES)}")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def close_quietly(connection: sqlite3.Connection) -> None:
    """Let go of a connection that may be broken: what it holds is on disk, or was never promised."""
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def new_name(path: Path) -> Path:
    """Where a database is made."""
    return path.with_name(f"{path.name}.new")


def _ready_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.ready")


def log_bytes(path: Path) -> int:
    """Length of the write-ahead log."""
    return _length(f"{path}{_LOG}")


def size_bytes(path: Path) -> int:
    """Length of the database and its log."""
    return _length(path) + log_bytes(path)


def volume_bytes(path: Path) -> int | None:
    """What the database and its log could grow to before the volume is full; None when the volume does not say."""
    volume = os.statvfs(path.parent)
    if volume.f_blocks == 0:
        return None
    return volume.f_bavail * volume.f_frsize + size_bytes(path)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=16)


def _prepare(connection: sqlite3.Connection, path: Path, space: Space) -> sqlite3.Connection:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps others out, and needs no shared memory
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise SettingsError(f"The buffer {path} is open in another program: close it there") from error
        raise
    if mode != "wal":
        raise SettingsError(f"{path} is on a file system on which SQLite cannot keep a log: use a local disk")
    for setting in (
        "synchronous = FULL",
        f"wal_autocheckpoint = {space.checkpoint_pages}",
        f"journal_size_limit = {space.log_bytes}",
        f"max_page_count = {space.database_pages}",
        "cell_size_check = ON",
        "secure_delete = OFF",  # or free pages would be written, only to be zero
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {setting}").fetchall()
    upgrade(connection, path)
    return connection


def _length(path: Path | str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - this is asked before every commit
    except FileNotFoundError:
        return 0


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{_LOG}")


def _unwritable(path: Path, reason: str | None) -> str:
    return f"The buffer {path} cannot be used: {reason}; give the agent a folder that it can write to"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
