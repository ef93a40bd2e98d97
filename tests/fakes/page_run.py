"""A page's commands, typed as they stand there, each in a shell that knows folder and variables of the one before.

    with PageRun("docs/conda.md", request, folder, environment) as page:
        page.run("edgepack build --lock")  # the next command that begins so
        page.run_all()  # those that are left

What the page says that a block prints is compared. At the end all commands that this test has to run, by
`tests/fakes/page_tests.py`, must have been run, and whatever goes on is ended.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.fakes.page_tests import commands_for
from tests.fakes.pages import Command, is_as_printed, without_figures

BIN = Path(sys.executable).parent
_PIP = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
_KEEP = """\
trap 'env -0 > "$0.variables"; pwd > "$0.folder"' EXIT
"""


def variables_of(folder: Path, **more: str) -> dict[str, str]:
    """The variables of a reader whose home is `folder`, with edgepack on the path.

    What `pip install` asks for must be there: it has no index.
    """
    kept = {name: os.environ[name] for name in ("LANG", "LD_LIBRARY_PATH") if name in os.environ}
    home = {"HOME": str(folder), "PATH": f"{BIN}:{os.environ['PATH']}", "NO_PROXY": "localhost,127.0.0.1"}
    return {**kept, **home, "PYTHONUNBUFFERED": "1", **_PIP, **more}


def need(*programs: str) -> None:
    """Skip the test where one of the programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition with a deadline."""
    assert _comes_true(condition, 60), f"in vain: {what}"


class Going:
    """A command that goes on until it is ended."""

    def __init__(self, command: Command, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._command, self._process, self._log = command, process, log

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition; the command must not end meanwhile."""
        in_background = self._command.text.endswith("&")

        def is_so_or_ended() -> bool:
            return bool(condition()) or (not in_background and self._process.poll() is not None)

        came = _comes_true(is_so_or_ended, 60) and condition()
        assert came, f"{self._command.place}, in vain: {what}\n{self._command.text}\n{self.output}"

    def until_says(self, text: str) -> None:
        """Wait until it has printed a text."""
        self.until(lambda: text in self.output, text)

    def interrupt(self) -> str:
        """Ctrl-C; it must end well. Returns what it has printed."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(60)
        assert code == 0, f"{self._command.place} ends with {code}\n{self._command.text}\n{self.output}"
        return self.output

    def wait(self) -> str:
        """Wait until it ends well by itself. Returns what it has printed."""
        code = self._process.wait(90)
        assert code == 0, f"{self._command.place} ends with {code}\n{self._command.text}\n{self.output}"
        return self.output

    def kill(self) -> None:
        """End it and all that it has started, whatever becomes of it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            if _comes_true(lambda: self._process.poll() is not None and not _lives(self._process.pid), 20):
                return


class PageRun:
    """The commands of a page that a test has to run, in `folder`; `replaced`: placeholders and what stands for them."""

    def __init__(
        self,
        page: str,
        request: pytest.FixtureRequest,
        folder: Path,
        environment: Mapping[str, str],
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.environment = folder, dict(environment)
        self.figures_differ = False  # what is printed is as on the page but for numbers, sizes and digests
        self.replaced = dict(replaced or {})
        self._left = commands_for(page, request.node.nodeid)
        self._used: set[str] = set()
        self._going: list[Going] = []
        self._told: dict[int, str] = {}
        typed: Path = request.getfixturevalue("tmp_path_factory").mktemp("typed")
        self._state = typed / "state"
        self._numbers = 0
        assert self._left, f"{page} has no command for {request.node.nodeid}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for going in reversed(self._going):
            going.kill()
        if kind is None:
            assert not self._left, "not run: " + ", ".join(f"{each.place} {each.text}" for each in self._left)
            unused = self.replaced.keys() - self._used
            assert not unused, f"nothing on the page to replace: {unused}"

    def run(self, beginning: str = "", code: int = 0, prints: str | None = None) -> str:
        """Run the next command that begins so; returns what it has printed. `prints`: what the page says elsewhere."""
        command = self._take(beginning)
        log = self._log()
        ended = self._ended(command, log)
        output = log.read_text(errors="replace")
        assert ended == code, f"{command.place} ends with {ended}\n{command.text}\n{output}"
        self._read_state()
        told = self._told[command.block] = self._told.get(command.block, "") + output
        if command.printed is not None:
            self._compare(command, self._replace(command.printed), told)
        if prints is not None:
            self._compare(command, self._replace(prints), output)
        return output

    def run_all(self) -> str:
        """Run all commands that are left, in their order; returns what the last one has printed."""
        output = ""
        while self._left:
            output = self.run()
        return output

    def type(self, text: str) -> str:
        """Run a command that is not on the page; returns what it has printed."""
        command, log = Command("besides", 0, text, 0), self._log()
        ended = self._ended(command, log)
        output = log.read_text(errors="replace")
        assert ended == 0, f"{text}\n{output}"
        return output

    def start(self, beginning: str = "", again: bool = False) -> Going:
        """Start the next command that begins so, and let it go on. `again`: it is typed more than once."""
        command = self._take(beginning)
        if again:
            self._left.insert(0, command)
        log = self._log()
        going = Going(command, self._start(command, log), log)
        self._going.append(going)
        return going

    def _compare(self, command: Command, said: str, told: str) -> None:
        expected, found = (without_figures(said), without_figures(told)) if self.figures_differ else (said, told)
        assert is_as_printed(expected, found), f"{command.place} prints\n{told}\nnot\n{said}"

    def _take(self, beginning: str) -> Command:
        for number, command in enumerate(self._left):
            if command.text.startswith(beginning):
                return self._left.pop(number)
        pytest.fail(f"no command is left that begins with {beginning!r}")

    def _replace(self, text: str) -> str:
        for placeholder, real in self.replaced.items():
            if placeholder in text:
                self._used.add(placeholder)
                text = text.replace(placeholder, real)
        return text

    def _log(self) -> Path:
        self._numbers += 1
        return self._state.with_name(f"{self._state.name}-{self._numbers}.log")

    def _ended(self, command: Command, log: Path) -> int:
        """Its exit code; it is ended when it takes too long, or the test does."""
        process = self._start(command, log)
        try:
            return process.wait(180)
        except BaseException:
            Going(command, process, log).kill()
            raise

    def _start(self, command: Command, log: Path) -> "subprocess.Popen[bytes]":
        shell = ["env", "--default-signal=INT", "bash", "-euo", "pipefail", "-c"]
        shell += [_KEEP + self._replace(command.text), str(self._state)]
        with log.open("wb") as out:
            return subprocess.Popen(
                shell,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _read_state(self) -> None:
        lines = self._state.with_name(f"{self._state.name}.variables").read_text().split("\0")
        self.environment = dict(line.split("=", 1) for line in lines if re.match(r"[^=]+=", line))
        self.folder = Path(self._state.with_name(f"{self._state.name}.folder").read_text().rstrip("\n"))


def _comes_true(condition: Callable[[], object], seconds: float) -> bool:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        waiting.wait(0.02)
    return bool(condition())


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
