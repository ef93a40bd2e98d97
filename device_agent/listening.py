"""Sockets that listen, and what to call them."""

import errno
import socket

from device_agent.errors import SettingsError


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    host: str = listener.getsockname()[0]
    return host.startswith("127.") or host == "::1"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError that says what is wrong with the address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise SettingsError(f"cannot listen on {host}:{port}: {reason}") from None
    listener.setblocking(False)
    return listener


def describe_address(listener: socket.socket) -> str:
    """`127.0.0.1:5001`, or `[::1]:5001`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
