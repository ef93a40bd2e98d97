"""Captured records that also go upstream (EDGEPACK_CAPTURE_OUTPUT): a message each, through the buffer, sent last.

They never cost a result its place: they are stored only while half of the buffer is free with them. What is refused,
and what could never be sent, is told to `lost` and not tried again; it stays on disk as it is.
"""

import os
from collections.abc import Callable
from typing import Protocol

from device_agent.messages.buffer.buffer_space import message_bytes
from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.message import Message, Stored
from device_agent.messages.settings import MessageSettings


class SpareStore(Protocol):
    """What it needs of the buffer."""

    @property
    def largest_bytes(self) -> int:
        """Most that one message may take."""
        ...

    def append(
        self, message: Message, done: Callable[[Stored | Refusal], None], *, turn: int = 0, spare: bool = False
    ) -> None:
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

    def send(self, record: bytes, request_id: str) -> None:
        """See Upload."""
        settings = self._settings()
        self._count += 1
        message = Message(
            record,
            settings.capture_output,
            f"{self._prefix}{self._count:016x}",
            request_id,
            priority=settings.capture_priority,
            ttl_s=settings.ttl_s,
        )
        if message_bytes(message) > self._store.largest_bytes or self._refusal(message):
            self._lost(1)
        else:
            self._store.append(message, self._kept, spare=True)

    def _kept(self, outcome: Stored | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._lost(1)
