"""The order of requests on their way to one of the script's processes. Pure: no clock, no process, no event loop.

All processes take from one deque of waiting requests. Requests are sent ahead of their turn (up to a window), so
that the script never waits for the next one; a slow script gets only one ahead, so that what waits can still be
withdrawn, or taken by another process. A process answers in the order in which it received them, each answer
leaving before the next `run()` begins, and notes the number of the one that it begins where the agent can read it.
Hence, when it dies, the oldest request that is sent and not answered was running if it had begun: then it is lost. All
others go back to the head of the queue.

    waiting --take_sendable--> sent --answered--> gone
       ^------process_died-------+  (all but the oldest)
"""

from collections import deque
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """What the queue needs to know of an entry."""

    @property
    def size_bytes(self) -> int:
        """Bytes that sending it takes."""
        ...

    @property
    def is_withdrawn(self) -> bool:
        """True when nobody waits for the answer any more."""
        ...


Entry = TypeVar("Entry", bound=Queued)


_SLOW_S = 0.002
_SLOW_WINDOW = 2


class ScoringQueue(Generic[Entry]):
    """Requests sent to one process, and the `waiting` ones. Times are seconds of any clock that never goes back."""

    def __init__(
        self, waiting: deque[Entry], *, window_requests: int = 32, window_bytes: int = 4 * 1024 * 1024
    ) -> None:
        self._waiting = waiting
        self._sent: dict[int, Entry] = {}
        self._sent_bytes = 0
        self._next_number = 1
        self._widest = window_requests
        self._window = min(window_requests, _SLOW_WINDOW)
        self._window_bytes = window_bytes
        self.running_since_s: float | None = None
        """When the oldest sent request began to run; None while nothing is sent."""

    def __len__(self) -> int:
        """Requests sent and not answered."""
        return len(self._sent)

    @property
    def has_room(self) -> bool:
        """True when a request could be sent now."""
        return len(self._sent) < self._window

    def take_sendable(self, now_s: float) -> list[tuple[int, Entry]]:
        """Requests to send now, each with its number, in order. Those withdrawn are dropped on the way.

        At least one is sent, whatever its size; more only within the window.
        """
        taken: list[tuple[int, Entry]] = []
        while self._waiting:
            entry = self._waiting[0]
            if entry.is_withdrawn:
                self._waiting.popleft()
                continue
            if self._sent and (not self.has_room or self._sent_bytes + entry.size_bytes > self._window_bytes):
                break
            self._waiting.popleft()
            if not self._sent:
                self.running_since_s = now_s
            self._sent[self._next_number] = entry
            self._sent_bytes += entry.size_bytes
            taken.append((self._next_number, entry))
            self._next_number = self._next_number % 0xFFFF_FFFF + 1
        return taken

    def answered(self, number: int, now_s: float) -> Entry | None:
        """Remove and return the request with this number; the next one is running now. None if unknown."""
        entry = self._sent.pop(number, None)
        if entry is not None:
            self._sent_bytes -= entry.size_bytes
            is_slow = self.running_since_s is not None and now_s - self.running_since_s > _SLOW_S
            self._window = min(self._widest, _SLOW_WINDOW if is_slow else self._window * 2)
            self.running_since_s = now_s if self._sent else None
        return entry

    @property
    def oldest_number(self) -> int:
        """Number of the oldest request that is sent and not answered, 0 for none."""
        return next(iter(self._sent), 0)

    def process_died(self, begun: int) -> Entry | None:
        """Put back in front what was sent; but remove and return the oldest, if it is the one that the process had
        `begun`: only that one may have been the cause.
        """
        running = self._sent.pop(begun, None) if begun and begun == self.oldest_number else None
        self._waiting.extendleft(reversed([entry for entry in self.take_sent() if not entry.is_withdrawn]))
        return running

    def take_sent(self) -> list[Entry]:
        """Remove and return what was sent, oldest first."""
        sent = list(self._sent.values())
        self._sent.clear()
        self._sent_bytes = 0
        self.running_since_s = None
        return sent
