"""`python -m simulator.dashboard --control PATH --listen HOST:PORT`: see the package.

Prints one JSON line, {"url": ...}, when it serves. Ends with exit code 0 on SIGTERM and SIGINT, and when nothing has
answered at the control socket for `--patience-s` seconds; with 2 when it cannot listen.
"""

import argparse
import asyncio
import json
import logging
import secrets
import socket
import sys
from pathlib import Path

from simulator.dashboard.access import WILDCARDS, Listening, is_loopback
from simulator.dashboard.serving import serve


def main() -> int:
    """Serve until the end of the simulation."""
    parser = argparse.ArgumentParser(prog="python -m simulator.dashboard", description="The web page of a run.")
    parser.add_argument("--control", type=Path, required=True, help="control socket of the simulation")
    parser.add_argument("--listen", default="127.0.0.1:0", help="[HOST:]PORT, 0 takes a free port (127.0.0.1:0)")
    parser.add_argument("--patience-s", type=float, default=30, help="end when nothing answered for so long (30)")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("nicegui").setLevel(logging.ERROR)  # it warns of every address that does not exist
    if not port.isdecimal():
        parser.error(f"--listen is [HOST:]PORT, such as 127.0.0.1:8080, not {arguments.listen!r}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, int(port)), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        print(f"cannot listen at {arguments.listen}: {reason}; choose another address or port", file=sys.stderr)
        return 2
    token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    names = (socket.gethostname(),) if host in WILDCARDS else ()
    listening = Listening(host, listener.getsockname()[1], token, names)
    asyncio.run(serve(listener, listening, arguments.control, arguments.patience_s, _announce))
    return 0


def _announce(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
