"""A folder of collected data for a test: a time that the test sets, what is in it, and other processes that write."""

import subprocess
import sys
from pathlib import Path

from device_agent.collected_data import DEFAULT_MAX_BYTES, DataFolder
from device_agent.collected_place import csv_place
from device_agent.collected_turn import COUNT_FILE

ROOT = Path(__file__).parents[3]
NOON = 1_717_243_200.0  # 2024-06-01T12:00:00Z
PARTS = ("service", "model", "1", "inputs")
V1 = csv_place(workspace="s/g/w", parts=PARTS, name="inputs", hourly=False)
V1_FOLDER = "modeldata/s/g/w/service/model/1/inputs/2024/06/01"


class Clock:
    """A time that the test sets."""

    def __init__(self, now_s: float = NOON) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def a_folder(root: Path, max_bytes: int = DEFAULT_MAX_BYTES, clock: Clock | None = None) -> DataFolder:
    """A folder at noon, or by `clock`."""
    clock = clock or Clock()
    return DataFolder(root, max_bytes, clock=clock, monotonic=clock)


def files_in(root: Path) -> dict[str, bytes]:
    """What the folder holds, by relative path, without the count."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != COUNT_FILE
    }


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code` with the writer imported."""
    begin = "import os, signal, sys\nfrom pathlib import Path\nfrom device_agent.collected_data import *\n"
    begin += (
        "from device_agent.collected_place import *\n"
        "place = csv_place(workspace='s/g/w', parts=('service', 'model', '1', 'inputs'), name='inputs', hourly=False)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{begin}{code}", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], exit_code: int = 0) -> str:
    """Wait for its end, and give what it has printed."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == exit_code, errors
    return output
