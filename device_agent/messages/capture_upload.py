"""Captured records that also go upstream (EDGEPACK_CAPTURE_OUTPUT): a message each, through the buffer, sent last.

They never cost a result its place: they are stored only while half of the buffer is free with them, and where a result
needs room they go first, whatever the buffer's policy. What is refused or goes, and what could never be sent, is lost
there and not tried again; it stays on disk as it is. While the buffer's disk hangs, at most 4 MiB wait for it.
"""

import os
import threading
from collections.abc import Callable
from typing import Protocol

from device_agent.messages.buffer.buffer_space import message_bytes
from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.message import SPARE, Message, Stored
from device_agent.messages.settings import MessageSettings

MOST_WAITING_BYTES = 4 * 1024 * 1024


class SpareStore(Protocol):
    """What it needs of the buffer."""

    @property
    def largest_bytes(self) -> int:
        """Most that one message may take."""
        ...

    def append(self, message: Message, done: Callable[[Stored | Refusal], None], *, turn: int = 0) -> None:
        """See buffer_thread."""
        ...


class CaptureUpload:
    """Implements capture.Upload. `settings` gives those in force; `refusal` says why a message could never be sent;
    `lost` is told how many were not stored, in any thread.
    """

    def __init__(
        self,
        store: SpareStore,
        *,
        settings: Callable[[], MessageSettings],
        refusal: Callable[[Message], str],
        lost: Callable[[int], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._refusal = refusal
        self._lost = lost
        self._prefix = os.urandom(8).hex()
        self._count = 0
        self._lock = threading.Lock()  # `send` is called in the thread that writes, `_done` on the event loop
        self._waiting_bytes = 0

    def send(self, record: bytes, request_id: str) -> None:
        """See Upload."""
        settings = self._settings()
        self._count += 1
        message = Message(
            record,
            settings.capture_output,
            f"{self._prefix}{self._count:016x}",
            request_id,
            priority=SPARE,
            ttl_s=settings.ttl_s,
        )
        size = message_bytes(message)
        if size > self._store.largest_bytes or self._refusal(message) or not self._may_wait(size):
            self._lost(1)
        else:
            self._store.append(message, lambda outcome: self._done(outcome, size))

    def _may_wait(self, size: int) -> bool:
        with self._lock:
            if self._waiting_bytes + size > MOST_WAITING_BYTES:
                return False
            self._waiting_bytes += size
            return True

    def _done(self, outcome: Stored | Refusal, size: int) -> None:
        with self._lock:
            self._waiting_bytes -= size
        if isinstance(outcome, Refusal):
            self._lost(1)
