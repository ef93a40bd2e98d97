"""A buffer's thread, a buffer whose commits can be held, and a diary of all that is told."""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from device_agent.messages.buffer.buffer_thread import BufferThread
from device_agent.messages.buffer.interface import Applied, Refusal
from device_agent.messages.message import SPARE, Message, Stored, message_key
from tests.fakes.memory_buffer import MemoryBuffer


def message(number: int, **more: Any) -> Message:
    """A small message that tells its number."""
    return Message(b"%d" % number, "out", f"id-{number}")._replace(**more)


ALL = message_key(SPARE + 1, 0)


class Diary:
    """Everything that was told, in order, as (what, value)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self.changed = asyncio.Event()

    def note(self, what: str, value: Any = None) -> None:
        """One entry."""
        self.entries.append((what, value))
        self.changed.set()

    def stored(self, messages: list[Stored]) -> None:
        """See BufferEvents."""
        self.note("stored", [entry.message.message_id for entry in messages])

    def removed(self, keys: Collection[int]) -> None:
        """See BufferEvents."""
        self.note("removed", sorted(keys))

    def dropped(self, keys: list[int]) -> None:
        """See BufferEvents."""
        self.note("dropped", keys)

    def expired(self, keys: list[int]) -> None:
        """See BufferEvents."""
        self.note("expired", keys)

    def failed(self, text: str) -> None:
        """See BufferEvents."""
        self.note("failed", text)

    def recovered(self) -> None:
        """See BufferEvents."""
        self.note("recovered")

    def done(self, number: int) -> Callable[[Stored | Refusal], None]:
        """For the append of this message."""
        return lambda outcome: self.note(
            "done", (number, outcome.reason if isinstance(outcome, Refusal) else outcome.key)
        )

    def of(self, what: str) -> list[Any]:
        """The values of all entries of one kind."""
        return [value for kind, value in self.entries if kind == what]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it, at most 10 s."""
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class GatedBuffer(MemoryBuffer):
    """Commits wait for `gate`; `entered` tells that one does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.groups: list[list[str]] = []

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """See Buffer."""
        self.entered.set()
        assert self.gate.wait(10)
        applied = super().apply(appends, removals)
        self.groups.append([message.message_id for message in appends])
        return applied


class World:
    """A thread, its buffer and its diary."""

    def __init__(self, **options: Any) -> None:
        self.buffer = GatedBuffer(**options)
        self.diary = Diary()
        self.thread = BufferThread(self.buffer, asyncio.get_running_loop(), self.diary)

    def append(self, number: int, turn: int = 0, **more: Any) -> None:
        """Append a message with this number."""
        self.thread.append(message(number, **more), self.diary.done(number), turn=turn)

    async def hold(self) -> None:
        """Let a commit begin, and not end."""
        self.buffer.gate.clear()
        self.buffer.entered.clear()
        self.append(-1)
        await asyncio.to_thread(self.buffer.entered.wait, 10)


def run(test: Callable[[World], Any], **options: Any) -> None:
    """Run a test on a loop, and close the thread after it."""

    async def all_of_it() -> None:
        world = World(**options)
        await test(world)
        world.buffer.gate.set()
        await world.thread.close()

    asyncio.run(all_of_it())
