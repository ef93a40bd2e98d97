"""The fleet as a child process: its plan in, its reports out. See `simulator.devices` for both formats."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from edgepack.errors import InputError
from simulator.snapshot import DeviceState

_LONGEST_LINE = 64 * 1024 * 1024
_STOP_S = 10.0
_OF_CONNECTIONS = ("lost the connection", "Cannot connect")


class FleetProcess:
    """One fleet. `on_created`: id and time (unix seconds) of each message that a device had acknowledged."""

    def __init__(self, on_created: Callable[[str, float], None]) -> None:
        self.connected = 0
        self.totals: dict[str, int] = {}
        self.states: dict[str, DeviceState] = {}
        self.is_done = False
        self.refusal: InputError | None = None
        """What the devices cannot send: a source that is wrong."""
        self.failures: list[str] = []
        """Why the run proves less than it should: the fleet ended early, or messages were not handed over."""
        self._problems: list[str] = []
        self._connection_problems: list[str] = []
        self._on_created = on_created
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._done = asyncio.Event()

    @property
    def problems(self) -> list[str]:
        """What went wrong; lost connections only as long as nothing was ever handed over: they are what faults do."""
        has_sent = self.totals.get("acknowledged", 0) > 0
        return [*self.failures, *self._problems, *([] if has_sent else self._connection_problems)]

    async def start(self, plan: Mapping[str, Any]) -> None:
        """Begin. Raises OSError."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulator.devices",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,  # a terminal's Ctrl-C is for the simulator, which ends the fleet in order
        )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self.tell(plan)

    def tell(self, document: Mapping[str, Any]) -> None:
        """Send the plan, or a command; nothing when the fleet has ended."""
        if self._process is not None and self._process.stdin is not None and not self.is_done:
            self._process.stdin.write(json.dumps(document).encode() + b"\n")

    async def wait(self) -> None:
        """Wait for the last report."""
        await self._done.wait()

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        try:
            while line := await process.stdout.readline():
                self._take(json.loads(line))
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # nobody reads any more what it says
            raise
        finally:
            code = await process.wait()
            if code == InputError.exit_code:
                self.refusal = InputError(*(self._problems or ["the fleet of devices refuses its plan"]))
            if not self.is_done:
                self.failures.append(f"the fleet of devices ended before its time, with exit code {code}")
            self.is_done = True
            self._done.set()

    def _take(self, report: Mapping[str, Any]) -> None:
        for message_id, _device_id, created_s in report.get("acked", ()):
            self._on_created(message_id, created_s)
        self.connected = report.get("connected", self.connected)
        self.totals |= report.get("totals", {})
        for problem in report.get("problems", ()):
            is_of_connection = any(words in problem for words in _OF_CONNECTIONS)
            (self._connection_problems if is_of_connection else self._problems).append(problem)
        for device_id, state in report.get("states", {}).items():
            self.states[device_id] = DeviceState(device_id, state["connected"], state["sent"], state["last"])
        if report.get("done"):
            self.is_done = True
            if left := report.get("outstanding"):
                text = f"{left} messages of devices were not acknowledged in time: they do not count as sent"
                self.failures.append(text)
