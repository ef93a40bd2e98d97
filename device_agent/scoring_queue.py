"""The order of requests on their way to the script's process. Pure: no clock, no process, no event loop.

Requests are sent ahead of their turn (up to a window), so that the script never waits for the next one. It
answers in the order in which it received them, each answer leaving before the next `run()` begins. Hence,
when the process dies, the oldest request that is sent and not answered is the one that was running; it is
lost, and the others, which had not begun, go back to the head of the queue.

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


class ScoringQueue(Generic[Entry]):
    """Requests that wait and requests that are sent. Times are seconds of any clock that never goes back."""

    def __init__(self, *, window_requests: int = 32, window_bytes: int = 4 * 1024 * 1024) -> None:
        self._waiting: deque[Entry] = deque()
        self._sent: dict[int, Entry] = {}
        self._sent_bytes = 0
        self._next_number = 1
        self._window_requests = window_requests
        self._window_bytes = window_bytes
        self.running_since_s: float | None = None
        """When the oldest sent request began to run; None while nothing is sent."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def add(self, entry: Entry) -> None:
        """Put `entry` at the end."""
        self._waiting.append(entry)

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
            full = len(self._sent) >= self._window_requests
            if self._sent and (full or self._sent_bytes + entry.size_bytes > self._window_bytes):
                break
            self._waiting.popleft()
            if not self._sent:
                self.running_since_s = now_s
            self._sent[self._next_number] = entry
            self._sent_bytes += entry.size_bytes
            taken.append((self._next_number, entry))
            self._next_number += 1
        return taken

    def answered(self, number: int, now_s: float) -> Entry | None:
        """Remove and return the request with this number; the next one is running now. None if unknown."""
        entry = self._sent.pop(number, None)
        if entry is not None:
            self._sent_bytes -= entry.size_bytes
            self.running_since_s = now_s if self._sent else None
        return entry

    def process_died(self) -> Entry | None:
        """Remove and return the request that was running, if any; put the others that were sent back in
        front.
        """
        sent = list(self._sent.values())
        self._sent.clear()
        self._sent_bytes = 0
        self.running_since_s = None
        self._waiting.extendleft(reversed(sent[1:]))
        return sent[0] if sent else None

    def take_all(self) -> list[Entry]:
        """Remove and return everything, oldest first."""
        entries = [*self._sent.values(), *self._waiting]
        self._sent.clear()
        self._sent_bytes = 0
        self.running_since_s = None
        self._waiting.clear()
        return entries
