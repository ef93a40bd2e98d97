"""The sockets of an HTTP client, so that what other threads wait for can be ended at once.

Closing a socket that another thread reads from wakes nobody, and its number may soon be another file's; shutting it
down is safe, and ends the wait.
"""

import contextlib
import socket
import threading
import weakref
from typing import Any

_OPENED = ("connect_tcp.complete", "start_tls.complete")


class OpenSockets:
    """Sockets that are in use. `trace` is a callback for the `trace` extension of httpx requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def trace(self, event: str, content: dict[str, Any]) -> None:
        """Keep what has been opened."""
        if event.endswith(_OPENED):
            found = content["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                with self._lock:
                    self._sockets.add(found)

    def shut_down(self) -> None:
        """End all reading and writing."""
        with self._lock:
            for each in list(self._sockets):
                with contextlib.suppress(OSError):  # closed already
                    socket.socket.shutdown(each, socket.SHUT_RDWR)  # not TLS's own, which another thread is using
