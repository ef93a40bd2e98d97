"""Requests and answers of the script, kept for monitoring (EDGEPACK_CAPTURE_PERCENT): a scorer around the scorer.

Each is one line of JSON in `device_agent.collected_data`'s folder, below `modelDataCollector/DEVICE/MODULE/requests`:

    {"time": "2026-11-26T10:00:00.123Z", "id": "...", "status": 200, "ms": 1.5, "request": ..., "response": ...}

- Bodies that are JSON stand there as JSON. Others are text, or base64 where they are not UTF-8, and those longer than
  EDGEPACK_CAPTURE_BODY_BYTES are left out: `request_encoding` and `response_encoding` say text, base64 or left_out.
- `id` is the id of the request, of a message that of its result. Headers are not kept: they hold keys. What the agent
  itself refuses, without the script, is not kept.
- The caller never waits: a thread writes, what comes within a twentieth of a second together. What it cannot keep up
  with, and what the disk does not take, is counted as lost; so is what was to be sent as well
  (`messages.capture_upload`) and could not be.
"""

import base64
import collections
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from device_agent.around_scorer import AroundScorer
from device_agent.collected_data import DataFolder
from device_agent.collected_place import Place
from device_agent.scorer import Scorer, ScoringRequest, ScoringResult, Ticket, is_refusal

_MOST_WAITING_BYTES = 16 * 1024 * 1024
_MOST_WAITING = 4096
_BATCH_BYTES = 256 * 1024
_GATHER_S = 0.05
"""What arrives in so many seconds is written together: a write each would take longer than the request."""
_LAST_WRITE_S = 1.0


class Captured(NamedTuple):
    """One request with its answer, which came `at_s` (seconds since the epoch) and took `seconds`."""

    at_s: float
    seconds: float
    request: ScoringRequest
    result: ScoringResult


class Upload(Protocol):
    """Where records go besides."""

    def send(self, record: bytes, request_id: str) -> None:
        """Send the line of a record, without its end. Called in the thread that writes; never waits, never raises."""
        ...


class CapturingScorer(AroundScorer):
    """Implements Scorer."""

    def __init__(self, scorer: Scorer, capture: "Capture") -> None:
        super().__init__(scorer)
        self._capture = capture

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> Ticket:
        """See Scorer."""
        if not self._capture.wants_next():
            return self._scorer.submit(request, answer)
        begun_s = time.monotonic()

        def answered(result: ScoringResult) -> None:
            answer(result)
            if not is_refusal(result):
                self._capture.keep(Captured(time.time(), time.monotonic() - begun_s, request, result))

        return self._scorer.submit(request, answered)


class Capture:
    """Takes `percent` (0 to 100) of the requests and writes them to `folder`, in a thread of its own.

    `keep` belongs to one thread, the event loop's. `kept` and `lost` count requests; what is kept and cannot be sent
    to `upload`, or not be read again, counts in both.
    """

    def __init__(
        self,
        folder: DataFolder,
        place: Place,
        *,
        percent: int,
        body_bytes: int,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.kept = 0
        self.lost = 0
        self.upload: Upload | None = None
        self._folder = folder
        self._place = place
        self._percent = percent
        self._body_bytes = body_bytes
        self._chance = chance
        self._waiting: collections.deque[Captured] = collections.deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._has_enough = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_all, name="capture", daemon=True)
        self._thread.start()

    def wants_next(self) -> bool:
        """Whether the next request is one of those to keep."""
        return self._percent >= 100 or self._chance() * 100 < self._percent

    def keep(self, captured: Captured) -> None:
        """Have it written soon; never waits for the disk."""
        size = len(captured.request.body) + len(captured.result.body)
        with self._changed:
            is_full = len(self._waiting) >= _MOST_WAITING or self._waiting_bytes + size > _MOST_WAITING_BYTES
            if is_full or self._is_closing:
                self.lost += 1
                return
            self._waiting.append(captured)
            self._waiting_bytes += size
            if len(self._waiting) == 1:
                self._changed.notify()
        if self._waiting_bytes >= _BATCH_BYTES:
            self._has_enough.set()

    def lose(self, count: int) -> None:
        """Count so many more. From any thread."""
        with self._changed:
            self.lost += count

    def close(self) -> None:
        """Write what waits, for a second at most."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._has_enough.set()
        self._thread.join(_LAST_WRITE_S)

    def _write_all(self) -> None:
        while batch := self._next_batch():
            rows, count = bytearray(), 0
            for captured in batch:
                row = encode_captured(captured, self._body_bytes)
                if self.upload is not None:
                    self.upload.send(row[:-1], captured.request.request_id)
                if rows and len(rows) + len(row) > _BATCH_BYTES:
                    self._write(bytes(rows), count)
                    rows, count = bytearray(), 0
                rows += row
                count += 1
            self._write(bytes(rows), count)

    def _next_batch(self) -> list[Captured]:
        """What waits, soon after anything does; nothing when this is the end."""
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
        self._has_enough.wait(_GATHER_S)
        with self._changed:
            if not self._is_closing:
                self._has_enough.clear()
            batch = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            return batch

    def _write(self, rows: bytes, count: int) -> None:
        if self._folder.append(self._place, rows):
            self.kept += count
        else:
            self.lose(count)


def encode_captured(captured: Captured, body_bytes: int) -> bytes:
    """One line of JSON, with its end; see the module."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(captured.at_s))
    record: dict[str, Any] = {
        "time": f"{moment}.{int(captured.at_s % 1 * 1000):03d}Z",
        "id": captured.request.request_id,
        "status": captured.result.status,
        "ms": round(captured.seconds * 1000, 3),
        **_body("request", captured.request.body, body_bytes),
        **_body("response", captured.result.body, body_bytes),
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _body(name: str, body: bytes, most_bytes: int) -> Mapping[str, Any]:
    if len(body) > most_bytes:
        return {name: None, f"{name}_encoding": "left_out", f"{name}_bytes": len(body)}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {name: base64.b64encode(body).decode(), f"{name}_encoding": "base64"}
    try:
        document = json.loads(text)
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate, or too deep: kept as it came
    except (ValueError, RecursionError):
        return {name: text, f"{name}_encoding": "text"}
    return {name: document}
