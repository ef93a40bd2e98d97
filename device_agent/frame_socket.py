"""The agent's end of the socket pair to the script's process: frames out, frames in, until the other end is gone.

Why not a transport of the event loop: those close when a write fails, and with them goes what the other side had
sent before it died. A request that was answered would count as the one that killed the process. Here a failed write
is nothing; the end is reached when all has been read. What is sent during one turn of the loop goes out in one call.
"""

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable

from device_agent.frames import Frame, FrameDecoder
from device_agent.spinning import Spinning, receive_quickly

_PIECE_BYTES = 64 * 1024
_PIECES_A_TURN = 64
_MOST_PARTS = 64


class FrameSocket:
    """`on_frames` gets the frames of one reading; `on_end` is called once, when the other end is gone."""

    def __init__(
        self, end: socket.socket, on_frames: Callable[[list[Frame]], None], on_end: Callable[[], None]
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._on_frames = on_frames
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder()
        self._spinning = Spinning(len(os.sched_getaffinity(0)))
        self._parts: deque[bytes | memoryview] = deque()
        self._flush_is_due = False
        self._waits_for_room = False
        self._is_broken = False
        self._loop.add_reader(end, self._read)

    def send(self, head: bytes, body: bytes = b"") -> None:
        """Send one frame. Dropped when the other end is gone."""
        if self._is_broken:
            return
        self._parts.append(head)
        if body:
            self._parts.append(body)
        if not self._flush_is_due and not self._waits_for_room:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def hurry(self) -> None:
        """Send at once, and look for an answer for a moment (spinning) instead of waiting for the loop's turn."""
        self._flush()
        if self._waits_for_room or self._is_broken or not self._spinning.is_worth_a_try():
            return
        piece = receive_quickly(self._socket, _PIECE_BYTES)
        self._spinning.tell(found=bool(piece))
        if piece:
            self._on_frames(self._decoder.feed(piece))

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close this end: the other side reads to its end. Nothing is told any more."""
        if self.is_closed:
            return
        self._is_broken = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._parts.clear()
        self._socket.close()

    def _flush(self) -> None:
        self._flush_is_due = False
        while self._parts and not self._is_broken:
            parts = [self._parts[at] for at in range(min(len(self._parts), _MOST_PARTS))]
            try:
                sent = self._socket.sendmsg(parts)
            except BlockingIOError:
                if not self._waits_for_room:
                    self._waits_for_room = True
                    self._loop.add_writer(self._socket, self._flush)
                return
            except OSError:  # the other end is gone; reading will find that out
                self._is_broken = True
                self._parts.clear()
                break
            self._drop(sent)
        if self._waits_for_room:
            self._waits_for_room = False
            self._loop.remove_writer(self._socket)

    def _drop(self, sent: int) -> None:
        """Forget the bytes that went out."""
        while sent:
            first = self._parts[0]
            if sent < len(first):
                self._parts[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            self._parts.popleft()

    def _read(self) -> None:
        frames: list[Frame] = []
        has_ended = False
        for _ in range(_PIECES_A_TURN):
            piece = b""
            try:
                piece = self._socket.recv(_PIECE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                pass
            if not piece:
                has_ended = True
                break
            frames += self._decoder.feed(piece)
            if len(piece) < _PIECE_BYTES:
                break
        if has_ended:
            with contextlib.suppress(ValueError):
                self._loop.remove_reader(self._socket)
        if frames:
            self._on_frames(frames)
        if has_ended and not self.is_closed:
            self._is_broken = True
            self._on_end()
