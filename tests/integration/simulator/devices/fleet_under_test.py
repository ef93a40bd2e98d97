"""A fleet as a process, and what it has reported; a fast server as a process, and what it has counted."""

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent.parent.parent
KEY = b"k" * 32
DEADLINE_S = 30.0


class FleetUnderTest:
    """`python -m simulator.devices` with this plan. A context manager, which ends it."""

    def __init__(self, plan: dict[str, Any] | str) -> None:
        self.acked: list[tuple[str, str, float]] = []
        self.connected = 0
        self.states: dict[str, Any] = {}
        self.totals: dict[str, int] = {}
        self.problems: list[str] = []
        self.done: dict[str, Any] | None = None
        self.reports = 0
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator.devices"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.tell(plan)

    def tell(self, document: dict[str, Any] | str) -> None:
        """Send the plan, or a command."""
        assert self.process.stdin is not None
        self.process.stdin.write((document if isinstance(document, str) else json.dumps(document)) + "\n")
        self.process.stdin.flush()

    def until(self, condition: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
        """Wait until something was reported."""
        deadline_s = time.monotonic() + seconds
        with self._changed:
            while not condition():
                assert self._reader.is_alive(), f"the fleet ended before: {what}; {self.problems}"
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"not within {seconds} s: {what}; {len(self.acked)} acked, {self.problems}"
                self._changed.wait(min(left_s, 0.1))

    def stop(self) -> dict[str, Any]:
        """Stop it in order; its last account."""
        self.tell({"do": "stop"})
        return self.finish()

    def finish(self, code: int = 0) -> dict[str, Any]:
        """Wait for its end."""
        self.until(lambda: self.done is not None, "the last report")
        assert self.process.wait(DEADLINE_S) == code
        assert self.done is not None
        return self.done

    @property
    def ids(self) -> list[str]:
        """Of the messages that were acknowledged."""
        return [message_id for message_id, _, _ in self.acked]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            report = json.loads(line)
            with self._changed:
                self.reports += 1
                self.acked += [tuple(row) for row in report.get("acked", ())]
                self.connected = report.get("connected", self.connected)
                self.states |= report.get("states", {})
                self.totals = report.get("totals", self.totals)
                self.problems += report.get("problems", [])
                if report.get("done"):
                    self.done = report
                self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def plan(host: str, port: int, ca_file: Path, names: list[str], **more: Any) -> dict[str, Any]:
    """A plan for these devices."""
    devices = [{"device_id": name, "key": base64.b64encode(KEY).decode()} for name in names]
    return {
        "host": host,
        "port": port,
        "hub_name": "hub.example.net",
        "ca_file": str(ca_file),
        "devices": devices,
        **more,
    }


class PubackServer:
    """The fast server of tests/fakes as a process. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "fakes" / "puback_server.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._ask(""))

    def counted(self) -> dict[str, int]:
        """What it has seen."""
        answer: dict[str, int] = json.loads(self._ask("?\n"))
        return answer

    def counted_from(self, publishes: int) -> dict[str, int]:
        """The same, once it has so many messages."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (counted := self.counted())["publishes"] < publishes:
            assert time.monotonic() < deadline_s, f"the server has {counted}, not {publishes} messages"
            time.sleep(0.01)
        return counted

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question)
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
