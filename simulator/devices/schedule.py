"""When a device sends: an interval with jitter, and bursts. Pure; simulated seconds from any start."""

from collections.abc import Callable
from typing import NamedTuple


class Burst(NamedTuple):
    """Every `every_s` seconds so many messages at once, beside the usual ones."""

    every_s: float
    messages: int


class Schedule:
    """What is due when.

    `jitter`: each interval is multiplied by a number between 1 - jitter and 1 + jitter (0 to 1). The first message is
    due after a part of an interval, so that devices that start together do not send together.
    """

    def __init__(
        self, interval_s: float, chance: Callable[[], float], *, jitter: float = 0.0, burst: Burst | None = None
    ) -> None:
        self._chance = chance
        self._jitter = jitter
        self._burst = burst
        self._next_s = interval_s * chance()
        self._burst_s = burst.every_s * (0.5 + chance() / 2) if burst is not None else float("inf")
        self.due_s = min(self._next_s, self._burst_s)

    def is_burst(self) -> bool:
        """Whether what is due next is a burst."""
        return self._burst_s < self._next_s

    def burst_messages(self) -> int:
        """Go on from a burst that was due; how many messages it has."""
        if self._burst is None:
            return 0
        self._burst_s += self._burst.every_s
        self.due_s = min(self._next_s, self._burst_s)
        return self._burst.messages

    def advance(self, interval_s: float) -> None:
        """Go on from a message that was due, to the one after this interval."""
        if self._jitter:
            interval_s *= 1 + self._jitter * (2 * self._chance() - 1)
        self._next_s += interval_s
        self.due_s = min(self._next_s, self._burst_s)

    def skip_to(self, now_s: float, interval_s: float) -> int:
        """Leave out what was due before `now_s`; how many usual messages that were."""
        skipped = 0
        if self._next_s < now_s:
            skipped = int((now_s - self._next_s) / interval_s) if interval_s > 0 else 1
            self._next_s = now_s
        self._burst_s = max(self._burst_s, now_s)
        self.due_s = min(self._next_s, self._burst_s)
        return skipped
