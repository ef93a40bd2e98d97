"""A TCP link to a server on loopback that ends connections on request, after so many bytes towards the server."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class CuttingLink:
    """Listens on `port`. Each of `cuts` ends one connection after so many bytes were sent up it, in their order.

    `held_after`: once so many bytes have gone up, nothing more goes up until the block ends.

    `sent_bytes` counts what went up all connections; `when_sent(count)` waits until it is that much.
    """

    def __init__(self, target_port: int, cuts: list[int] | None = None, held_after: int | None = None) -> None:
        self._target_port = target_port
        self._cuts = list(cuts or [])
        self._held_after = held_after
        self._over = threading.Event()
        self._changed = threading.Condition()
        self.sent_bytes = 0
        self.cut_count = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._ends):
            end.close()

    def when_sent(self, count: int, timeout_s: float = 60) -> bool:
        """Wait until so many bytes have gone up; whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: self.sent_bytes >= count, timeout_s)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target_port))
                self._ends += [client, server]
                for source, sink, is_up in ((client, server, True), (server, client, False)):
                    thread = threading.Thread(target=self._carry, args=(source, sink, is_up))
                    self._threads.append(thread)
                    thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
                if not is_up:
                    continue
                sent += len(piece)
                with self._changed:
                    self.sent_bytes += len(piece)
                    self._changed.notify_all()
                if self._held_after is not None and self.sent_bytes >= self._held_after:
                    self._over.wait()
                with self._changed:
                    if not (self._cuts and sent >= self._cuts[0]):
                        continue
                    self._cuts.pop(0)
                    self.cut_count += 1
                break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()  # else what is sent on would fill a buffer, and nobody would hear of the end
