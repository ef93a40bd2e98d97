"""How long to wait before a registry is asked again, and when to give up."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgepack.errors import RemoteError
from edgepack.oci.registry_fault import RegistryRefusal

ATTEMPTS = 6
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_LONGEST_ASKED_S = 120.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, so that tests have their own. `wall_s` is in seconds since 1970.

    Without a `pause`, waits end early when the connection is closed.
    """

    wall_s: Callable[[], float] = time.time
    steady_s: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] | None = None
    chance: Callable[[], float] = random.random


class Backoff:
    """Waits between attempts. `reset` after progress: then the next failure is the first one again."""

    def __init__(self, clock: Clock, say: Callable[[str], None], is_closed: threading.Event) -> None:
        self._clock = clock
        self._say = say
        self._is_closed = is_closed
        self._failures = 0

    def reset(self) -> None:
        """Forget the failures so far."""
        self._failures = 0

    def wait(self, error: RemoteError) -> None:
        """Wait before the next attempt.

        Raises:
            RemoteError: `error` itself, if another attempt cannot help or there were enough.
        """
        self._failures += 1
        least_s = error.wait_s if isinstance(error, RegistryRefusal) else 0.0
        if not error.retryable or self._is_closed.is_set():
            raise error
        if self._failures >= ATTEMPTS or least_s > _LONGEST_ASKED_S:
            times = "once" if self._failures == 1 else f"{self._failures} times"
            error.args = (f"{error}; tried {times}{f'; it asks for a wait of {least_s:.0f} s' if least_s else ''}",)
            raise error
        doubled_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (self._failures - 1))
        wait_s = max(least_s * (1 + self._clock.chance() / 4), doubled_s * (0.5 + self._clock.chance() / 2))
        self._say(f"{error}; trying again in {wait_s:.1f} s")
        (self._clock.pause or self._is_closed.wait)(wait_s)
