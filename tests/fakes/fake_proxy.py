"""An HTTP proxy on loopback that knows CONNECT, and asks for a user and a password."""

import base64
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class FakeProxy:
    """A context manager. `targets` are the HOST:PORT that were connected to."""

    def __init__(self, user: str, password: str) -> None:
        self.targets: list[str] = []
        self._expected = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._ends.append(client)
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(1)
                target = head.split()[1].decode()
                if f"basic {self._expected}".lower() not in head.decode().lower():
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                    continue
                self.targets.append(target)
                host, _, port = target.rpartition(":")
                server = socket.create_connection((host, int(port)))
                self._ends.append(server)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for source, sink in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._carry, args=(source, sink), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
