"""The long tasks of a run, under one eye: none ends unnoticed.

A task that ends with an exception ends the run: `failed` is set, and `failure` is the first exception. All are
cancelled together. What is expected to go wrong is caught inside of a task; what arrives here is a full disk, or a bug.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """See the module. Used on one loop."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Begin a task."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel all, and wait for their ends."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failure = self.failure or failure
            self.failed.set()
