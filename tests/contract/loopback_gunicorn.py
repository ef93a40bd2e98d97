"""gunicorn's own configuration file for the peer: it always asks for 0.0.0.0, and is given the loopback interface."""

from typing import Any


def on_starting(server: Any) -> None:
    """Called by gunicorn before it listens."""
    server.cfg.set("bind", [address.replace("0.0.0.0", "127.0.0.1") for address in server.cfg.bind])
