"""Requests about the twin: one at a time, repeated when they should be, and what the hub has is never guessed."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from device_agent.messages.iothub.twin_requests import TwinRequests


class Clock:
    """Timers that fire when told to."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None], list[bool]]] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> "Clock.Timer":
        cancelled: list[bool] = []
        self.due.append((delay_s, call, cancelled))
        return Clock.Timer(cancelled)

    class Timer:
        def __init__(self, cancelled: list[bool]) -> None:
            self._cancelled = cancelled

        def cancel(self) -> None:
            self._cancelled.append(True)

    def fire(self) -> float:
        """Fire the only timer that is not cancelled; how long it was."""
        (timer,) = [timer for timer in self.due if not timer[2]]
        self.due.remove(timer)
        timer[1]()
        return timer[0]

    @property
    def is_empty(self) -> bool:
        return all(cancelled for _, _, cancelled in self.due)


class World:
    """A hub that is asked, and a clock. It has begun."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[str, Mapping[str, Any] | None]] = []
        self.desired: list[dict[str, Any]] = []
        self.twin = TwinRequests(
            lambda request_id, patch: self.asked.append((request_id, patch)),
            lambda properties: self.desired.append(dict(properties)),
            self.clock.call_later,
        )

    def answer(self, status: int, document: object = None) -> None:
        """Answer the newest request."""
        self.twin.answered(self.asked[-1][0], status, document)

    def answer_get(self, version: int, desired: dict[str, Any], reported: dict[str, Any] | None = None) -> None:
        """Answer GET."""
        assert self.asked[-1][1] is None
        self.answer(200, {"desired": {**desired, "$version": version}, "reported": {**(reported or {}), "$version": 1}})


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_asked_before_the_beginning(world: World) -> None:
    world.twin.report({"a": 1})
    assert world.asked == []
    world.twin.begin()
    assert [patch for _, patch in world.asked] == [None]
    world.answer_get(1, {})
    assert [patch for _, patch in world.asked] == [None, {"a": 1}]


def test_patches_that_come_before_the_answer_are_not_lost(world: World) -> None:
    world.twin.begin()
    world.twin.patched({"a": 2, "$version": 6})
    world.answer_get(5, {"a": 1})
    assert len(world.asked) == 2, "the answer is older than the patch"
    world.answer_get(6, {"a": 2})
    assert world.desired == [{"a": 1}, {"a": 2}]
    assert world.clock.is_empty


@pytest.mark.parametrize("patch", [{"b": 1, "$version": 7}, {"b": 1, "$version": 2}, {"b": 1}, None, [], "x"])
def test_a_patch_out_of_order_or_unreadable_asks_for_the_whole(world: World, patch: object) -> None:
    world.twin.begin()
    world.answer_get(5, {"a": 1})
    world.twin.patched(patch)
    world.answer_get(1, {"again": True})
    assert world.desired == [{"a": 1}, {"again": True}]


def test_the_same_version_twice_changes_nothing(world: World) -> None:
    world.twin.begin()
    world.answer_get(5, {"a": 1})
    for _ in range(2):
        world.twin.patched({"a": None, "b": 2, "$version": 6})
    assert world.desired == [{"a": 1}, {"b": 2}]
    assert len(world.asked) == 1


def test_an_unanswered_request_is_followed_by_get_after_a_pause(world: World) -> None:
    world.twin.begin()
    world.answer_get(1, {})
    world.twin.report({"a": 1})
    assert world.clock.fire() == 30
    late, _ = world.asked[-1]
    assert world.clock.fire() == 1
    world.twin.answered(late, 204, None)
    assert [patch for _, patch in world.asked] == [None, {"a": 1}, None], "the late answer counts for nothing"
    world.answer_get(1, {}, {"a": 1})
    assert len(world.asked) == 3, "it had arrived"
    assert world.desired == [{}], "and nothing was desired anew"


def test_pauses_double_up_to_a_minute(world: World) -> None:
    world.twin.begin()
    pauses = []
    for _ in range(8):
        world.answer(500)
        pauses.append(world.clock.fire())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    world.answer_get(1, {})
    world.twin.report({"a": 1})
    world.answer(429)
    assert world.clock.fire() == 1
    assert world.asked[-1][1] == {"a": 1}, "throttled: the same again"


def test_a_refused_report_is_not_repeated_but_the_next_one_is_sent(world: World) -> None:
    world.twin.begin()
    world.answer_get(1, {}, {"old": 1})
    world.twin.report({"bad": 1})
    world.answer(400)
    assert world.clock.is_empty
    world.twin.report({"good": 1})
    assert world.asked[-1][1] == {"old": None, "good": 1}


def test_only_the_newest_report_is_sent_behind_one_under_way(world: World) -> None:
    world.twin.begin()
    world.answer_get(1, {})
    for number in range(5):
        world.twin.report({"number": number, "same": True})
    world.answer(204)
    world.answer(204)
    assert [patch for _, patch in world.asked] == [None, {"number": 0, "same": True}, {"number": 4}]


def test_too_large_a_report_is_not_sent(world: World) -> None:
    world.twin.begin()
    world.answer_get(1, {})
    world.twin.report({"a": "x" * 40_000})
    assert len(world.asked) == 1


@pytest.mark.parametrize("document", [None, [], {"desired": {}}, {"desired": {"$version": 1}, "reported": 3}])
def test_an_answer_without_a_twin_is_asked_for_again(world: World, document: object) -> None:
    world.twin.begin()
    world.answer(200, document)
    assert world.desired == []
    world.clock.fire()
    assert len(world.asked) == 2


def test_nothing_happens_after_the_end(world: World) -> None:
    world.twin.begin()
    world.twin.end()
    world.twin.report({"a": 1})
    assert (len(world.asked), world.clock.is_empty) == (1, True)
