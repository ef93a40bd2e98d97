"""A real agent on a free loopback port for one test: started, awaited, and ended whatever happens."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

DEADLINE_S = 20.0
ROOT = Path(__file__).parents[3]
ECHO = "def init(): pass\ndef run(data): return data\n"
STUBBORN = """
import time
def init(): pass
def run(data):
    if data != "hang": return data
    open("begun", "w").close()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return once `condition` holds; fail with `what` after `deadline_s`."""
    end_s = time.monotonic() + deadline_s
    turn = threading.Event()
    while not condition():
        assert time.monotonic() < end_s, f"not within {deadline_s} s: {what}"
        turn.wait(0.01)


class Agent:
    """A running agent, its output and a client for it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.output: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self.output), daemon=True),
            threading.Thread(target=self._read, args=(process.stderr, self.errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: "Iterator[str]", lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))

    @property
    def log(self) -> str:
        """Everything on standard output so far."""
        return "\n".join(self.output)

    @property
    def url(self) -> str:
        """Where it listens, as soon as it says so."""
        found: list[str] = []

        def told() -> bool:
            found[:] = re.findall(r"takes HTTP on ([0-9.]+:[0-9]+)", self.log)
            return bool(found) or self.process.poll() is not None

        wait_until(told, "the agent listens")
        assert found, (self.log, self.errors)
        return f"http://{found[0]}"

    def wait_ready(self) -> None:
        """Return once /readyz is 200."""
        with httpx.Client(base_url=self.url) as client:
            wait_until(lambda: client.get("/readyz").status_code == 200, f"ready\n{self.log}")

    def wait_log(self, text: str) -> None:
        """Return once `text` is in the output."""
        wait_until(lambda: text in self.log, f"{text!r} in the log:\n{self.log}")

    def post(self, data: object, **headers: str) -> httpx.Response:
        """POST `data` to /score: bytes as they are, anything else as JSON."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return httpx.post(f"{self.url}/score", content=body, headers=headers, timeout=DEADLINE_S)

    def child_pid(self) -> int:
        """Process id of the script's process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1, children
        return int(children[0])

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal, do not wait."""
        self.process.send_signal(number)

    def exit_code(self, deadline_s: float = DEADLINE_S) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(deadline_s)
        for reader in self._readers:
            reader.join(DEADLINE_S)
        return code


@contextlib.contextmanager
def agent_process(folder: Path, *arguments: str, **environment: str) -> Iterator[Agent]:
    """Run `python -m device_agent` in `folder`, on a free port unless `EDGEPACK_HTTP` is given."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "device_agent", *arguments],
        cwd=folder,
        env={
            "EDGEPACK_HTTP": "127.0.0.1:0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            **inherited,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    agent = Agent(process)
    try:
        yield agent
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()
        agent.exit_code()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def served(folder: Path, source: str, **environment: str) -> Iterator[Agent]:
    """Serve `source` as an entry script and wait until it is ready."""
    (folder / "score.py").write_text(source)
    with agent_process(folder, "--entry-script", "score.py", **environment) as agent:
        agent.wait_ready()
        yield agent


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
