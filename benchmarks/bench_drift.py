"""`scripts/bench drift`: what watching drift costs the agent, beside the agent that does not, interleaved, medians.

Both serve the same two scripts over loopback with one worker: a tiny one, and a small ONNX network of 16 features. wrk
sends POST /score at 1 and 8 connections. `1 %` is the default of EDGEPACK_DRIFT_COST_PERCENT; `100 %` looks at as
much as it can. The last rows are the agent's own figures: seconds spent on drift beside seconds spent in run(), and
the share of requests that were looked at.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import random
import re
import statistics
import tempfile
import time
from pathlib import Path

from bench_http import ROOT, Subject, exchange, prepare, send_load

CONNECTIONS = (1, 8)
FEATURES = {"tiny": 4, "onnx": 16}
PERCENTS = {"off": None, "1 %": "1", "100 %": "100"}


def make_baselines(folder: Path) -> None:
    """A baseline of 5,000 rows for each script, by the command."""
    from click.testing import CliRunner

    from edgepack.cli.main import cli

    chance = random.Random(1)  # noqa: S311 - data
    for script, count in FEATURES.items():
        rows = [",".join(f"{chance.gauss(3, 2):.4f}" for _ in range(count)) for _ in range(5000)]
        table = folder / f"{script}.csv"
        table.write_text("\n".join([",".join(map(str, range(count))), *rows]))
        made = CliRunner().invoke(cli, ["drift", "baseline", str(table), "-o", str(folder / f"{script}.json")])
        if made.exit_code:
            raise SystemExit(made.output)


def variables(script: str, percent: str | None) -> dict[str, str]:
    """What the agent is told."""
    if percent is None:
        return {}
    return {"EDGEPACK_DRIFT_BASELINE": f"{script}.json", "EDGEPACK_DRIFT_COST_PERCENT": percent}


def own_figures(subject: Subject) -> tuple[float, float]:
    """Seconds on drift for each 100 in run(), and how many of 100 requests were looked at, by its metrics."""
    with contextlib.suppress(OSError):
        text = ""
        while "edgepack_scoring_seconds_count" not in text:
            text = exchange(subject.port, b"GET /metrics").decode()
    found = {name: float(value) for name, value in re.findall(r"^(\w+) ([0-9.e+-]+)$", text, re.MULTILINE)}
    spent = found.get("edgepack_drift_seconds_total", 0.0) / found["edgepack_scoring_seconds_sum"]
    return 100 * spent, 100 * found.get("edgepack_drift_requests_total", 0.0) / found["edgepack_scoring_seconds_count"]


def measure(script: str, folder: Path, rounds: int, seconds: int) -> list[dict[str, object]]:
    """Rows of figures by kind."""
    found: dict[tuple[str, int, str], list[float]] = {}
    own = {}
    with contextlib.ExitStack() as stack:
        subjects = {}
        for kind, percent in PERCENTS.items():
            subjects[kind] = Subject("agent", script, folder, **variables(script, percent))
            stack.callback(subjects[kind].end)
            subjects[kind].wait()
        for connections in CONNECTIONS:
            for number in range(-1, rounds):
                for kind, subject in subjects.items():
                    load = send_load(subject, folder, connections, seconds)
                    for key in ("per_s", "p50_us", "p99_us", "cpu_us"):
                        if number >= 0:
                            found.setdefault((key, connections, kind), []).append(load[key])
        for kind, subject in subjects.items():
            own[kind] = own_figures(subject)
    rows: list[dict[str, object]] = []
    for connections in CONNECTIONS:
        for key, unit in (
            ("per_s", "requests/s"),
            ("p50_us", "p50, us"),
            ("p99_us", "p99, us"),
            ("cpu_us", "CPU a request, us"),
        ):
            values = {kind: found[key, connections, kind] for kind in PERCENTS}
            rows.append({"name": f"{script}, {connections} connections: {unit}", "values": values})
    rows.append({"name": f"{script}: time on drift, % of run()", "values": {kind: [own[kind][0]] for kind in PERCENTS}})
    rows.append({"name": f"{script}: requests looked at, %", "values": {kind: [own[kind][1]] for kind in PERCENTS}})
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
    print(f"{row['name']!s:<46}" + "".join(f"{cell:<28}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: a rough look")
    quick = parser.parse_args().quick
    rounds, seconds = (2, 1) if quick else (7, 3)
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as text:
        folder = Path(text)
        prepare(folder)
        make_baselines(folder)
        print(f"{'':<46}" + "".join(f"{kind:<28}" for kind in PERCENTS))
        for script in FEATURES:
            for row in measure(script, folder, rounds, seconds):
                print_row(row)
                rows.append(row)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"
    versions = {name: importlib.metadata.version(name) for name in ("edgepack", "onnxruntime")}
    document = {"machine": machine, "python": platform.python_version(), **versions, "quick": quick, "rows": rows}
    (results / f"drift-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
