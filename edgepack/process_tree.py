"""A process and all that it has started, and that these have started: from /proc."""

from collections.abc import Iterator
from pathlib import Path


def process_tree(pid: int) -> Iterator[int]:
    """Ids of a process and its descendants, parents first; those that have ended meanwhile are left out.

    The children of a process are read when the next id is asked for, so that they know what was done to their parent.
    """
    waiting = [pid]
    while waiting:
        each = waiting.pop(0)
        yield each
        for path in Path("/proc", str(each), "task").glob("*/children"):
            try:
                waiting += map(int, path.read_text().split())
            except OSError:
                continue  # the thread, or the process, has ended
