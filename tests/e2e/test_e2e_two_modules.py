"""The example of several modules is built and simulated as its README says, with a network that goes away."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import run_edgepack

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-modules"
SCENARIO = {"duration_s": 20, "steps": [{"at_s": 5, "do": "offline", "for_s": 5}], "expect": {"lost": 0}}


@pytest.mark.network
@pytest.mark.timeout(300)
def test_sensor_filter_and_scorer_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "two-modules"
    shutil.copytree(EXAMPLE, folder)
    run_edgepack(folder, "model", "register", "-n", "limits", "-p", "limits.json")
    report = run_edgepack(folder, "build", "--layered")
    assert isinstance(report["modules"], dict)
    assert list(report["modules"]) == ["filter", "scorer", "sensor"]
    for name in ("filter", "scorer"):
        assert run_edgepack(folder, "verify", f"dist/{name}")["ok"]
    (folder / "outage.yaml").write_text(json.dumps(SCENARIO))
    run = run_edgepack(
        folder, "simulate", "dist/deployment.json", "--scenario", "outage.yaml", "--port", "0", "--no-ui"
    )
    assert run["lost"] == 0
    assert run["offline_s"]
    assert isinstance(run["modules"], dict)
    assert {name: module["status"] for name, module in run["modules"].items()} == {
        "edge-1/filter": "running",
        "edge-1/scorer": "running",
        "edge-1/sensor": "running",
    }
    arrived = [json.loads(line) for line in (folder / ".edgepack/simulation/cloud.jsonl").read_text().splitlines()]
    assert {(each["module"], each["output"]) for each in arrived} == {("filter", "marked"), ("scorer", "amlOutput")}
    assert not any(each["body"]["warm"] for each in arrived if each["module"] == "filter")
    assert all("alarm" in each["body"] for each in arrived if each["module"] == "scorer")
    assert isinstance(run["delivered"], int)
    assert 0 < run["delivered"] <= len(arrived)
