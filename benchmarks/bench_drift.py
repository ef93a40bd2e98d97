"""`scripts/bench drift`: what watching drift costs the agent, beside the agent that does not, interleaved, medians.

Both serve the same two scripts over loopback with one worker: a tiny one, and a small ONNX network of 16 features. wrk
sends POST /score at 1 and 8 connections. `1 %` is the default of EDGEPACK_DRIFT_COST_PERCENT; `100 %` looks at as
much as it can. The last rows are the agent's own figures: seconds spent on drift beside seconds spent in run(), and
the share of requests that were looked at.
"""

import argparse
import random
import tempfile
from pathlib import Path

from agent_settings import Row, agents, keep_results, load_rows, own_figures, print_head, print_row
from bench_http import Subject, prepare

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


def cost(subject: Subject) -> tuple[float, float]:
    """Seconds on drift for each 100 in run(), and how many of 100 requests were looked at, by its metrics."""
    found = own_figures(subject)
    spent = found.get("edgepack_drift_seconds_total", 0.0) / found["edgepack_scoring_seconds_sum"]
    return 100 * spent, 100 * found.get("edgepack_drift_requests_total", 0.0) / found["edgepack_scoring_seconds_count"]


def measure(script: str, folder: Path, rounds: int, seconds: int) -> list[Row]:
    """Rows of figures by kind."""
    kinds = {kind: variables(script, percent) for kind, percent in PERCENTS.items()}
    with agents(script, folder, kinds) as subjects:
        rows = load_rows(subjects, folder, rounds, seconds, f"{script}, ")
        own = {kind: cost(subject) for kind, subject in subjects.items()}
    for place, name in enumerate(("time on drift, % of run()", "requests looked at, %")):
        rows.append({"name": f"{script}: {name}", "values": {kind: [own[kind][place]] for kind in own}})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: a rough look")
    quick = parser.parse_args().quick
    rounds, seconds = (2, 1) if quick else (7, 3)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as text:
        folder = Path(text)
        prepare(folder)
        make_baselines(folder)
        print_head(PERCENTS)
        for script in FEATURES:
            for row in measure(script, folder, rounds, seconds):
                print_row(row)
                rows.append(row)
    keep_results("drift", rows, ("onnxruntime",), quick=quick)


if __name__ == "__main__":
    main()
