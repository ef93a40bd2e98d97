"""The control socket: views and scripts look at a run, and do to it what a scenario can. JSON lines, loopback only.

A request is `{"do": NAME, ...}`, its answer `{"ok": true, "result": ...}` or `{"ok": false, "error": TEXT}`. The socket
is a file that only this user may open.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from simulator.faults import STEP_ERRORS

_LONGEST_LINE = 4 * 1024 * 1024

Ask = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Serves `ask`, which answers a request or raises EdgepackError or one of STEP_ERRORS."""

    def __init__(self, path: Path, ask: Ask) -> None:
        self.path = path
        self._ask = ask
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=_LONGEST_LINE)
        self.path.chmod(0o600)

    async def stop(self) -> None:
        """End all connections and remove the socket."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # the other side has gone, sends no lines, or the run ends
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "the request is no JSON"}
        if not isinstance(request, dict):
            return {"ok": False, "error": 'the request must be an object: {"do": ...}'}
        try:
            return {"ok": True, "result": await self._ask(request)}
        except (EdgepackError, *STEP_ERRORS) as error:
            return {"ok": False, "error": str(error)}
