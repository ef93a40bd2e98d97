"""The turn at a folder of collected data: a file lock, and in the locked file the bytes that are in use.

Threads, processes and forks take turns. The count is written before what it counts: after a crash it is too large,
never too small. Who finds none counts anew (`collected_room`).
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

COUNT_FILE = ".collected"
_BLOCK_BYTES = 4096
_TURN_TRIES = 250
_TURN_WAIT_S = 0.002


@contextlib.contextmanager
def turn(root: Path) -> Iterator[int]:
    """Hold the lock; the result is the descriptor of the file with the count. Raises OSError after half a second.

    Opened for each turn: a lock that a forked process inherits would be no lock.
    """
    root.mkdir(parents=True, exist_ok=True)
    count = os.open(root / COUNT_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(_TURN_TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(count, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_TURN_WAIT_S)
        else:
            raise OSError(errno.EBUSY, "another process holds the lock")
        yield count
    finally:
        with contextlib.suppress(OSError):  # not left to close(): a process forked meanwhile has it open too
            fcntl.flock(count, fcntl.LOCK_UN)
        os.close(count)


def read_count(count: int) -> int | None:
    """The bytes in use; None where nobody has counted."""
    text = os.pread(count, 21, 0)
    return int(text) if len(text) == 20 and text.isdigit() else None


def write_count(count: int, in_use: int) -> None:
    """Keep the bytes in use."""
    os.pwrite(count, b"%020d" % in_use, 0)


def on_disk(size: int) -> int:
    """What a file of `size` bytes takes."""
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
