"""When to look again and again for a moment instead of going to sleep, and how.

Waking a process costs more than a small model's run(). For a lone caller, whose requests come one after the other,
both ends of the socket pair therefore look for LONGEST_S before they sleep. Where that found nothing PATIENCE times in
a row it is given up for twice as many times after each further failure, up to MOST_SKIPPED: a slow script, or one that
is called seldom, costs next to nothing. On a single processor the other end could not even run meanwhile, so there it
is never done. Decision 6 has the figures.
"""

import socket
import time

LONGEST_S = 0.0003
PATIENCE = 16
MOST_SKIPPED = 256


class Spinning:
    """The luck so far of one end."""

    def __init__(self, processors: int) -> None:
        self._is_possible = processors > 1
        self._failures = 0
        self._skips = 0

    def is_worth_a_try(self) -> bool:
        """Ask before every try; `tell` how it went."""
        if self._skips:
            self._skips -= 1
            return False
        return self._is_possible

    def tell(self, *, found: bool) -> None:
        """The result of a try."""
        self._failures = 0 if found else self._failures + 1
        if self._failures > PATIENCE:
            self._skips = min(MOST_SKIPPED, 2 ** min(self._failures - PATIENCE, 20))


def receive_quickly(end: socket.socket, most_bytes: int) -> bytes:
    """What arrives within a moment, looked for without sleeping; empty if nothing did, or the other end is gone."""
    until_s = time.perf_counter() + LONGEST_S
    while True:
        try:
            return end.recv(most_bytes, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if time.perf_counter() > until_s:
                return b""
        except OSError:
            return b""
