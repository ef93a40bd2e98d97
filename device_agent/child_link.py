"""One life of the script's process, seen from the agent: start it, exchange frames, log its output, see it
end.

What a life means for the requests is decided in child_process; this file knows descriptors, signals and
pipes. The process leads a session of its own: a Ctrl-C in the agent's terminal does not reach it, and killing
it takes along the processes that the script has started.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from device_agent.frames import Frame, FrameDecoder

_START = (
    "import sys; folder = sys.argv.pop(); folder in sys.path or sys.path.append(folder); "
    "from device_agent.child import main; main()"
)
_PACKAGE_FOLDER = str(Path(__file__).parent.parent)
_LONGEST_LINE_BYTES = 64 * 1024
_LAST_WORDS_S = 0.5
_OUTPUTS = {1: ("azmlinfsrv.print", logging.INFO), 2: ("azmlinfsrv.stderr", logging.WARNING)}


class ChildLink:
    """A running process. `on_frames` gets what it sends; `on_end` is called once, after the last frames, when
    it is gone.

    The argument of `on_end` is the exit code, negative for the number of the signal that killed it.
    """

    def __init__(self, on_frames: Callable[[list[Frame]], None], on_end: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frames = on_frames
        self._on_end = on_end
        self._process: asyncio.SubprocessTransport | None = None
        self._socket: asyncio.WriteTransport | None = None
        self._exit_code: int | None = None
        self._open_ends = 3
        self._has_hung_up = False
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False

    async def open(self, environment: Mapping[str, str], log_descriptor: int) -> None:
        """Start the process; its log lines go straight to `log_descriptor`. Raises OSError when that is
        impossible.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [str(theirs.fileno()), str(log_descriptor), str(os.getpid()), _PACKAGE_FOLDER]
            try:
                self._process, _ = await self._loop.subprocess_exec(
                    lambda: _ProcessEvents(self),
                    *(sys.executable, "-P", "-c", _START, *arguments),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=dict(environment),
                    pass_fds=(theirs.fileno(), log_descriptor),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        transport, _ = await self._loop.create_unix_connection(lambda: _SocketEvents(self), sock=ours)
        self._socket = transport

    @property
    def pid(self) -> int:
        """Process id, 0 before `open`."""
        return self._process.get_pid() or 0 if self._process else 0

    def send(self, frame: bytes) -> None:
        """Send bytes made by `encode_frame`; dropped when the process is gone."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(frame)

    def hang_up(self) -> None:
        """Close the socket: a process that is idle, or becomes so, ends by itself."""
        self._has_hung_up = True
        if self._socket is not None:
            self._socket.close()

    def kill(self) -> None:
        """End the process and those it has started, at once."""
        if self.pid and not self._has_ended:
            self._kill_group()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _kill_group(self) -> None:
        if self.pid:  # never 0, which is the agent's own group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def received(self, frames: list[Frame]) -> None:
        """Pass frames on, unless the end has been told already."""
        if not self._has_ended:
            self._on_frames(frames)

    def exited(self, exit_code: int) -> None:
        """The process is gone. What it wrote last may still be on its way: wait for it, for a moment."""
        self._exit_code = exit_code
        self._kill_group()  # the script's own processes, which may hold the ends open
        self._restart_timer(self._end)
        self._end_if_complete()

    def reached_end(self, *, of_socket: bool) -> None:
        """The socket or an output is closed. The socket first: the process is ending, or is of no use any
        more.
        """
        self._open_ends -= 1
        if of_socket and self._exit_code is None and not self._has_hung_up:
            self._restart_timer(self.kill)
        self._end_if_complete()

    def _restart_timer(self, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_LAST_WORDS_S, action)

    def _end_if_complete(self) -> None:
        if self._exit_code is not None and self._open_ends == 0:
            self._end()

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        self.hang_up()
        if self._process is not None:
            self._process.close()
        self._on_end(self._exit_code if self._exit_code is not None else -signal.SIGKILL)


class _SocketEvents(asyncio.Protocol):
    def __init__(self, link: ChildLink) -> None:
        self._link = link
        self._decoder = FrameDecoder()

    def data_received(self, data: bytes) -> None:
        self._link.received(self._decoder.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.reached_end(of_socket=True)


class _ProcessEvents(asyncio.SubprocessProtocol):
    def __init__(self, link: ChildLink) -> None:
        self._link = link
        self._process: Any = None
        self._partial = {1: b"", 2: b""}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._partial[fd] + data).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            lines.append(rest)
            rest = b""
        self._partial[fd] = rest
        self._log(fd, lines)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if self._partial.get(fd):
            self._log(fd, [self._partial[fd]])
            self._partial[fd] = b""
        self._link.reached_end(of_socket=False)

    def process_exited(self) -> None:
        self._link.exited(self._process.get_returncode() or 0)

    def _log(self, fd: int, lines: list[bytes]) -> None:
        name, level = _OUTPUTS[fd]
        logger = logging.getLogger(name)
        for line in lines:
            logger.log(level, "%s", line.decode("utf-8", "backslashreplace").rstrip("\r"))
