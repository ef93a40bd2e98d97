"""A real mosquitto on a loopback port, and a cable to it that can be cut."""

import contextlib
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_DEADLINE_S = 10.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class MosquittoServer:
    """Keeps sessions and messages in `folder`, also over `restart`. `lines` are added to its configuration.

    Without lines about access anybody may do anything.
    """

    def __init__(self, folder: Path, lines: Sequence[str] = (), port: int = 0) -> None:
        self.port = port or free_port()
        self.log = folder / "mosquitto.log"
        self._configuration = folder / "mosquitto.conf"
        access = [] if any("allow_anonymous" in line for line in lines) else ["allow_anonymous true"]
        self._configuration.write_text(
            "\n".join(
                [
                    f"listener {self.port} {HOST}",
                    "user root",
                    "persistence true",
                    f"persistence_location {folder}/",
                    "log_type all",
                    f"log_dest file {self.log}",
                    "max_queued_messages 0",
                    *access,
                    *lines,
                    "",
                ]
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_s = time.monotonic() + _DEADLINE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return self
            assert self._process.poll() is None, f"mosquitto does not start: {self._configuration.read_text()}"
            assert time.monotonic() < until_s, "mosquitto does not listen"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in order: what it has is on disk."""
        self._signal(signal.SIGTERM)
        self._reap()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        self._reap()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """From now on it does nothing; the system still accepts connections and bytes for it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(_DEADLINE_S)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Cable:
    """Carries TCP connections from its `port` to another, until it is cut."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._bytes_left: int | None = None
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def cut(self) -> None:
        """Reset all connections. New ones are carried again."""
        with self._lock:
            ends, self._ends = self._ends, []
            self._bytes_left = None
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads
            end.close()

    def cut_after(self, count_bytes: int) -> None:
        """Cut once so many more bytes have come from the client."""
        with self._lock:
            self._bytes_left = count_bytes

    def close(self) -> None:
        """Cut, and carry nothing any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_DEADLINE_S)  # what it has just accepted is cut as well
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection((HOST, self._to_port), 5)
                except OSError:
                    client.close()
                    continue
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._ends += [client, server]
                threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_upward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_upward and self._is_cut_by(len(data)):
                    self.cut()
                    return
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _is_cut_by(self, count_bytes: int) -> bool:
        with self._lock:
            if self._bytes_left is None:
                return False
            self._bytes_left -= count_bytes
            return self._bytes_left < 0
