"""edgeHub's store: what waits for an endpoint, by priority, each message until its time to live ends. Pure.

Strict priority: 0 before 1, whatever waits. Within a priority in order of arrival. Priority and time to live are those
of the moment when the message was stored. The first is looked at, sent, and removed when it is acknowledged. To expire
costs nothing while nobody's time is over, and looks at all that waits only where times do not end in order of arrival.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from simulator.message import HubMessage

_NEVER_S = float("inf")


class Waiting(NamedTuple):
    """A message for an endpoint. `input_name` is "" upstream. `deadline_s`: when its time to live ends, None: never."""

    message: HubMessage
    input_name: str
    priority: int
    deadline_s: float | None


class _Line:
    """What waits with one priority. `is_ordered`: nobody's time ends before that of one who came earlier."""

    __slots__ = ("earliest_s", "is_ordered", "latest_s", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Waiting] = deque()
        self.earliest_s = self.latest_s = _NEVER_S
        self.is_ordered = True

    def append(self, waiting: Waiting) -> None:
        deadline_s = _deadline(waiting)
        if not self.waiting:
            self.is_ordered, self.earliest_s = True, deadline_s
        elif deadline_s < self.latest_s:
            self.is_ordered = False
        self.earliest_s = min(self.earliest_s, deadline_s)
        self.latest_s = deadline_s
        self.waiting.append(waiting)

    def expire(self, now_s: float, spared: Waiting | None) -> list[Waiting]:
        if now_s < self.earliest_s or not self.waiting:
            return []
        first = self.waiting.popleft() if spared is not None and self.waiting[0] is spared else None
        expired: list[Waiting] = []
        if self.is_ordered:
            while self.waiting and _deadline(self.waiting[0]) <= now_s:
                expired.append(self.waiting.popleft())
            self.earliest_s = _deadline(self.waiting[0]) if self.waiting else _NEVER_S
        else:
            expired = [each for each in self.waiting if _deadline(each) <= now_s]
            self.waiting = deque(each for each in self.waiting if _deadline(each) > now_s)
            self.earliest_s = min(map(_deadline, self.waiting), default=_NEVER_S)
        if first is not None:
            self.waiting.appendleft(first)
            self.earliest_s = min(self.earliest_s, _deadline(first))
        return expired


class EndpointQueue:
    """All that waits for one endpoint."""

    def __init__(self) -> None:
        self._by_priority: dict[int, _Line] = {}

    def __len__(self) -> int:
        return sum(len(line.waiting) for line in self._by_priority.values())

    def append(self, waiting: Waiting) -> None:
        """Store a message."""
        line = self._by_priority.get(waiting.priority)
        if line is None:
            self._by_priority[waiting.priority] = line = _Line()
            self._by_priority = dict(sorted(self._by_priority.items()))
        line.append(waiting)

    def head(self, now_s: float, expired: list[Waiting]) -> Waiting | None:
        """The message that is next; what has expired before it is removed and added to `expired`."""
        for line in self._by_priority.values():
            while line.waiting:
                first = line.waiting[0]
                if _deadline(first) > now_s:
                    return first
                expired.append(line.waiting.popleft())
        return None

    def batch(self, now_s: float, most: int, expired: list[Waiting]) -> list[Waiting]:
        """The next messages, at most so many, all of one priority; they stay until they are removed."""
        first = self.head(now_s, expired)
        if first is None:
            return []
        found: list[Waiting] = []
        for waiting in self._by_priority[first.priority].waiting:
            if len(found) == most or _deadline(waiting) <= now_s:
                break  # what has expired is removed when it is the first
            found.append(waiting)
        return found

    def remove(self, waiting: Waiting) -> bool:
        """Remove a message that was first of its priority; False when it is gone already."""
        line = self._by_priority.get(waiting.priority)
        if line is not None and line.waiting and line.waiting[0] is waiting:
            line.waiting.popleft()
            return True
        return False

    def expire(self, now_s: float, spared: Waiting | None = None) -> list[Waiting]:
        """Remove all that has expired, wherever it waits, but for `spared`, which is first of its priority."""
        return [each for line in self._by_priority.values() for each in line.expire(now_s, spared)]

    def depths(self) -> Iterator[tuple[int, int]]:
        """Priorities and how many messages wait in each."""
        return ((priority, len(line.waiting)) for priority, line in self._by_priority.items())


def _deadline(waiting: Waiting) -> float:
    return _NEVER_S if waiting.deadline_s is None else waiting.deadline_s
