"""The buffer's thread: group commit, the order of answers, turns."""

import asyncio
from typing import Any

import pytest

from device_agent.messages.buffer import buffer_thread
from device_agent.messages.buffer.interface import Reason
from device_agent.messages.message import message_key
from tests.unit.device_agent.messages.buffer_thread_world import ALL, World, message, run


def test_what_arrives_during_a_commit_shares_the_next() -> None:
    async def test(world: World) -> None:
        await world.hold()
        for number in range(600):
            world.append(number)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("done")) == 601)
        assert [len(group) for group in world.buffer.groups] == [1, 500, 100]
        assert [number for number, _ in world.diary.of("done")] == [-1, *range(600)]

    run(test)


def test_a_group_is_limited_in_bytes() -> None:
    async def test(world: World) -> None:
        await world.hold()
        big = bytes(400_000)
        for number in range(5):
            world.thread.append(message(number)._replace(body=big), world.diary.done(number))
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("done")) == 6)
        assert [len(group) for group in world.buffer.groups] == [1, 3, 2]

    run(test)


def test_answers_of_a_commit_come_in_order_and_together() -> None:
    async def test(world: World) -> None:
        await world.hold()
        world.append(1)
        world.thread.remove([message_key(5, 1)])
        world.append(2)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("stored")) == 2)
        key = message_key(5, 0)
        assert world.diary.entries == [
            ("done", (-1, key + 1)),
            ("stored", ["id--1"]),
            ("done", (1, key + 2)),
            ("done", (2, key + 3)),
            ("removed", [key + 1]),
            ("stored", ["id-1", "id-2"]),
        ]

    run(test)


def test_what_is_dropped_at_once_is_not_announced_as_stored() -> None:
    async def test(world: World) -> None:
        await world.hold()
        for number in range(3):
            world.append(number)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("done")) == 4)
        key = message_key(5, 0)
        assert world.diary.of("dropped") == [[key + 1, key + 2]]
        assert world.diary.of("stored") == [["id--1"], ["id-1", "id-2"]]

    run(test, max_bytes=2 * (64 + 20 + 30), policy="drop_oldest")


def test_a_turn_ends_with_its_first_refusal() -> None:
    async def test(world: World) -> None:
        world.append(0, turn=1)
        world.append(1, turn=1, ttl_s=1)
        await world.diary.until(lambda: len(world.diary.of("done")) == 2)
        await world.hold()
        world.append(2, turn=1)
        world.buffer.gate.set()
        await world.diary.until(lambda: len(world.diary.of("done")) == 4)
        world.thread.remove([message_key(5, number) for number in (1, 2)])
        world.append(3, turn=1)
        world.append(4)
        world.append(5, turn=2)
        await world.diary.until(lambda: len(world.diary.of("done")) == 7)
        outcomes = dict(world.diary.of("done"))
        assert {number for number, outcome in outcomes.items() if outcome is Reason.FULL} == {-1, 2, 3}
        assert all(isinstance(outcomes[number], int) for number in (0, 1, 4, 5))

    run(test, max_bytes=2 * (64 + 20 + 10))


def test_questions_are_answered_and_figures_known() -> None:
    async def test(world: World) -> None:
        for number in range(3):
            world.append(number)
        found: list[Any] = []
        world.thread.read(0, ALL, 2, 1000, found.append)
        world.thread.set_aside(message_key(5, 1))
        world.thread.restore(found.append)
        world.thread.restore(lambda count: world.diary.note("restored", count))
        await world.diary.until(lambda: bool(world.diary.of("restored")))
        assert [entry.message.message_id for entry in found[0]] == ["id-0", "id-1"]
        assert found[1:] == [1]
        assert world.diary.of("restored") == [0]
        assert world.diary.of("removed") == [[message_key(5, 1)]], "set aside is gone from its lane"
        async with asyncio.timeout(5):
            while world.thread.figures.messages != 3:
                await asyncio.to_thread(world.buffer.entered.wait, 0.01)
        assert world.thread.now_s() == 0

    run(test)


def test_messages_expire_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_thread, "UPKEEP_S", 0.01)
    monkeypatch.setattr(buffer_thread, "FIGURES_S", 0.01)

    async def test(world: World) -> None:
        world.append(0, ttl_s=5)
        world.append(1, ttl_s=50)
        await world.diary.until(lambda: len(world.diary.of("done")) == 2)
        world.buffer.clock_s = 6
        await world.diary.until(lambda: bool(world.diary.of("expired")))
        world.buffer.clock_s = 60
        await world.diary.until(lambda: len(world.diary.of("expired")) == 2)
        assert world.diary.of("expired") == [[message_key(5, 1)], [message_key(5, 2)]]

    run(test)


def test_closing_does_everything_first() -> None:
    async def test() -> None:
        world = World()
        await world.hold()
        for number in range(1200):
            world.append(number)
        world.thread.remove([message_key(5, 1)])
        closing = asyncio.create_task(world.thread.close())
        await asyncio.sleep(0)
        world.buffer.gate.set()
        await closing
        assert len(world.diary.of("done")) == 1201
        assert world.diary.of("removed") == [[message_key(5, 1)]]
        assert world.thread.figures.messages == 1200

    asyncio.run(test())


def test_a_change_of_policy_takes_effect_in_order() -> None:
    async def test(world: World) -> None:
        for number in range(3):
            world.append(number)
        await world.diary.until(lambda: len(world.diary.of("done")) == 3)
        world.thread.change_policy("drop_oldest")
        world.thread.restore(lambda count: world.diary.note("restored", count))
        await world.diary.until(lambda: bool(world.diary.of("restored")))
        world.append(3)
        await world.diary.until(lambda: len(world.diary.of("done")) == 4)
        assert world.diary.of("done")[2] == (2, Reason.FULL)
        assert world.diary.of("dropped") == [[message_key(5, 1)]]

    run(test, max_bytes=2 * (64 + 20 + 10))


def test_a_removal_that_may_wait_shares_the_next_commit_or_is_done_soon() -> None:
    async def test(world: World) -> None:
        first, second = message_key(5, 1), message_key(5, 2)
        world.append(0)
        await world.diary.until(lambda: bool(world.diary.of("stored")))
        world.thread.remove_soon([first])
        world.append(1)
        await world.diary.until(lambda: len(world.diary.of("stored")) == 2)
        assert world.buffer.groups == [["id-0"], ["id-1"]]
        assert world.diary.of("removed") == [[first]], "with the append"
        world.thread.remove_soon([second])
        await world.diary.until(lambda: world.diary.of("removed") == [[first], [second]])

    run(test)


def test_removals_that_may_wait_are_done_when_it_is_closed() -> None:
    async def test(world: World) -> None:
        world.append(0)
        await world.diary.until(lambda: bool(world.diary.of("stored")))
        world.thread.remove_soon([message_key(5, 1)])
        await world.thread.close()
        assert world.diary.of("removed") == [[message_key(5, 1)]]

    async def once() -> None:
        await test(World())

    asyncio.run(once())


def test_the_longest_message_is_the_buffer_s_of_now() -> None:
    async def test(world: World) -> None:
        world.buffer._max_bytes = 1000
        assert world.thread.largest_bytes == world.buffer.largest_bytes == 1000 - 64

    run(test)
