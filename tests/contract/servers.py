"""Scoring servers under test: the peer, the agent, and any other that a command template starts.

A server is started once for each `Setup` (script, files, environment, arguments) and kept until the module's cases are
through. It is ended by its own process id and group. Everything the cases learn comes over HTTP, from the exit code,
or from the two output streams.
"""

import contextlib
import functools
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEADLINE_S = 30.0
COMMAND = os.environ.get("EDGEPACK_CONTRACT_COMMAND", "")
COMMAND_LIKE = os.environ.get("EDGEPACK_CONTRACT_LIKE", "peer")
"""Whose column of the differences holds for the server of EDGEPACK_CONTRACT_COMMAND: peer or agent."""

KINDS = ("peer", "agent", *(["command"] if COMMAND else []))
_PORTS = iter(random.sample(range(20_000, 32_000), 2_000))
_AHEAD = 3
READY_PATHS = {"peer": "/", "agent": "/readyz", "command": "/"}


@dataclass(frozen=True)
class Setup:
    """What is served, and how. `script` is a file of scripts/, or None; it becomes `place` below the app root.

    `files` are further files of scripts/ and where they go, `texts` are files with their content. In a text, in an
    environment value and in an argument, `{root}` stands for the app root.
    """

    script: str | None = "echo.py"
    environment: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    place: str = "score.py"
    names_script: bool = True
    working_directory: str = "."


def wait_until(condition: Callable[[], object], what: Callable[[], str], deadline_s: float = DEADLINE_S) -> None:
    """Return once `condition` holds; fail with `what()` after `deadline_s`."""
    end_s = time.monotonic() + deadline_s
    turn = threading.Event()
    while not condition():
        assert time.monotonic() < end_s, f"not within {deadline_s} s: {what()}"
        turn.wait(0.01)


