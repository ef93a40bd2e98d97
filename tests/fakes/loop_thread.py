"""An event loop in a thread of its own, for fakes that serve while a test runs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines from `start` to `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what still ran in it must have ended before."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Result], within_s: float = 10) -> Result:
        """Run it in the thread, wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(within_s)


async def end_other_tasks() -> None:
    """Cancel all tasks of this loop but the one that asks, and wait for them.

    A connection that was being accepted becomes a task only some turns of the loop later: hence the quiet turns.
    """
    quiet_turns = 0
    while quiet_turns < 5:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(0)  # a task that is cancelled before it has begun cleans up nothing
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        quiet_turns = 0 if others else quiet_turns + 1
        await asyncio.sleep(0)
