"""Silence is when the oldest publish stays the oldest for too long, and nothing else."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from device_agent.messages.iothub.unconfirmed import Unconfirmed


class FakeLoop:
    """A clock that is moved by hand, and its timers."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append((self.now_s + delay_s, call))
        return cast("asyncio.TimerHandle", None)

    def move(self, seconds: float) -> None:
        """Let time pass, and fire what is due on the way."""
        until_s = self.now_s + seconds
        while due := min((timer for timer in self.timers if timer[0] <= until_s), default=None, key=lambda t: t[0]):
            self.timers.remove(due)
            self.now_s = due[0]
            due[1]()
        self.now_s = until_s


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def silences() -> list[float]:
    return []


@pytest.fixture
def unconfirmed(loop: FakeLoop, silences: list[float]) -> Unconfirmed:
    return Unconfirmed(cast("asyncio.AbstractEventLoop", loop), 60.0, lambda: silences.append(loop.now_s))


def test_one_that_is_never_confirmed(loop: FakeLoop, unconfirmed: Unconfirmed, silences: list[float]) -> None:
    loop.move(100)
    unconfirmed.add(1, 7)
    loop.move(59)
    assert silences == []
    loop.move(2)
    assert silences == [160]


def test_slow_progress_is_no_silence(loop: FakeLoop, unconfirmed: Unconfirmed, silences: list[float]) -> None:
    for number in range(20):
        unconfirmed.add(number, number)
    for number in range(20):
        loop.move(50)
        assert unconfirmed.confirm(number) == number
    loop.move(1000)
    assert silences == []
    assert loop.timers == [], "no timer without need"


def test_later_confirmations_do_not_excuse_the_oldest(
    loop: FakeLoop, unconfirmed: Unconfirmed, silences: list[float]
) -> None:
    unconfirmed.add(0, None)
    for number in range(1, 10):
        unconfirmed.add(number, number)
        loop.move(10)
        unconfirmed.confirm(number)
    assert silences == [60]


def test_keys_and_unknown_numbers(unconfirmed: Unconfirmed) -> None:
    unconfirmed.add(1, 5)
    unconfirmed.add(2, None)
    assert [unconfirmed.confirm(number) for number in (2, 3, 1, 1)] == [None, None, 5, None]
