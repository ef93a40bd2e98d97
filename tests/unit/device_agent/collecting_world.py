"""Scripts that collect, in an interpreter of their own, and what they have collected."""

import csv
import io
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas

from device_agent.collected_turn import COUNT_FILE

ROOT = Path(__file__).parents[3]
FRAME = pandas.DataFrame({"n": [1, 2], "text": ["a", None], "x": [0.5, float("nan")]})
CORRELATIONS = [
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
]
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def run_python(code: str, folder: Path, **environment: str) -> str:
    """Standard output of `code` in a fresh interpreter with the shims installed."""
    start = "from device_agent.shims import install_shims; install_shims()\n"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r})\n{start}{textwrap.dedent(code)}"],
        cwd=folder,
        env={"PYTHONDONTWRITEBYTECODE": "1", "EDGEPACK_DATA_PATH": "data", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def paths_in(folder: Path) -> list[str]:
    """The files below `folder`, without the count; the date as DATE."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != COUNT_FILE]
    return sorted(re.sub(r"/\d{4}(/\d\d){2}/", "/DATE/", name) for name in names)


def csv_rows(folder: Path, designation: str) -> list[list[str]]:
    """The rows of the one file of `designation`."""
    (path,) = folder.glob(f"modeldata/*/*/*/*/*/*/{designation}/*/*/*/*.csv")
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def events_in(folder: Path) -> list[dict[str, Any]]:
    """All events of v2 collectors below `folder`."""
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()]
