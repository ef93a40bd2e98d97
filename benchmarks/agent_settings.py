"""The agent with one setting beside itself with another, interleaved: for benchmarks of what something costs it."""

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench_http import ROOT, Subject, exchange, send_load

CONNECTIONS = (1, 8)
FIGURES = {
    "per_s": "requests/s",
    "p50_us": "p50, us",
    "p99_us": "p99, us",
    "cpu_us": "CPU a request, us",
}
Row = dict[str, object]
"""A name, and under `values` what was measured of each subject."""


@contextlib.contextmanager
def agents(script: str, folder: Path, kinds: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, Subject]]:
    """One agent for each kind, told these variables, and ready."""
    with contextlib.ExitStack() as stack:
        running = {}
        for kind, variables in kinds.items():
            running[kind] = Subject("agent", script, folder, **variables)
            stack.callback(running[kind].end)
            running[kind].wait()
        yield running


def load_rows(subjects: Mapping[str, Subject], folder: Path, rounds: int, seconds: int, label: str = "") -> list[Row]:
    """Load on one after the other, again and again, after a round that does not count."""
    rows: list[Row] = []
    for connections in CONNECTIONS:
        found: dict[str, dict[str, list[float]]] = {key: {kind: [] for kind in subjects} for key in FIGURES}
        for number in range(-1, rounds):
            for kind, subject in subjects.items():
                load = send_load(subject, folder, connections, seconds)
                for key in FIGURES if number >= 0 else ():
                    found[key][kind].append(load[key])
        rows += [
            {"name": f"{label}{connections} connections: {text}", "values": found[key]} for key, text in FIGURES.items()
        ]
    return rows


def own_figures(subject: Subject) -> dict[str, float]:
    """The metrics without labels, as soon as the agent answers."""
    text = ""
    while "edgepack_scoring_seconds_count" not in text:
        with contextlib.suppress(OSError):
            text = exchange(subject.port, b"GET /metrics").decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([0-9.e+-]+)$", text, re.MULTILINE)}


def print_head(kinds: Mapping[str, object]) -> None:
    """The names of the columns."""
    print(f"{'':<46}" + "".join(f"{kind:<28}" for kind in kinds))


def print_row(row: Row) -> None:
    """Medians with minimum and maximum."""
    values = row["values"]
    cells = []
    for each in values.values() if isinstance(values, dict) else ():
        digits = 0 if statistics.median(each) >= 100 else 2
        middle = f"{statistics.median(each):.{digits}f}"
        cells.append(middle if len(each) == 1 else f"{middle} ({min(each):.{digits}f}..{max(each):.{digits}f})")
    print(f"{row['name']!s:<46}" + "".join(f"{cell:<28}" for cell in cells))


def keep_results(name: str, rows: list[Row], packages: tuple[str, ...], *, quick: bool) -> None:
    """Write them to benchmarks/results, with what was measured, on what."""
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"
    versions = {package: importlib.metadata.version(package) for package in ("edgepack", *packages)}
    document = {"machine": machine, "python": platform.python_version(), **versions, "quick": quick, "rows": rows}
    (results / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))
