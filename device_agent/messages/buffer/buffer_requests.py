"""What the buffer's thread is asked for, and what it tells. The event loop and buffer_thread meet here."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from device_agent.messages.buffer.interface import Refusal
from device_agent.messages.message import Message, Stored


class BufferEvents(Protocol):
    """What happens in the buffer, told on the event loop."""

    def stored(self, messages: list[Stored]) -> None:
        """These are durable, in order of arrival."""

    def removed(self, keys: Collection[int]) -> None:
        """These are gone, as asked."""

    def dropped(self, keys: list[int]) -> None:
        """These were discarded to make room."""

    def expired(self, keys: list[int]) -> None:
        """The time to live of these has ended; they are gone."""

    def failed(self, text: str) -> None:
        """The disk does not work any more. Told once, until `recovered`."""

    def recovered(self) -> None:
        """The disk works again."""


class Append(NamedTuple):
    """See BufferThread.append."""

    message: Message
    done: Callable[[Stored | Refusal], None]
    turn: int


class Remove(NamedTuple):
    """See BufferThread.remove."""

    keys: Collection[int]


class Job(NamedTuple):
    """Anything else: `work` runs in the thread and returns what is then called on the loop."""

    work: Callable[[], Callable[[], None] | None]


def call_all(answers: deque[Callable[[], None]], loop: asyncio.AbstractEventLoop) -> None:
    """On the loop. An error in one of them is reported by the loop, and keeps no other from being called."""
    try:
        while answers:
            answers.popleft()()
    finally:
        if answers:
            loop.call_soon(call_all, answers, loop)
