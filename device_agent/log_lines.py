"""Log lines: one format for the agent and the script's process, written whole to one file descriptor.

Text, in UTC: `2024-05-01 12:00:00,123 I [42] azmlinfsrv - POST /score 200 3.189ms 1` (time, first letter of
the level, process id, logger, message). JSON: one object a line with time, level, pid, logger, message, and
request_id for records that are logged while `run()` works on a request. A line goes out in one write, so lines of
two processes on one pipe do not mix (POSIX, up to 4,096 bytes). Lines of requests are collected for a moment and
written together: a write for each would cost more than the scoring of a small model.
"""

import contextlib
import json
import logging
import os
import select
import threading
import time

PIPE_ATOMIC_BYTES = 4096
MOST_BACKLOG_BYTES = 1024 * 1024
_PATIENCE_MS = 100


class CurrentRequest:
    """What this process is working on: `id` is the request's id, "" between requests."""

    id = ""


class LineLog:
    """Writes formatted lines to `descriptor`. Thread-safe. Never raises, and hardly waits: a log that is gone, or that
    nobody reads, must not stop scoring.
    """

    def __init__(self, descriptor: int, log_format: str = "text") -> None:
        self._descriptor = descriptor
        self.is_json = log_format == "json"
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._collected: list[str] = []
        self._backlog = bytearray()
        self._is_stuck = False
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._second = -1
        self._second_text = ""

    def format_line(
        self, created_s: float, level: str, name: str, message: str, pid: int | None = None, request_id: str = ""
    ) -> str:
        """One line without its end. `created_s` is seconds since the epoch, `level` a name such as INFO.

        `request_id` is written in JSON only.
        """
        second = int(created_s)
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._second = second
        millisecond = int((created_s - second) * 1000)
        pid = self._pid if pid is None else pid
        if self.is_json:
            moment = f"{self._second_text.replace(' ', 'T')}.{millisecond:03d}Z"
            entry = {"time": moment, "level": level, "pid": pid, "logger": name, "message": message}
            if request_id:
                entry["request_id"] = request_id
            return json.dumps(entry)
        return f"{self._second_text},{millisecond:03d} {level[:1]} [{pid}] {name} - {message}"

    def collect(self, line: str) -> None:
        """Keep `line` for the next `flush` or `write`."""
        self._collected.append(line)

    def write(self, line: str) -> None:
        """Write what was collected and then `line`, now."""
        self._collected.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        with self._lock:
            lines, self._collected = self._collected, []
            block = b""
            for line in lines:
                encoded = line.encode("utf-8", "backslashreplace") + b"\n"
                if block and len(block) + len(encoded) > PIPE_ATOMIC_BYTES:
                    self._write_bytes(block)
                    block = b""
                block += encoded
            self._write_bytes(block)

    def _write_bytes(self, block: bytes) -> None:
        """Write `block` where that does not block; what does not go out is kept for the next time, up to a limit."""
        self._backlog += block
        with contextlib.suppress(OSError):
            while self._backlog and self._has_room():
                piece = self._backlog[:PIPE_ATOMIC_BYTES]
                del self._backlog[: os.write(self._descriptor, piece)]
        if len(self._backlog) > MOST_BACKLOG_BYTES:  # nobody reads: forget the oldest lines
            end = self._backlog.find(b"\n", len(self._backlog) - MOST_BACKLOG_BYTES // 2)
            del self._backlog[: end + 1]

    def _has_room(self) -> bool:
        """Whether PIPE_ATOMIC_BYTES can be written at once. A reader that has stopped reading is waited for once."""
        self._is_stuck = not self._poll.poll(0 if self._is_stuck else _PATIENCE_MS)
        return not self._is_stuck


class RecordWriter(logging.Handler):
    """Sends log records to a LineLog. The records of `azmlinfsrv.print` carry what the script printed."""

    def __init__(self, lines: LineLog) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write one record; the traceback, if any, follows the message."""
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - arguments and exceptions of a record are user code
            self.handleError(record)
            return
        self._lines.write(
            self._lines.format_line(
                record.created, record.levelname, record.name, message, record.process, CurrentRequest.id
            )
        )


def configure_logging(lines: LineLog, level: str) -> None:
    """Send all records of this process from `level` up to `lines`, in place of any handlers set before."""
    root = logging.getLogger()
    root.handlers[:] = [RecordWriter(lines)]
    root.setLevel(level)
