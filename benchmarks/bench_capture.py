"""`scripts/bench capture`: what keeping all requests costs the agent, beside one that keeps none, interleaved, medians.

All serve the same tiny script over loopback with one worker; wrk sends POST /score at 1 and 8 connections. `parquet`
also turns its files, every quarter of a minute, in a process of low priority that takes CPU from the others here. The
last rows count all of a run: CPU time of the agent, its worker and, where there is one, that process, for each request;
bytes kept for each request; and the share of requests that was lost.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import statistics
import tempfile
import time
from pathlib import Path

from bench_http import ROOT, Subject, exchange, prepare, send_load

CONNECTIONS = (1, 8)
KINDS: dict[str, dict[str, str]] = {
    "off": {},
    "jsonl": {"EDGEPACK_CAPTURE_PERCENT": "100"},
    "parquet": {"EDGEPACK_CAPTURE_PERCENT": "100", "EDGEPACK_CAPTURE_FORMAT": "parquet"},
}
MAX_BYTES = 2**30


def all_cpu_s(subject: Subject) -> float:
    """CPU time of the tree, and of what has ended in it."""
    fields = Path(f"/proc/{subject.process.pid}/stat").read_text().rpartition(")")[2].split()
    return subject.cpu_s() + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def metric(subject: Subject, name: str) -> float:
    """One figure of /metrics, 0 where there is none."""
    text = ""
    with contextlib.suppress(OSError):
        while "edgepack_scoring_seconds_count" not in text:
            text = exchange(subject.port, b"GET /metrics").decode()
    found = re.search(rf"^{name} ([0-9.e+-]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def kept_bytes(folder: Path) -> dict[str, int]:
    """Bytes of pieces by suffix."""
    found = {".jsonl": 0, ".parquet": 0}
    for file in folder.rglob("*"):
        if file.suffix in found:
            with contextlib.suppress(FileNotFoundError):
                found[file.suffix] += file.stat().st_size
    return found


def wait_for_parquet(folder: Path) -> None:
    """Until all but the open piece are turned."""
    end_s = time.monotonic() + 120
    while len(list(folder.rglob("*.jsonl"))) > 1 or list(folder.rglob("*.part")):
        if time.monotonic() > end_s:
            raise SystemExit(f"{folder}: pieces are not turned")
        time.sleep(0.2)


def measure(folder: Path, rounds: int, seconds: int) -> list[dict[str, object]]:
    """Rows of figures by kind."""
    found: dict[tuple[str, int, str], list[float]] = {}
    ends: dict[str, dict[str, float]] = {}
    with contextlib.ExitStack() as stack:
        subjects, begun_s, requests = {}, {}, dict.fromkeys(KINDS, 0.0)
        for kind, variables in KINDS.items():
            more = {"EDGEPACK_DATA_PATH": str(folder / kind), "EDGEPACK_DATA_MAX_BYTES": str(MAX_BYTES)}
            subjects[kind] = Subject("agent", "tiny", folder, **variables, **more)
            stack.callback(subjects[kind].end)
            subjects[kind].wait()
            begun_s[kind] = all_cpu_s(subjects[kind])
        for connections in CONNECTIONS:
            for number in range(-1, rounds):
                for kind, subject in subjects.items():
                    load = send_load(subject, folder, connections, seconds)
                    requests[kind] += load["requests"]
                    for key in ("per_s", "p50_us", "p99_us", "cpu_us"):
                        if number >= 0:
                            found.setdefault((key, connections, kind), []).append(load[key])
        wait_for_parquet(folder / "parquet")
        for kind, subject in subjects.items():
            sizes = kept_bytes(folder / kind)
            kept = metric(subject, "edgepack_captured_requests_total")
            ends[kind] = {
                "CPU a request, all of it, us": (all_cpu_s(subject) - begun_s[kind]) / requests[kind] * 1e6,
                "bytes kept a request": sum(sizes.values()) / kept if kept else 0.0,
                "requests lost, %": 100 * metric(subject, "edgepack_capture_lost_total") / requests[kind],
            }
    rows: list[dict[str, object]] = []
    for connections in CONNECTIONS:
        for key, unit in (
            ("per_s", "requests/s"),
            ("p50_us", "p50, us"),
            ("p99_us", "p99, us"),
            ("cpu_us", "CPU a request, us"),
        ):
            values = {kind: found[key, connections, kind] for kind in KINDS}
            rows.append({"name": f"{connections} connections: {unit}", "values": values})
    for name in ends["off"]:
        rows.append({"name": name, "values": {kind: [ends[kind][name]] for kind in KINDS}})
    return rows


def print_row(row: dict[str, object]) -> None:
    """Medians with minimum and maximum."""
    values = row["values"]
    values = values if isinstance(values, dict) else {}
    cells = []
    for each in values.values():
        digits = 0 if statistics.median(each) >= 100 else 2
        middle = f"{statistics.median(each):.{digits}f}"
        cells.append(middle if len(each) == 1 else f"{middle} ({min(each):.{digits}f}..{max(each):.{digits}f})")
    print(f"{row['name']!s:<34}" + "".join(f"{cell:<28}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds: a rough look")
    quick = parser.parse_args().quick
    rounds, seconds = (3, 2) if quick else (7, 3)
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as text:
        folder = Path(text)
        prepare(folder)
        print(f"{'':<34}" + "".join(f"{kind:<28}" for kind in KINDS))
        rows = measure(folder, rounds, seconds)
    for row in rows:
        print_row(row)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"
    versions = {name: importlib.metadata.version(name) for name in ("edgepack", "pyarrow")}
    document = {"machine": machine, "python": platform.python_version(), **versions, "quick": quick, "rows": rows}
    (results / f"capture-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
