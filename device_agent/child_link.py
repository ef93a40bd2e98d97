"""One life of the script's process, seen from the agent: exchange frames, log its output, see it end.

What a life means for the requests is decided in worker; this file knows descriptors, signals and pipes.
"""

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable

from device_agent.frame_socket import FrameSocket
from device_agent.frames import NUMBER, Frame
from device_agent.script_process import ScriptProcess

_PIECE_BYTES = 64 * 1024
_LONGEST_LINE_BYTES = 64 * 1024
_LAST_WORDS_S = 0.5


class ChildLink:
    """A running process. `on_frames` gets what it sends; `on_end` is called once, after the last frames, when
    it is gone.

    The argument of `on_end` is the exit code, negative for the number of the signal that killed it.
    """

    def __init__(
        self, child: ScriptProcess, on_frames: Callable[[list[Frame]], None], on_end: Callable[[int], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._child = child
        self._on_frames = on_frames
        self._on_end = on_end
        self._exit_code: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_hung_up = False
        self._has_ended = False
        self._socket = FrameSocket(child.end, self._received, self._lost_socket)
        self._outputs = {
            _Output(self._loop, child.output, "azmlinfsrv.print", logging.INFO, self._lost_output),
            _Output(self._loop, child.errors, "azmlinfsrv.stderr", logging.WARNING, self._lost_output),
        }
        threading.Thread(target=self._wait, name=f"waits for {child.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def begun(self) -> int:
        """Number of the last request that the process has begun, 0 for none."""
        return int(NUMBER.unpack_from(self._child.begun)[0])

    @property
    def has_exited(self) -> bool:
        """True once the process is gone, also when `on_end` is still to come."""
        if self._exit_code is None:
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def send(self, head: bytes, body: bytes = b"") -> None:
        """Send one frame; dropped when the process is gone."""
        self._socket.send(head, body)

    def hurry(self) -> None:
        """Send at once, and look for an answer for a moment."""
        self._socket.hurry()

    def hang_up(self) -> None:
        """Close the socket: a process that is idle, or becomes so, ends by itself."""
        self._has_hung_up = True
        self._socket.close()

    def kill(self) -> None:
        """End the process and those it has started, at once."""
        if self._exit_code is None:
            self._kill_group()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # it may not have become the leader of its group yet

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _wait(self) -> None:
        """In a thread: wait for the end, and leave the process to be collected, so that its id stays its own."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._exited)

    def _exited(self) -> None:
        """The process is gone. What it wrote last may still be on its way: wait for it, for a moment."""
        self._kill_group()  # the script's own processes, which may hold the ends open
        self._exit_code = self._child.process.wait()
        self._restart_timer(self._end)
        self._end_if_complete()

    def _received(self, frames: list[Frame]) -> None:
        if not self._has_ended:
            self._on_frames(frames)

    def _lost_socket(self) -> None:
        """The process is ending, or is of no use any more."""
        self._socket.close()
        if self._exit_code is None and not self._has_hung_up:
            self._restart_timer(self.kill)
        self._end_if_complete()

    def _lost_output(self, output: "_Output") -> None:
        self._outputs.discard(output)
        self._end_if_complete()

    def _restart_timer(self, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_LAST_WORDS_S, action)

    def _end_if_complete(self) -> None:
        if self._exit_code is not None and self._socket.is_closed and not self._outputs:
            self._end()

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()
        for output in list(self._outputs):
            output.close()
        for pipe in (self._child.process.stdout, self._child.process.stderr):
            if pipe is not None:
                pipe.close()
        self._on_end(self._exit_code if self._exit_code is not None else -signal.SIGKILL)
        self._child.begun.close()


class _Output:
    """Logs what comes through a pipe, line by line. `on_end` is called when it is closed at the other side."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: int,
        logger: str,
        level: int,
        on_end: "Callable[[_Output], None]",
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._logger = logging.getLogger(logger)
        self._level = level
        self._on_end = on_end
        self._partial = b""
        loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Log what is left, and read no more."""
        self._loop.remove_reader(self._descriptor)
        if self._partial:
            self._log([self._partial])
            self._partial = b""

    def _read(self) -> None:
        try:
            piece = os.read(self._descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            self._on_end(self)
            return
        *lines, rest = (self._partial + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            lines.append(rest)
            rest = b""
        self._partial = rest
        self._log(lines)

    def _log(self, lines: list[bytes]) -> None:
        for line in lines:
            self._logger.log(self._level, "%s", line.decode("utf-8", "backslashreplace").rstrip("\r"))
