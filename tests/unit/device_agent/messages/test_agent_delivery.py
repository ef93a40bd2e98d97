"""The delivery core, event by event."""

import random
from collections import Counter

import pytest

from device_agent.messages.delivery import CONNECTIONS_TO_BREAK, STEADY_S, Delivery
from device_agent.messages.delivery_actions import Action, Connect, Load, Publish, Remove, SetAside, State
from device_agent.messages.message import Message, Stored, message_key
from device_agent.messages.transport import Loss


def stored(number: int, priority: int = 5, deadline_s: float = 0.0) -> Stored:
    """A message in the buffer."""
    return Stored(message_key(priority, number), deadline_s, Message(b"", "out", str(number), priority=priority))


def numbers(actions: list[Action]) -> list[str]:
    """Message ids of what is published, in order."""
    return [action.stored.message.message_id for action in actions if isinstance(action, Publish)]


def connected(*, window: int = 100, live_first: bool = False, waiting: list[Stored] | None = None) -> Delivery:
    """One that is connected and has loaded what waited."""
    core = Delivery(window=window, live_first=live_first)
    core.start()
    assert core.poll(0.0) == [Connect()]
    core.connected(0.0)
    load(core, waiting or [])
    return core


def load(core: Delivery, found: list[Stored]) -> list[Action]:
    """Answer its load, and the one that finds nothing more."""
    done: list[Action] = []
    for answer in (found, []):
        actions = core.poll(0.0)
        done += actions
        loads = [action for action in actions if isinstance(action, Load)]
        if loads:
            core.loaded(loads[0].number, answer)
    return done + core.poll(0.0)


def test_what_is_stored_while_connected_is_published_at_once_without_reading_it_again() -> None:
    core = connected()
    core.stored([stored(1), stored(2)])
    assert core.poll(0.0) == [Publish(stored(1)), Publish(stored(2))]
    core.published(stored(1).key)
    assert core.poll(0.0) == [Remove([stored(1).key])]


def test_nothing_is_sent_twice_over_one_connection() -> None:
    core = connected()
    core.stored([stored(1)])
    core.poll(0.0)
    core.stored([stored(1)])
    assert core.poll(0.0) == []


def test_the_window_counts_what_is_confirmed_until_it_is_gone_from_the_buffer() -> None:
    core = connected(window=2)
    core.stored([stored(number) for number in range(1, 6)])
    assert numbers(core.poll(0.0)) == ["1", "2"]
    core.published(stored(1).key)
    assert core.poll(0.0) == [Remove([stored(1).key])]
    core.removed([stored(1).key])
    assert numbers(core.poll(0.0)) == ["3"]


def test_a_higher_priority_goes_first() -> None:
    core = connected(window=1)
    core.stored([stored(1), stored(2), stored(3, priority=0), stored(4, priority=9)])
    order = []
    for _ in range(4):
        published = [action.stored for action in core.poll(0.0) if isinstance(action, Publish)]
        order += [each.message.message_id for each in published]
        core.published(published[0].key)
        core.poll(0.0)
        core.removed([published[0].key])
    assert order == ["3", "1", "2", "4"]


def test_a_lost_connection_begins_again_with_the_oldest_unconfirmed() -> None:
    core = connected()
    core.stored([stored(1), stored(2), stored(3)])
    core.poll(0.0)
    core.published(stored(2).key)
    core.disconnected(Loss.UNREACHABLE, 0.0, 0.0)
    core.poll(1.0)
    core.connected(1.0)
    assert numbers(load(core, [stored(1), stored(2), stored(3)])) == ["1", "3"], "2 is confirmed, and on its way out"


