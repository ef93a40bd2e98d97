"""The queue before the script's process: order, window, and what a death costs."""

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
    queue = ScoringQueue[Request](window_requests=window, window_bytes=window_bytes)
    requests = [Request(name) for name in range(count)]
    for request in requests:
        queue.add(request)
    return queue, requests


def _names(taken: list[tuple[int, Request]]) -> list[int]:
    return [request.name for _, request in taken]


def test_requests_are_sent_in_order_up_to_the_window() -> None:
    queue, _ = _filled(5, window=3)
    taken = queue.take_sendable(1.0)
    assert _names(taken) == [0, 1, 2]
    assert queue.take_sendable(1.0) == []
    assert queue.answered(taken[0][0], 2.0) is taken[0][1]
    assert _names(queue.take_sendable(2.0)) == [3]


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
    queue, requests = _filled(5, window=3)
    queue.take_sendable(0.0)
    assert queue.process_died() is requests[0]
    assert queue.running_since_s is None
    assert _names(queue.take_sendable(1.0)) == [1, 2, 3]


def test_a_death_while_idle_costs_nothing() -> None:
    queue, _ = _filled(0)
    assert queue.process_died() is None


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


def test_take_all_empties_the_queue_oldest_first() -> None:
    queue, requests = _filled(4, window=2)
    queue.take_sendable(0.0)
    assert queue.take_all() == requests
    assert len(queue) == 0
    assert queue.running_since_s is None


@given(st.lists(st.sampled_from(["add", "send", "answer", "die"]), max_size=60), st.integers(1, 4))
def test_every_request_is_answered_once_or_lost_once_and_in_order(steps: list[str], window: int) -> None:
    queue = ScoringQueue[Request](window_requests=window)
    added = 0
    sent: list[int] = []
    finished: list[int] = []
    for step in steps:
        if step == "add":
            queue.add(Request(added))
            added += 1
        elif step == "send":
            sent += [number for number, _ in queue.take_sendable(0.0)]
        elif step == "answer" and sent:
            request = queue.answered(sent.pop(0), 0.0)
            assert request is not None
            finished.append(request.name)
        elif step == "die":
            lost = queue.process_died()
            assert (lost is None) == (not sent)
            sent = []
            if lost is not None:
                finished.append(lost.name)
    finished += [request.name for request in queue.take_all()]
    assert finished == list(range(added))
