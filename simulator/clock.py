"""Simulated time: as fast as the run asks. What a device or a module does in real time stays in real time.

Everything of the simulator that waits (intervals of sensors, times to live, restart back-off, steps of a scenario) asks
this clock; tokens and keep-alives belong to programs outside of it, and follow the machine's clock.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """`speed` simulated seconds pass in a real one. `monotonic` and `wall` are the machine's clocks, in seconds."""

    def __init__(
        self,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._wall = wall
        self._start_s = monotonic()
        self._start_wall_s = wall()

    def restart(self) -> None:
        """Now is the start."""
        self._start_s = self._monotonic()
        self._start_wall_s = self._wall()

    def now_s(self) -> float:
        """Simulated seconds since the start."""
        return (self._monotonic() - self._start_s) * self.speed

    def wall_s(self) -> float:
        """Simulated seconds since 1970: the start is now, what follows runs at the clock's speed."""
        return self._start_wall_s + self.now_s()

    def real_s(self, simulated_s: float) -> float:
        """How long a simulated time takes."""
        return simulated_s / self.speed

    async def sleep(self, simulated_s: float) -> None:
        """Wait for a simulated time."""
        await asyncio.sleep(max(0.0, self.real_s(simulated_s)))
