"""What a fleet tells its parent: JSON lines on one stream, and its own record of what was acknowledged.

- At most ten batches a second; a reader that is slow gets fewer and larger ones, and never holds the devices up: a
  thread writes, one batch at a time.
- The record file has a line for each message acknowledged, `{"id", "device", "sequence", "created", "acked"}`, times in
  seconds since 1970. It is whole after `close`.
- A problem is told when it comes for the first time, with the name of the device; how often it came in all is told at
  the end. At most 200 different ones are.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from edgepack.errors import InputError
from simulator.devices.session import Telemetry

_MOST_PROBLEMS = 200
_OTHERS = "other problems, which are not told one by one"
_BUFFER_BYTES = 1 << 20

Acked = list[tuple[str, float, list[Telemetry]]]


class Report:
    """See the module. `failed` is called, in the thread, when the stream or the file takes no more.

    Raises InputError when the file cannot be made.
    """

    def __init__(self, stream: IO[str], record_file: str, failed: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._record = _open_record(record_file) if record_file else None
        self._failed = failed
        self._acked: Acked = []
        self._problems: list[str] = []
        self._times: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._batch: tuple[Acked, dict[str, Any]] | None = None
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._thread.start()

    def acknowledged(self, device_id: str, now_s: float, messages: list[Telemetry]) -> None:
        """These were acknowledged at this time (seconds since 1970)."""
        self._acked.append((device_id, now_s, messages))

    def problem(self, name: str, reason: str) -> None:
        """Something went wrong with the device of this name."""
        if reason not in self._times and len(self._times) >= _MOST_PROBLEMS:
            reason = _OTHERS
        if not self._times[reason]:
            self._problems.append(f"{name}: {reason}")
        self._times[reason] += 1

    def is_ready(self) -> bool:
        """Whether the last batch is written."""
        return self._batch is None

    def send(self, more: Mapping[str, Any]) -> None:
        """Write a batch: what has been told since the last one, and `more`. Only when it `is_ready`."""
        document = {**more}
        if self._problems:
            document["problems"] = self._problems
            self._problems = []
        acked, self._acked = self._acked, []
        with self._changed:
            self._batch = acked, document
            self._changed.notify()

    def close(self, more: Mapping[str, Any]) -> None:
        """Write the last batch, with `more`, and wait until all is written."""
        with self._changed:
            while self._batch is not None and not self._is_over:
                self._changed.wait()
        self._problems += [f"{times} times in all: {text}" for text, times in self._times.items() if times > 1]
        self.send(more)
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    while self._batch is None:
                        if self._is_over:
                            return
                        self._changed.wait()
                    batch = self._batch
                self._write(*batch)
                with self._changed:
                    self._batch = None
                    self._changed.notify()
        except OSError as error:
            self._failed(error)
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()
            if self._record is not None:
                self._record.close()

    def _write(self, acked: Acked, document: dict[str, Any]) -> None:
        rows = [
            (message.message_id, device_id, message.created_s)
            for device_id, _, messages in acked
            for message in messages
        ]
        if rows:
            document = {"acked": rows, **document}
        if self._record is not None:
            for device_id, acked_s, messages in acked:
                device = json.dumps(device_id)
                self._record.writelines(
                    f'{{"id": {json.dumps(message.message_id)}, "device": {device}, "sequence": {message.sequence}, '
                    f'"created": {message.created_s:.6f}, "acked": {acked_s:.6f}}}\n'
                    for message in messages
                )
        self._stream.write(json.dumps(document) + "\n")
        self._stream.flush()


def _open_record(path: str) -> IO[str]:
    try:
        return Path(path).open("w", buffering=_BUFFER_BYTES, encoding="utf-8")
    except OSError as error:
        raise InputError(f"record_file: {path} cannot be written: {error.strerror}") from error
