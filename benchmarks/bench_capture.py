"""`scripts/bench capture`: what keeping all requests costs the agent, beside one that keeps none, interleaved, medians.

All serve the same tiny script over loopback with one worker; wrk sends POST /score at 1 and 8 connections. `parquet`
also turns its files, every quarter of a minute, in a process of low priority that takes CPU from the others here. The
last rows count all of a run: CPU time of the agent, its worker and, where there is one, that process, for each request;
bytes kept for each request; and the share of requests that was lost.
"""

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path

from agent_settings import Row, agents, keep_results, load_rows, own_figures, print_head, print_row
from bench_http import Subject, prepare

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


def measure(folder: Path, rounds: int, seconds: int) -> list[Row]:
    """Rows of figures by kind."""
    bound = {"EDGEPACK_DATA_MAX_BYTES": str(MAX_BYTES)}
    kinds = {kind: {**each, **bound, "EDGEPACK_DATA_PATH": str(folder / kind)} for kind, each in KINDS.items()}
    ends: dict[str, dict[str, float]] = {}
    with agents("tiny", folder, kinds) as subjects:
        begun_s = {kind: all_cpu_s(subject) for kind, subject in subjects.items()}
        rows = load_rows(subjects, folder, rounds, seconds)
        wait_for_parquet(folder / "parquet")
        for kind, subject in subjects.items():
            figures = own_figures(subject)
            requests = figures["edgepack_scoring_seconds_count"]
            kept = figures.get("edgepack_captured_requests_total", 0.0)
            ends[kind] = {
                "CPU a request, all of it, us": (all_cpu_s(subject) - begun_s[kind]) / requests * 1e6,
                "bytes kept a request": sum(kept_bytes(folder / kind).values()) / kept if kept else 0.0,
                "requests lost, %": 100 * figures.get("edgepack_capture_lost_total", 0.0) / requests,
            }
    return [*rows, *({"name": name, "values": {kind: [ends[kind][name]] for kind in ends}} for name in ends["off"])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds: a rough look")
    quick = parser.parse_args().quick
    rounds, seconds = (3, 2) if quick else (7, 3)
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as text:
        folder = Path(text)
        prepare(folder)
        print_head(KINDS)
        rows = measure(folder, rounds, seconds)
    for row in rows:
        print_row(row)
    keep_results("capture", rows, ("pyarrow",), quick=quick)


if __name__ == "__main__":
    main()
