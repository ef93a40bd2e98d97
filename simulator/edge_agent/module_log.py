"""A module's output: a file of all runs, and the last lines in memory with running numbers, for views.

The file is replaced when it is full, and one old one is kept beside it (`NAME.log.1`), so that a run of days does not
fill the disk. A line longer than 16 KiB is cut into several. Where the file cannot be written (a full disk), the lines
in memory go on without it.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

KEPT_LINES = 2000
MOST_FILE_BYTES = 16 * 1024 * 1024
MOST_LINE_BYTES = 16 * 1024


class ModuleLog:
    """Takes bytes as they come; lines are numbered from 1 over the whole run. `path` None: in memory only."""

    def __init__(self, path: Path | None = None, kept_lines: int = KEPT_LINES) -> None:
        self.path = path
        self._lines: deque[str] = deque(maxlen=kept_lines)
        self._last = 0
        self._rest = b""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] | None = None if path is None else path.open("ab")

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self._last

    def write(self, output: bytes) -> None:
        """Take some output; what is no whole line yet waits for its end."""
        *whole, self._rest = (self._rest + output).split(b"\n")
        if len(self._rest) >= MOST_LINE_BYTES:
            whole.append(self._rest)
            self._rest = b""
        for line in whole:
            for start in range(0, len(line) or 1, MOST_LINE_BYTES):
                self._add(line[start : start + MOST_LINE_BYTES])
        self._in_file(lambda file: file.flush())

    def end_line(self) -> None:
        """No more output of this run will come: what is left is a line."""
        if self._rest:
            self.write(b"\n")

    def say(self, text: str) -> None:
        """A line of the simulator's own."""
        self.end_line()
        self.write(f"edgeAgent: {text}\n".encode())

    def lines(self, after: int = 0, limit: int = 500) -> tuple[list[str], int]:
        """The lines after number `after`, as far as they are still kept, at most `limit`; and the last one's number."""
        first_kept = self._last - len(self._lines) + 1
        start = max(after + 1, first_kept)
        begin = start - first_kept
        chosen = [self._lines[at] for at in range(begin, min(begin + limit, len(self._lines)))]
        return chosen, start + len(chosen) - 1 if chosen else self._last

    def close(self) -> None:
        """Close the file; the lines in memory stay."""
        self.end_line()
        self._in_file(lambda file: file.close())
        self._file = None

    def _add(self, line: bytes) -> None:
        self._last += 1
        self._lines.append(line.rstrip(b"\r").decode(errors="replace"))
        self._in_file(self._turn_over)
        self._in_file(lambda file: file.write(line + b"\n"))

    def _turn_over(self, file: IO[bytes]) -> None:
        if self.path is not None and file.tell() > MOST_FILE_BYTES:
            file.close()
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            self._file = self.path.open("ab")

    def _in_file(self, do: Callable[[IO[bytes]], object]) -> None:
        """Do something to the file, if there is one; it is given up when it does not work."""
        if self._file is None:
            return
        try:
            do(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # it still tries to write
                self._file.close()
            self._file = None
            self._lines.append(f"edgeAgent: {self.path} cannot be written, and is given up: {error.strerror}")
            self._last += 1
