"""A file of a bounded folder of collected data gives way to another one that holds the same, whenever that ends.

    reserved   the new file has its length, under a name that readers leave alone: the bound holds
    written    its bytes are on the disk
    placed     it has its name; the old file is one beside which its Parquet stands, and is not written to any more
    done       the old file is gone

After an end in between, `tidy` finishes what was placed and removes what was not. The lock is held in none of the steps
longer than the disk takes to note a name: those who collect do not wait for a sync.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from device_agent.collected_data import parquet_of
from device_agent.collected_room import PART, Bounds, make_room
from device_agent.collected_turn import on_disk, read_count, turn, write_count


class HasChanged(OSError):
    """The old file has been written to, or removed, meanwhile. Nothing has become of the new one."""


def replacing(bounds: Bounds, old: Path, was: os.stat_result, content: bytes) -> Iterator[str]:
    """Replace the piece `old` by a file with `content`: made from it when it was as `was` says. Yields after each step.

    Raises OSError when that cannot be: then the old file stands as it did.
    """
    new = Path(parquet_of(str(old)))
    part = new.with_name(new.name + PART)
    need = on_disk(len(content))
    with turn(bounds.root) as count:
        in_use = read_count(count)
        if in_use is None or in_use + need > bounds.max_bytes:
            in_use, _ = make_room(bounds, need)
        if not _is_as(old, was):
            raise HasChanged(f"{old} has been removed to make room, or written to")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        write_count(count, in_use + need)
        try:
            os.posix_fallocate(descriptor, 0, len(content))
        except OSError:  # a full disk: as before
            part.unlink()
            write_count(count, in_use)
            raise
        finally:
            os.close(descriptor)
    yield "reserved"
    with part.open("r+b") as file:
        file.write(content)
        file.flush()
        os.utime(file.fileno(), ns=(was.st_mtime_ns, was.st_mtime_ns))  # it is as old as what it holds
        os.fsync(file.fileno())
    yield "written"
    with turn(bounds.root):
        if not _is_as(old, was):
            raise HasChanged(f"{old} has been removed to make room, or written to")
        part.rename(new)
    _sync_folder(new.parent)
    yield "placed"
    remove(bounds, old)
    yield "done"


def replace(bounds: Bounds, old: Path, was: os.stat_result, content: bytes) -> None:
    """The same, all steps; after an error nothing of it is left. Raises OSError."""
    try:
        for _ in replacing(bounds, old, was, content):
            pass
    except OSError:
        new = Path(parquet_of(str(old)))
        with contextlib.suppress(OSError):  # `tidy` does it next time
            remove(bounds, new.with_name(new.name + PART))
        raise


def tidy(bounds: Bounds, folder: Path) -> None:
    """Finish, or undo, what was left in the middle below `folder`. Only where nobody else replaces anything there.

    Raises OSError.
    """
    for part in sorted(folder.rglob(f"*.parquet{PART}")):
        remove(bounds, part)
    for piece in sorted(folder.rglob("*.jsonl")):
        if Path(parquet_of(str(piece))).exists():
            remove(bounds, piece)


def remove(bounds: Bounds, file: Path) -> None:
    """Remove a file, if it is there, and count it no more. Raises OSError."""
    with turn(bounds.root) as count:
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            return
        in_use = read_count(count)
        if in_use is not None:
            write_count(count, max(0, in_use - on_disk(size)))


def _is_as(file: Path, was: os.stat_result) -> bool:
    try:
        status = file.stat()
    except FileNotFoundError:
        return False
    return (status.st_ino, status.st_size, status.st_mtime_ns) == (was.st_ino, was.st_size, was.st_mtime_ns)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