@functools.cache
def peer_python() -> tuple[str, str]:
    """The Python of the peer's environment, made if need be; or "" and why there is none."""
    made = subprocess.run([ROOT / "scripts" / "peer", "azmlinfsrv"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return "", f"the peer cannot be installed: {made.stderr.strip()[-300:]}"
    return made.stdout.split()[-1], ""


def unavailable(kind: str) -> str:
    """Why servers of this kind cannot be started here; "" when they can."""
    return peer_python()[1] if kind == "peer" else ""


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to clients."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


class Server:
    """A server process: its address, its output, its end."""

    def __init__(self, kind: str, setup: Setup, folder: Path) -> None:
        self.kind = kind
        self.like = COMMAND_LIKE if kind == "command" else kind
        self.setup = setup
        self.folder = folder.resolve()
        self.port = free_port()
        self.output: list[str] = []
        self.errors: list[str] = []
        self.has_been_ready = False
        _lay_out(setup, self.folder)
        self._process = subprocess.Popen(
            self._command(),
            cwd=self.folder / setup.working_directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=_collect, args=(stream, lines), daemon=True)
            for stream, lines in ((self._process.stdout, self.output), (self._process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Both output streams so far."""
        return "\n".join([*self.output, "--- stderr", *self.errors])

    def wait_ready(self) -> "Server":
        """Return once the script answers."""
        path = READY_PATHS[self.kind]
        wait_until(lambda: self.has_ended() or self.answers(path), lambda: f"ready\n{self.log}")
        assert not self.has_ended(), f"ended with {self.exit_code()}\n{self.log}"
        self.has_been_ready = True
        return self

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def exit_code(self) -> int:
        """Wait for the end; return the exit code."""
        code = self._process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return code

    def wait_log(self, pattern: str) -> "re.Match[str]":
        """Return the match of the pattern in the output, as soon as there is one."""
        found: list[re.Match[str]] = []

        def told() -> bool:
            found[:] = re.finditer(pattern, self.log, re.MULTILINE)
            return bool(found)

        wait_until(told, lambda: f"{pattern!r} in the log:\n{self.log}", 5)
        return found[0]

    def listening_addresses(self) -> set[str]:
        """Where its port is listened on, as the kernel writes it (hexadecimal)."""
        tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        rows = (line.split() for line in tables.splitlines())
        return {row[1].partition(":")[0] for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] == "0A"}

    def terminate(self) -> None:
        """Ask it to end."""
        if not self.has_ended():
            self._process.terminate()

    def answers(self, path: str, deadline_s: float = DEADLINE_S) -> bool:
        """Whether a GET of the path is answered by 200 within the deadline."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=deadline_s) as connection:
                connection.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode())
                return b" 200 " in connection.recv(1000)[:20]
        except OSError:
            return False

    def end(self) -> None:
        """End it and all that it started; it has been asked to."""
        if not self.has_ended():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.exit_code()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _command(self) -> list[str]:
        place, arguments = self.setup.place, [self._filled(text) for text in self.setup.arguments]
        if self.kind == "command":
            return shlex.split(COMMAND.format(script=place, port=self.port)) + arguments
        script = ["--entry_script", place] if self.setup.names_script else []
        if self.kind == "peer":
            command = [peer_python()[0], "-m", "azureml_inference_server_http"]
        else:
            command = [sys.executable, "-W", "error", "-m", "device_agent"]
        return [*command, *script, "--port", str(self.port), *arguments]

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        if self.kind == "agent":
            inherited["PYTHONPATH"] = str(ROOT)
        else:
            inherited["HOME"] = str(self.folder)  # gunicorn keeps a control socket there
            inherited["GUNICORN_CMD_ARGS"] = f"--config {HERE / 'loopback_gunicorn.py'}"
        return inherited | {name: self._filled(value) for name, value in self.setup.environment}

    def _filled(self, text: str) -> str:
        return text.replace("{root}", str(self.folder))


class Servers:
    """The servers that are running, by kind and setup. A few of the `upcoming` are started ahead of their tests."""

    def __init__(self, folder: Path, upcoming: Sequence[tuple[str, Setup]] = ()) -> None:
        self._folder = folder
        self._upcoming = dict.fromkeys(upcoming)
        self._running: dict[tuple[str, Setup], Server] = {}
        self._ahead: dict[tuple[str, Setup], Server] = {}
        self._all: list[Server] = []

    def ready(self, kind: str, setup: Setup) -> Server:
        """A server that answers; the one that runs already, if there is one."""
        known = self._running.get((kind, setup))
        if known is None:
            known = self._running[kind, setup] = self._start(kind, setup)
        return known if known.has_been_ready else known.wait_ready()

    @contextlib.contextmanager
    def started(self, kind: str, setup: Setup) -> Iterator[Server]:
        """A server of one test's own, which may fail to start."""
        server = self._start(kind, setup)
        try:
            yield server
        finally:
            server.terminate()

    def end(self) -> None:
        """End all."""
        for server in self._all:
            server.terminate()
        for server in self._all:
            server.end()

    def _start(self, kind: str, setup: Setup) -> Server:
        server = self._ahead.pop((kind, setup), None) or self._launch(kind, setup)
        self._upcoming.pop((kind, setup), None)
        while self._upcoming and len(self._ahead) < _AHEAD:
            key = next(iter(self._upcoming))
            del self._upcoming[key]
            self._ahead[key] = self._launch(*key)
        return server

    def _launch(self, kind: str, setup: Setup) -> Server:
        folder = self._folder / f"{len(self._all)}"
        folder.mkdir()
        self._all.append(Server(kind, setup, folder))
        return self._all[-1]


def _lay_out(setup: Setup, folder: Path) -> None:
    files = [*setup.files, *([(setup.script, setup.place)] if setup.script else [])]
    for name, place in files:
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((HERE / "scripts" / name).read_bytes())
    for place, text in setup.texts:
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("{root}", str(folder)))
    (folder / setup.working_directory).mkdir(parents=True, exist_ok=True)


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))


def config_json(**members: object) -> tuple[str, str]:
    """A config.json in the app root, for `Setup.texts`."""
    return "config.json", json.dumps(members)
