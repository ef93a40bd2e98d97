"""Processes that never outlive the simulator, not even one that is killed with SIGKILL.

Three nets. Each process leads a session and process group of its own, and all that is left of the group is killed when
it ends, as a container's processes are. The kernel kills it when the thread of the simulator's event loop ends
(`start_bound`). A watching process (`group_watch`) kills all groups when the simulator has gone, whatever the
reason: that reaches children of modules too. What leaves its process group on purpose (a daemon) escapes all three.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.edge_agent import group_watch, start_bound
from simulator.edge_agent.module_log import ModuleLog

_LAST_OUTPUT_S = 2.0


class GroupWatch:
    """The process that ends what the simulator could not. It is started with the first group."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._input = -1

    def add(self, group: int) -> None:
        """From now on this process group ends with the simulator."""
        self._groups.add(group)
        self._write(f"+{group}\n")

    def discard(self, group: int) -> None:
        """This process group has ended."""
        self._groups.discard(group)
        if self._process is not None:
            self._write(f"-{group}\n")

    def close(self) -> None:
        """End the watch; groups that are left are killed."""
        if self._process is not None:
            os.close(self._input)
            self._process.wait()
            self._process = None

    def _write(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-I", "-S", group_watch.__file__]
            reading, self._input = os.pipe()
            try:
                self._process = subprocess.Popen(command, stdin=reading, start_new_session=True, cwd="/")
            finally:
                os.close(reading)
            line = "".join(f"+{group}\n" for group in self._groups)
        with contextlib.suppress(BrokenPipeError):  # it ended this moment: the next line starts another
            os.write(self._input, line.encode())


class BoundProcess:
    """A process and its group; output and end are taken care of by the loop that started it."""

    def __init__(self, process: asyncio.subprocess.Process, output: "_Output", watch: GroupWatch) -> None:
        self.pid = process.pid
        self._process = process
        self._output = output
        self._watch = watch
        self._end = asyncio.get_running_loop().create_task(self._see_end())

    async def wait(self) -> int:
        """The exit code, 128 + N when signal N ended it. Its output is in the log then, and its group is gone."""
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """SIGTERM to the process (not to its children, as `docker stop` does)."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _see_end(self) -> int:
        code = await self._process.wait()
        self._kill_group()
        await self._output.read_rest()
        self._watch.discard(self.pid)
        return 128 - code if code < 0 else code


class _Output(asyncio.Protocol):
    """The reading end of a process's output. A pipe of its own, since the loops' own wait for all who hold it."""

    def __init__(self, log: ModuleLog) -> None:
        self._log = log
        self._closed = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some output."""
        self._log.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody holds the other end any more."""
        self._log.end_line()
        self._closed.set()

    async def read_rest(self) -> None:
        """Wait for the end of the output, but not for long: something that left the group may hold the pipe."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _LAST_OUTPUT_S)
        self.close()

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()


async def start_process(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | str, log: ModuleLog, watch: GroupWatch
) -> BoundProcess:
    """Start a command in `folder` with exactly this environment; its output goes to `log`.

    Raises:
        OSError: no process can be made.
    """
    bound = [sys.executable, "-I", "-S", start_bound.__file__, str(os.getpid()), *command]
    reading, writing = os.pipe()
    output = _Output(log)
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reading, "rb", buffering=0))
        process = await asyncio.create_subprocess_exec(
            *bound,
            env=dict(environment),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
    except BaseException:
        output.close()
        raise
    finally:
        os.close(writing)
    watch.add(process.pid)
    return BoundProcess(process, output, watch)
