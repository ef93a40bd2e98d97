"""edgeHub's queues: what expires, in whatever order times end."""

import pytest

from simulator.hub.queues import EndpointQueue, Waiting
from simulator.message import HubMessage


def waiting(name: str, deadline_s: float | None, priority: int = 0) -> Waiting:
    """A message with this name."""
    return Waiting(HubMessage("d", "", (), name.encode()), "", priority, deadline_s)


def names(found: list[Waiting]) -> str:
    """The names of messages."""
    return "".join(each.message.body.decode() for each in found)


@pytest.mark.parametrize(
    ("deadlines", "now_s", "expired", "left"),
    [
        ({"a": 1, "b": 2, "c": 3}, 2, "ab", "c"),
        ({"a": 3, "b": 1, "c": 2}, 2, "bc", "a"),
        ({"a": None, "b": 1, "c": None}, 1, "b", "ac"),
        ({"a": None, "b": None}, 1e18, "", "ab"),
        ({"a": 5, "b": 5}, 4.9, "", "ab"),
    ],
)
def test_what_expires(deadlines: dict[str, float | None], now_s: float, expired: str, left: str) -> None:
    queue = EndpointQueue()
    for name, deadline_s in deadlines.items():
        queue.append(waiting(name, deadline_s))
    assert names(queue.expire(0)) == ""
    assert names(queue.expire(now_s)) == expired
    assert names(queue.expire(now_s)) == ""
    assert names(queue.batch(now_s, 9, [])) == left
    assert len(queue) == len(left)


@pytest.mark.parametrize("later_s", [1.0, 9.0])
def test_one_is_spared_and_expires_when_it_is_not_any_longer(later_s: float) -> None:
    queue, first = EndpointQueue(), waiting("a", 2)
    queue.append(first)
    queue.append(waiting("b", later_s))
    queue.append(waiting("c", 2, priority=1))
    assert names(queue.expire(5, first)) == ("bc" if later_s < 5 else "c")
    assert queue.batch(1, 1, []) == [first]
    assert names(queue.expire(5)) == "a"


def test_a_queue_that_was_empty_begins_anew() -> None:
    queue, expired = EndpointQueue(), list[Waiting]()
    for name, deadline_s in (("a", 9), ("b", 3)):
        queue.append(waiting(name, deadline_s))
    assert queue.head(10, expired) is None
    assert names(expired) == "ab"
    queue.append(waiting("c", 2))
    queue.append(waiting("d", 20))
    assert names(queue.expire(2)) == "c"
    assert queue.head(2, expired) is not None
    assert dict(queue.depths()) == {0: 1}
