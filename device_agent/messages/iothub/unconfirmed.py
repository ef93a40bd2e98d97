"""What was published and is not confirmed yet, and whether the other side has fallen silent about it.

Confirmations come in order of the publishes. So the one that matters is the oldest: when it has been the oldest for
too long, the other side is silent, whatever else it sends. A slow connection that makes progress never is.
"""

import asyncio
from collections.abc import Callable


class Unconfirmed:
    """Keys of what is under way, by the number that the connection gave it. Lives on a loop; `end` it.

    `on_silence` is called when one has been the oldest for `timeout_s` seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, on_silence: Callable[[], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_silence = on_silence
        self._keys: dict[int, int | None] = {}
        self._oldest_since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Event | None = None

    def add(self, number: int, key: int | None) -> None:
        """This was published now. `key` is its owner's, None when nobody asks for it."""
        if not self._keys:
            self._oldest_since_s = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_s, self._look)
        self._keys[number] = key

    def confirm(self, number: int) -> int | None:
        """This has arrived: its key."""
        if next(iter(self._keys), None) == number:
            self._oldest_since_s = self._loop.time()
        key = self._keys.pop(number, None)
        if not self._keys and self._waiting is not None:
            self._waiting.set()
        return key

    async def none_left(self, timeout_s: float) -> None:
        """Wait until everything is confirmed, `timeout_s` at most."""
        self._waiting = asyncio.Event()
        if not self._keys:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiting.wait()
        except TimeoutError:
            return

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if not self._keys:
            return
        left_s = self._oldest_since_s + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._on_silence()
