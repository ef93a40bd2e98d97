"""Ports of this machine: is one free, who has it, where does a process listen. Reads /proc/net."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"


def port_problem(host: str, port: int) -> str | None:
    """Why nothing can listen on host:port now; None when something can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"{host}:{port} cannot be listened on: {error.strerror or error}"
        holder = holder_of(port)
        return f"port {port} is in use" + (f" by {holder}" if holder else "")
    return None


def free_port(host: str) -> int:
    """A port that is free at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def holder_of(port: int) -> str | None:
    """Who listens on a port: `process 123 (COMMAND)`; None where that cannot be known."""
    inodes = {inode for inode, listening in _listeners() if listening == port}
    for folder in _PROC.iterdir() if inodes else ():
        if folder.name.isdigit() and _sockets(folder) & inodes:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            return f"process {folder.name} ({command[:80]})"
    return None


def listening_port(pid: int) -> int | None:
    """The port that a process listens on, None while it does on none."""
    own = _sockets(_PROC / str(pid))
    return min((port for inode, port in _listeners() if inode in own), default=None) if own else None


def _listeners() -> Iterator[tuple[str, int]]:
    """Inode and port of every listening TCP socket."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    yield fields[9], int(fields[1].rpartition(":")[2], 16)


def _sockets(folder: Path) -> set[str]:
    """The inodes of a process's sockets; none where they may not be seen."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                name = str(descriptor.readlink())
                if name.startswith("socket:["):
                    found.add(name[8:-1])
    return found
