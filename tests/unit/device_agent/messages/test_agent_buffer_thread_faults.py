"""The buffer's thread while the disk fails, hangs, or the agent has a bug."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from device_agent.messages.buffer import buffer_thread
from device_agent.messages.buffer.buffer_thread import BufferThread
from device_agent.messages.buffer.interface import Applied, BufferFailure, Reason, Refusal
from device_agent.messages.message import SET_ASIDE, Message, Stored, message_key
from tests.fakes.memory_buffer import MemoryBuffer
from tests.unit.device_agent.messages.buffer_thread_world import ALL, Diary, GatedBuffer, World, message, run


def test_a_failing_disk_refuses_at_once_and_keeps_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_thread, "FIRST_PAUSE_S", 0.01)

    async def test(world: World) -> None:
        world.append(0)
        await world.diary.until(lambda: bool(world.diary.of("stored")))
        world.buffer.failure = "No space."
        world.append(1, turn=1)
        world.thread.remove([message_key(5, 1)])
        await world.diary.until(lambda: len(world.diary.of("done")) == 2)
        assert world.diary.of("done")[1] == (1, Reason.FAILED)
        world.append(2)
        found: list[list[Stored]] = []
        world.thread.read(0, ALL, 10, 100, found.append)
        await world.diary.until(lambda: len(world.diary.of("done")) == 3)
        assert world.diary.of("failed") == ["No space."]
        assert not world.diary.of("removed")
        assert not found
        world.buffer.failure = ""
        await world.diary.until(lambda: bool(world.diary.of("removed")))
        assert world.diary.of("recovered") == [None]
        world.append(3, turn=1)
        world.append(4, turn=2)
        await world.diary.until(lambda: len(world.diary.of("done")) == 5)
        assert [reason for _, reason in world.diary.of("done")[-2:]] == [Reason.FAILED, message_key(5, 2)]
        assert found == [[]]

    run(test)


class FullDisk(GatedBuffer):
    """Nothing can be written, all can be read."""

    is_full = False

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """See Buffer."""
        self.probe()
        return super().apply(appends, removals)

    def probe(self) -> None:
        """See Buffer."""
        if self.is_full:
            raise BufferFailure("The disk is full.")


def test_what_is_there_is_read_while_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_thread, "FIRST_PAUSE_S", 0.01)
    buffer = FullDisk()

    async def test() -> None:
        diary = Diary()
        thread = BufferThread(buffer, asyncio.get_running_loop(), diary)
        thread.append(message(0), diary.done(0))
        await diary.until(lambda: bool(diary.of("stored")))
        buffer.is_full = True
        thread.append(message(1), diary.done(1))
        thread.read(0, ALL, 10, 100, lambda found: diary.note("read", found))
        thread.remove([message_key(5, 1)])
        await diary.until(lambda: bool(diary.of("read")))
        assert [entry.message for entry in diary.of("read")[0]] == [message(0)]
        assert diary.of("done")[1] == (1, Reason.FAILED)
        assert not diary.of("removed")
        buffer.is_full = False
        await diary.until(lambda: bool(diary.of("removed")))
        await thread.close()
        assert diary.of("failed") == ["The disk is full."]
        assert diary.of("recovered") == [None]

    asyncio.run(test())


def test_closing_with_a_failing_disk_answers_what_waits() -> None:
    async def test() -> None:
        world = World()
        world.buffer.failure = "No disk."
        world.append(1)
        world.thread.remove([1])
        await world.thread.close()
        assert world.diary.of("done") == [(1, Reason.FAILED)]
        assert world.diary.of("failed") == ["No disk."]

    asyncio.run(test())


def test_an_error_in_one_callback_keeps_no_other_from_being_called() -> None:
    def bad(outcome: Stored | Refusal) -> None:
        raise ZeroDivisionError

    async def test(world: World) -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        await world.hold()
        world.thread.append(message(1), bad)
        world.append(2)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("stored")) == 2)
        assert [number for number, _ in world.diary.of("done")] == [-1, 2]
        assert [type(error) for error in reported] == [ZeroDivisionError]

    run(test)


def test_the_failure_is_the_interface_s() -> None:
    buffer = MemoryBuffer()
    buffer.failure = "x"
    with pytest.raises(BufferFailure):
        buffer.apply([message(1)])
    assert SET_ASIDE not in range(10)


class DyingDisk(GatedBuffer):
    """From the second commit on every call raises, also `figures`."""

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """See Buffer."""
        if self.groups:
            self.failure = "The disk is dead."
        return super().apply(appends, removals)


def test_figures_are_right_while_the_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_thread, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(buffer_thread, "FIGURES_S", 3600.0)

    async def test() -> None:
        buffer, diary = DyingDisk(), Diary()
        buffer.gate.clear()
        thread = BufferThread(buffer, asyncio.get_running_loop(), diary)
        for number in range(300):
            thread.append(message(number), diary.done(number))
        buffer.gate.set()
        await diary.until(lambda: bool(diary.of("stored")))
        held = sum(map(len, diary.of("stored")))
        assert thread.figures.messages == held
        thread.append(message(300), diary.done(300))
        await diary.until(lambda: bool(diary.of("failed")))
        held = sum(map(len, diary.of("stored")))
        assert thread.figures.messages == held > 0
        buffer.clock_s = 7.0
        while thread.figures.oldest_s != 7.0:
            thread.append(message(301), diary.done(301))  # refused, and the thread goes round
            refused = len(diary.of("done"))
            await diary.until(lambda refused=refused: len(diary.of("done")) > refused)  # type: ignore[misc]
        assert thread.figures.messages == held
        await thread.close()

    asyncio.run(test())


def test_an_error_of_the_agent_refuses_all_that_is_asked_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenBuffer(GatedBuffer):
        def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
            super().apply(appends, removals)
            raise ZeroDivisionError

    async def test() -> None:
        buffer, diary = BrokenBuffer(), Diary()
        buffer.gate.clear()
        thread = BufferThread(buffer, asyncio.get_running_loop(), diary)
        for number in range(700):
            thread.append(message(number), diary.done(number))
        thread.remove([1])
        buffer.gate.set()
        await diary.until(lambda: len(diary.of("done")) == 700)
        thread.append(message(700), diary.done(700))
        await diary.until(lambda: len(diary.of("done")) == 701)
        thread.append(message(701), diary.done(701))
        await thread.close()
        await diary.until(lambda: len(diary.of("done")) == 702)
        assert diary.of("done") == [(number, Reason.FAILED) for number in range(702)]
        assert len(diary.of("failed")) == 1
        assert "error of the agent" in diary.of("failed")[0]

    asyncio.run(test())
    assert "ZeroDivisionError" in caplog.text


def test_closing_does_not_wait_for_a_disk_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffer_thread, "CLOSE_S", 0.05)

    async def test() -> World:
        world = World()
        await world.hold()
        with caplog.at_level(logging.ERROR, "edgepack.agent"):
            async with asyncio.timeout(5):
                await world.thread.close()
        return world

    world = asyncio.run(test())
    assert "not closed within" in caplog.text
    world.buffer.gate.set()
    world.thread._thread.join(10)  # its answers find no loop any more, which is no error
    assert "error of the agent" not in caplog.text