def test_an_answer_to_a_load_of_the_connection_before_does_not_count() -> None:
    core = Delivery(window=10)
    core.start()
    core.poll(0.0)
    core.connected(0.0)
    (old,) = core.poll(0.0)
    assert isinstance(old, Load)
    core.disconnected(Loss.PLANNED, 0.0, 0.0)
    core.poll(0.0)
    core.connected(0.0)
    core.loaded(old.number, [stored(7)])
    assert numbers(load(core, [stored(1), stored(7)])) == ["1", "7"]


def test_live_first_sends_what_is_new_before_what_waited() -> None:
    core = connected(window=1, live_first=True, waiting=[stored(1), stored(2)])
    core.stored([stored(3)])
    core.published(stored(1).key)
    core.poll(0.0)
    core.removed([stored(1).key])
    assert numbers(core.poll(0.0)) == ["3"]


def test_an_expired_message_is_removed_and_not_sent() -> None:
    core = connected()
    core.stored([stored(1, deadline_s=5.0), stored(2)])
    assert core.poll(5.0) == [Publish(stored(2)), Remove([stored(1).key], expired=True)]


@pytest.mark.parametrize("loss", [Loss.CLOSED, Loss.SILENT])
def test_a_message_that_breaks_five_connections_in_a_row_is_set_aside(loss: Loss) -> None:
    waiting = [stored(1), stored(2)]
    core = connected(waiting=waiting)
    now_s = 0.0
    for attempt in range(CONNECTIONS_TO_BREAK):
        core.disconnected(loss, now_s, 0.0)
        actions = core.poll(now_s)
        assert (SetAside(stored(1).key) in actions) == (attempt == CONNECTIONS_TO_BREAK - 1)
        now_s += 100.0
        core.poll(now_s)
        core.connected(now_s)
        if attempt < CONNECTIONS_TO_BREAK - 1:
            assert numbers(load(core, waiting)) == ["1"], "alone, so that the right one is blamed"
    core.removed([stored(1).key])
    assert numbers(load(core, [stored(2)])) == ["2"]


@pytest.mark.parametrize("loss", [Loss.UNREACHABLE, Loss.REFUSED, Loss.PLANNED])
def test_a_network_that_comes_and_goes_is_nobodys_fault(loss: Loss) -> None:
    core = connected(waiting=[stored(1)])
    for number in range(1, 3 * CONNECTIONS_TO_BREAK):
        now_s = number * 1000.0
        core.disconnected(loss, now_s, 0.0)
        assert not any(isinstance(action, SetAside) for action in core.poll(now_s))
        core.poll(now_s + 100.0)
        core.connected(now_s + 100.0)
        load(core, [stored(1)])


def test_a_delivery_in_between_clears_the_suspect() -> None:
    core = connected(waiting=[stored(1)])
    now_s = 0.0
    for number in range(1, 3 * CONNECTIONS_TO_BREAK):
        core.disconnected(Loss.CLOSED, now_s, 0.0)
        assert not any(isinstance(action, SetAside) for action in core.poll(now_s))
        now_s += 100.0
        core.poll(now_s)
        core.connected(now_s)
        load(core, [stored(number), stored(number + 1)])
        core.published(stored(number).key)
        core.poll(now_s)
        core.removed([stored(number).key])
        core.poll(now_s)


def test_waiting_grows_to_a_minute_and_starts_anew_after_a_steady_connection() -> None:
    core = Delivery(window=1)
    core.start()
    core.poll(0.0)
    waits = []
    for _ in range(7):
        core.disconnected(Loss.UNREACHABLE, 0.0, 1.0)
        waits.append(core.wake_at_s)
        core.hurry()
        core.poll(0.0)
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    core.connected(0.0)
    core.disconnected(Loss.CLOSED, 1.0, 1.0)
    assert core.wake_at_s == 61.0, "one that ends at once proves nothing"
    core.hurry()
    core.connected(1.0)
    core.disconnected(Loss.CLOSED, 1.0 + STEADY_S, 1.0)
    assert core.wake_at_s == 1.0 + STEADY_S + 5.0


