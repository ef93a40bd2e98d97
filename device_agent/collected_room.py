"""Which files below a folder of collected data count, and how room is made for more: the oldest go first.

Only in a turn (`collected_turn`).
"""

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from device_agent.collected_turn import on_disk

PART = ".part"
"""Ends the name of a file that is being written, and that readers leave alone."""
_NAME = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
_LAYOUT = re.compile(
    rf"modeldata(/{_NAME}){{7}}/\d{{4}}(/\d\d){{2,3}}/{_NAME}\.csv"
    rf"|modelDataCollector(/{_NAME}){{3}}/\d{{4}}(/\d\d){{3}}/{_NAME}\.(jsonl|parquet({re.escape(PART)})?)"
)


class Bounds(NamedTuple):
    """All files below `root` together have at most `max_bytes`, and are at most `max_age_s` old (0: any age). Where
    room has to be made, it is `spare_bytes` at least.
    """

    root: Path
    max_bytes: int
    spare_bytes: int
    max_age_s: float = 0.0


class CollectedFile(NamedTuple):
    """Sorts by age. The length stands before the path so that NAME-10 is younger than NAME-9 within one tick of the
    disk's clock.
    """

    changed_ns: int
    path_length: int
    path: str
    on_disk: int


def collected_files(root: Path) -> Iterator[CollectedFile]:
    """Every file of the layouts."""
    top = str(root).rstrip("/")
    for tree in ("modeldata", "modelDataCollector"):
        for folder, _, names in os.walk(f"{top}/{tree}"):
            for name in names:
                path = f"{folder}/{name}"
                if _LAYOUT.fullmatch(path, len(top) + 1):
                    with contextlib.suppress(FileNotFoundError):
                        status = os.lstat(path)
                        yield CollectedFile(status.st_mtime_ns, len(path), path, on_disk(status.st_size))


def make_room(bounds: Bounds, length: int, now_s: float | None = None) -> tuple[int, bool]:
    """Remove what is too old, then the oldest files until `length` bytes and some more fit.

    Returns the bytes in use, counted anew, and whether something had to go that was not too old.
    Raises OSError when that is not enough.
    """
    files = sorted(collected_files(bounds.root))
    oldest_ns = ((time.time() if now_s is None else now_s) - bounds.max_age_s) * 1e9
    while bounds.max_age_s and files and files[0].changed_ns < oldest_ns:
        with contextlib.suppress(FileNotFoundError):
            os.remove(files[0].path)  # noqa: PTH107 - as below
        _remove_empty(bounds.root, Path(files.pop(0).path).parent)
    in_use = sum(file.on_disk for file in files)
    if in_use + length <= bounds.max_bytes:
        return in_use, False
    for file in files:
        if in_use + max(length, bounds.spare_bytes) <= bounds.max_bytes:
            break
        with contextlib.suppress(OSError):
            os.remove(file.path)  # noqa: PTH107 - thousands of paths, which are text already
            in_use -= file.on_disk
            _remove_empty(bounds.root, Path(file.path).parent)
    if in_use + length > bounds.max_bytes:
        raise OSError(errno.ENOSPC, "the folder is full and its oldest files cannot be removed")
    return in_use, True


def _remove_empty(root: Path, folder: Path) -> None:
    """Remove `folder` and those above it that are empty, up to the folder of the layout."""
    while folder.parent != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
