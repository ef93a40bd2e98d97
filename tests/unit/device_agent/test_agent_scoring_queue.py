"""The queue before the script's process: order, window, and what a death costs."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from device_agent.scoring_queue import ScoringQueue


@dataclass(eq=False)
class Request:
    name: int = 0
    size_bytes: int = 10
    is_withdrawn: bool = field(default=False)


def _filled(count: int, *, window: int = 32, window_bytes: int = 10_000) -> tuple[ScoringQueue[Request], list[Request]]:
    requests = [Request(name) for name in range(count)]
    return ScoringQueue(deque(requests), window_requests=window, window_bytes=window_bytes), requests


def _names(taken: list[tuple[int, Request]]) -> list[int]:
    return [request.name for _, request in taken]


def test_a_quick_script_gets_more_requests_ahead_and_a_slow_one_few() -> None:
    queue, _ = _filled(40, window=5)
    first = queue.take_sendable(1.0)
    assert _names(first) == [0, 1]
    assert not queue.has_room
    assert queue.answered(first[0][0], 1.0) is first[0][1]
    assert _names(queue.take_sendable(1.0)) == [2, 3, 4]
    queue.answered(first[1][0], 1.0)
    assert _names(queue.take_sendable(1.0)) == [5, 6]
    assert len(queue) == 5
    queue.answered(3, 9.0)
    assert queue.take_sendable(9.0) == []
    assert not queue.has_room


def test_a_window_of_one_sends_nothing_ahead() -> None:
    queue, _ = _filled(3, window=1)
    ((number, _),) = queue.take_sendable(0.0)
    queue.answered(number, 0.0)
    assert _names(queue.take_sendable(0.0)) == [1]


def test_two_processes_share_what_waits() -> None:
    waiting = deque(Request(name) for name in range(5))
    first, second = ScoringQueue(waiting), ScoringQueue(waiting)
    assert _names(first.take_sendable(0.0)) == [0, 1]
    assert _names(second.take_sendable(0.0)) == [2, 3]
    assert first.process_died(begun=1) is not None
    second.answered(1, 0.0)
    assert _names(second.take_sendable(0.0)) == [1, 4]


def test_the_window_counts_bytes_but_lets_one_request_of_any_size_through() -> None:
    queue, requests = _filled(3, window_bytes=15)
    requests[0].size_bytes = 1000
    (first,) = queue.take_sendable(0.0)
    queue.answered(first[0], 1.0)
    assert _names(queue.take_sendable(1.0)) == [1]


def test_the_clock_of_the_running_request_starts_when_the_one_before_is_answered() -> None:
    queue, _ = _filled(2)
    assert queue.running_since_s is None
    taken = queue.take_sendable(5.0)
    assert queue.running_since_s == 5.0
    queue.answered(taken[0][0], 9.0)
    assert queue.running_since_s == 9.0
    queue.answered(taken[1][0], 11.0)
    assert queue.running_since_s is None


def test_a_death_costs_the_oldest_and_the_others_go_first_next_time() -> None:
    queue, requests = _filled(5)
    queue.take_sendable(0.0)
    assert queue.process_died(begun=1) is requests[0]
    assert queue.running_since_s is None
    assert _names(queue.take_sendable(1.0)) == [1, 2]


def test_a_death_while_idle_costs_nothing() -> None:
    queue, _ = _filled(0)
    assert queue.process_died(begun=0) is None


def test_a_death_before_the_oldest_has_begun_costs_nothing() -> None:
    queue, requests = _filled(3)
    ((number, _), _) = queue.take_sendable(0.0)
    queue.answered(number, 0.0)
    assert queue.process_died(begun=number) is None
    assert _names(queue.take_sendable(1.0)) == [1, 2]
    assert len(requests) == 3


def test_a_withdrawn_request_is_not_sent() -> None:
    queue, requests = _filled(3)
    requests[0].is_withdrawn = requests[2].is_withdrawn = True
    assert _names(queue.take_sendable(0.0)) == [1]
    assert len(queue) == 1


def test_an_unknown_answer_is_ignored() -> None:
    queue, _ = _filled(1)
    queue.take_sendable(1.0)
    assert queue.answered(99, 2.0) is None
    assert queue.running_since_s == 1.0


@given(st.lists(st.sampled_from(["add", "send", "answer", "die"]), max_size=60), st.integers(1, 4))
def test_every_request_is_answered_once_or_lost_once_and_in_order(steps: list[str], window: int) -> None:
    waiting = deque[Request]()
    queue = ScoringQueue(waiting, window_requests=window)
    added = 0
    sent: list[int] = []
    finished: list[int] = []
    for step in steps:
        if step == "add":
            waiting.append(Request(added))
            added += 1
        elif step == "send":
            sent += [number for number, _ in queue.take_sendable(0.0)]
        elif step == "answer" and sent:
            request = queue.answered(sent.pop(0), 0.0)
            assert request is not None
            finished.append(request.name)
        elif step == "die":
            lost = queue.process_died(begun=queue.oldest_number)
            assert (lost is None) == (not sent)
            sent = []
            if lost is not None:
                finished.append(lost.name)
    finished += [request.name for request in [*queue.take_sent(), *waiting]]
    assert finished == list(range(added))
