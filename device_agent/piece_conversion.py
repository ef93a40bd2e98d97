"""Starts the program that turns finished pieces of captured records into Parquet (EDGEPACK_CAPTURE_FORMAT=parquet).

A thread looks for such pieces, at the start (what an earlier process has left) and from then on every now and then.
Only when there are any, the program runs (`parquet_pieces`), one at a time. What goes wrong is logged once in a row,
and tried again after a growing delay; the pieces stay JSON lines meanwhile.
"""

import importlib.util
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from device_agent.backoff import delay_s
from device_agent.collected_place import Place
from device_agent.errors import SettingsError
from device_agent.parquet_pieces import Report, finished_pieces

LOOK_EVERY_S = 15.0
_LONGEST_RUN_S = 300.0
_END_S = 1.0
_START = (
    "import sys; folder = sys.argv.pop(); folder in sys.path or sys.path.append(folder); "
    "from device_agent.parquet_pieces import main; main()"
)
_PACKAGE_FOLDER = str(Path(__file__).parent.parent)
_LOG = logging.getLogger("edgepack.agent")


def require_pyarrow() -> None:
    """Raises SettingsError when pyarrow is not installed. It is not imported: the agent itself never does."""
    if importlib.util.find_spec("pyarrow") is None:
        raise SettingsError(
            "EDGEPACK_CAPTURE_FORMAT is parquet, but pyarrow is not installed here: add pyarrow to the packages of the "
            "conda file or requirements, or set EDGEPACK_CAPTURE_FORMAT to jsonl"
        )


class PieceConversion:
    """See the module. `root` is the folder of collected data; `place` that of this process, which it writes to.

    `environment` is that of the program; `lost` is told how many lines were no records.
    """

    def __init__(
        self,
        root: Path,
        place: Place,
        environment: Mapping[str, str],
        lost: Callable[[int], None],
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.turned = 0
        """Pieces."""
        self.looked = 0
        """How often it has looked for some."""
        self._root = root
        self._place = place
        self._environment = dict(environment)
        self._lost = lost
        self._every_s = every_s
        self._left: frozenset[str] = frozenset()
        self._failures = 0
        self._process: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._look, name="parquet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Start nothing more, and end what runs: the next agent goes on. Within a second."""
        self._closing.set()
        with self._turn:
            if self._process is not None:
                self._process.terminate()
        self._thread.join(_END_S)

    def _look(self) -> None:
        pause_s = 0.0
        while not self._closing.wait(pause_s):
            if self._has_finished():
                self._account(self._run())
            self.looked += 1
            pause_s = self._every_s
            if self._failures:
                pause_s = max(pause_s, delay_s(self._failures, first_s=self._every_s, limit_s=600.0))

    def _has_finished(self) -> bool:
        try:
            pieces = finished_pieces(self._root, self._place, self._place.name, time.time())
        except OSError:
            return False  # a piece has just been removed, or the disk fails, which who writes tells
        return any(str(piece) not in self._left for piece in pieces)

    def _run(self) -> Report:
        with self._turn:
            if self._closing.is_set():
                return Report()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _START, self._place.name, _PACKAGE_FOLDER],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=self._environment,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                return Report(problems=(f"it cannot be started: {error}",))
        output, errors = self._ended(self._process)
        with self._turn:
            self._process = None
        if self._closing.is_set():
            return Report()
        try:
            return Report(**json.loads(output))
        except (ValueError, TypeError):  # its exit code is not asked: as process 1, the agent may have reaped it
            said = errors.strip().splitlines()[-1:] or ["without a word"]
            return Report(problems=(f"the program ended: {said[0]}",))

    def _ended(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        try:
            return process.communicate(timeout=_LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "", f"it took more than {_LONGEST_RUN_S:.0f} s"

    def _account(self, report: Report) -> None:
        self.turned += report.turned
        self._left = frozenset(report.left)
        if report.skipped:
            _LOG.warning("%d lines of captured requests were torn, and are left out of Parquet", report.skipped)
            self._lost(report.skipped)
        if not report.problems:
            self._failures = 0
            return
        self._failures += 1
        if self._failures == 1:
            _LOG.warning("Captured requests stay JSON lines for now: %s", "; ".join(report.problems[:3]))
