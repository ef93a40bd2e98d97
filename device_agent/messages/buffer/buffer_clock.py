"""The buffer's clock: seconds that only grow, over restarts too, whatever happens to the wall clock.

Within one boot it follows CLOCK_BOOTTIME, which nobody can set and which counts sleep. Over a boot it adds what the
wall clock says has passed since its state was last saved, if that is 0 to 30 days: a device without a battery-backed
clock may come up in 1970 or be years off, and then nothing is added, so that messages live longer rather than shorter.
It begins at 0 when the buffer is created.

Source: clock_gettime(2), random(4) for boot_id. Limit: a wall clock that was wrong by less than 30 days when the
device went down, and is right when it comes up, cannot be told from time that passed. The state is saved again when
the wall clock has been set, which leaves only the seconds before that.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_LONGEST_GAP_S = 30 * 86400.0
_WALL_STEP_S = 5.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ClockState(NamedTuple):
    """What is saved: the clock said `value_s` in boot `boot_id` at `boot_s` since boot, `wall_s` by the wall clock."""

    boot_id: str = ""
    boot_s: float = 0.0
    wall_s: float = 0.0
    value_s: float = 0.0

    def text(self) -> str:
        """For the buffer's file."""
        return json.dumps(self)


class Readings(NamedTuple):
    """Where time comes from: seconds since boot, seconds of the wall clock, and which boot this is ("": unknown)."""

    boot_s: Callable[[], float]
    wall_s: Callable[[], float]
    boot_id: str


def parse_state(text: str) -> ClockState:
    """What `ClockState.text` gave; the state of a new clock when it is anything else."""
    try:
        boot_id, boot_s, wall_s, value_s = json.loads(text)
        return ClockState(str(boot_id), float(boot_s), float(wall_s), float(value_s))
    except (ValueError, TypeError):
        return ClockState()


def elapsed_s(before: ClockState, boot_id: str, boot_s: float, wall_s: float) -> float:
    """Seconds that have passed since a state was saved, as far as can be known; never negative."""
    if boot_id and boot_id == before.boot_id:
        return max(0.0, boot_s - before.boot_s)
    gap_s = wall_s - before.wall_s
    return gap_s if 0 <= gap_s <= _LONGEST_GAP_S else 0.0


def system_readings() -> Readings:
    """Those of this machine."""
    try:
        boot_id = _BOOT_ID.read_text().strip()
    except OSError:
        boot_id = ""
    return Readings(lambda: time.clock_gettime(time.CLOCK_BOOTTIME), time.time, boot_id)


class BufferClock:
    """Starts at 0; `resume` carries an earlier one on. Any thread may ask."""

    def __init__(self, readings: Readings | None = None) -> None:
        self._readings = readings or system_readings()
        self._begin_s = self._readings.boot_s()
        self._value_s = 0.0
        self._newest_s = 0.0
        self._lock = threading.Lock()

    def resume(self, before: ClockState, at_least_s: float = 0.0) -> None:
        """Go on from a saved state, and not below `at_least_s` nor below what it has said already."""
        boot_s = self._readings.boot_s()
        value_s = before.value_s
        if before != ClockState():
            value_s += elapsed_s(before, self._readings.boot_id, boot_s, self._readings.wall_s())
        with self._lock:
            self._value_s = max(value_s, at_least_s, self._newest_s)
            self._begin_s = boot_s

    def now_s(self) -> float:
        """Seconds; never less than before."""
        with self._lock:
            now_s = self._value_s + self._readings.boot_s() - self._begin_s
            self._newest_s = max(self._newest_s, now_s)
            return self._newest_s

    def state(self) -> ClockState:
        """To be saved."""
        return ClockState(self._readings.boot_id, self._readings.boot_s(), self._readings.wall_s(), self.now_s())

    def was_wall_set(self, saved: ClockState) -> bool:
        """Whether the wall clock has been set since this state of the same boot was saved."""
        passed_s = self._readings.boot_s() - saved.boot_s
        return abs(self._readings.wall_s() - saved.wall_s - passed_s) > _WALL_STEP_S