def test_a_planned_loss_connects_again_at_once() -> None:
    core = connected()
    core.disconnected(Loss.PLANNED, 0.0, 1.0)
    assert core.poll(0.0) == [Connect()]
    assert core.failed_attempts == 0


def test_a_thousand_that_lose_their_broker_do_not_come_back_in_the_same_second() -> None:
    chance = random.Random(1)  # noqa: S311 - the same every time
    seconds: Counter[int] = Counter()
    for _ in range(1000):
        core = connected()
        core.disconnected(Loss.CLOSED, 0.0, chance.random())
        assert core.wake_at_s is not None
        seconds[int(core.wake_at_s)] += 1
    assert set(seconds) == {1, 2, 3, 4}
    assert max(seconds.values()) < 320


def test_what_the_buffer_dropped_is_not_sent_and_counted_once() -> None:
    core = connected(window=1)
    core.stored([stored(1), stored(2), stored(3)])
    core.poll(0.0)
    assert core.discarded([stored(1).key, stored(2).key]) == 2
    assert numbers(core.poll(0.0)) == ["3"]
    core.published(stored(3).key)
    core.poll(0.0)
    assert core.discarded([stored(3).key]) == 0, "it was delivered"


def test_what_can_never_be_sent_is_set_aside() -> None:
    core = connected()
    core.stored([stored(1), stored(2)])
    core.poll(0.0)
    core.unsendable(stored(1).key)
    assert core.poll(0.0) == [SetAside(stored(1).key)]


def test_an_event_that_cannot_be_is_a_bug() -> None:
    core = Delivery(window=1)
    with pytest.raises(ValueError, match="IDLE cannot become CONNECTED"):
        core.connected(0.0)
    core.close()
    core.disconnected(Loss.CLOSED, 0.0, 0.0)
    assert core.state is State.CLOSED


def test_when_the_next_message_does_no_better_nothing_more_is_set_aside() -> None:
    waiting = [stored(1), stored(2)]
    core = connected(waiting=waiting)
    now_s = 0.0
    aside: list[Action] = []
    for _ in range(4 * CONNECTIONS_TO_BREAK):
        core.disconnected(Loss.CLOSED, now_s, 0.0)
        now_s += 100.0
        actions = core.poll(now_s)
        aside += [action for action in actions if isinstance(action, SetAside)]
        if aside and waiting[0].key == stored(1).key:
            waiting.pop(0)
            core.removed([stored(1).key])
        core.connected(now_s)
        load(core, waiting)
    assert aside == [SetAside(stored(1).key)]


def test_large_messages_are_bounded_in_bytes_too() -> None:
    core = connected()
    large = [Stored(message_key(5, n), 0.0, Message(b"x" * 3_000_000, "out", str(n))) for n in (1, 2, 3)]
    core.stored(large)
    assert numbers(load(core, large[1:])) == ["1", "2"]
    assert core.in_flight == 2


def test_held_messages_of_a_later_priority_do_not_keep_an_earlier_one_on_disk() -> None:
    core = connected(window=1, live_first=True)
    core.disconnected(Loss.PLANNED, 0.0, 0.0)
    core.poll(0.0)
    core.connected(0.0)
    (first_load,) = core.poll(0.0)
    assert isinstance(first_load, Load)
    urgent = [stored(number, priority=3) for number in range(1, 3)]
    later = [stored(number, priority=4) for number in range(3, 1000)]
    core.stored([*urgent, *later])
    core.loaded(first_load.number, urgent)
    sent = []
    for _ in range(10):
        actions = core.poll(0.0)
        for action in actions:
            if isinstance(action, Load):
                core.loaded(action.number, [message for message in later if message.key > action.after][: action.limit])
            elif isinstance(action, Publish):
                sent.append(action.stored.message.message_id)
                core.published(action.stored.key)
            elif isinstance(action, Remove):
                core.removed(action.keys)
    assert sent[:3] == ["1", "2", "3"]
