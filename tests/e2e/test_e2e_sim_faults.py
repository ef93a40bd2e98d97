"""A built module through a simulated day of faults, and through power cuts: nothing is lost, and two counts agree."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.recount import recount
from tests.e2e.conftest import EDGEPACK

EXAMPLE = Path(__file__).parents[2] / "examples" / "iot-edge"

pytestmark = [pytest.mark.network, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built, with messages that never expire."""
    folder = tmp_path_factory.mktemp("faults") / "iot-edge"
    shutil.copytree(EXAMPLE, folder)
    for command in (("model", "register", "-n", "limits", "-p", "limits.json"), ("build",)):
        subprocess.run([EDGEPACK, *command], cwd=folder, check=True, capture_output=True, timeout=200)
    path = folder / "dist" / "deployment.json"
    document = json.loads(path.read_text())
    hub = document["modulesContent"]["$edgeHub"]["properties.desired"]
    hub["storeAndForwardConfiguration"]["timeToLiveSecs"] = -1
    hub["routes"]["scores"] = hub["routes"]["scores"]["route"]
    path.write_text(json.dumps(document))
    return folder


def run(project: Path, *arguments: str) -> dict[str, Any]:
    """`edgepack simulate`: its report."""
    command = [str(EDGEPACK), "-q", "--json", "simulate", "dist/deployment.json", "--port", "0", "--no-ui", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def independent_count(folder: Path) -> tuple[int, int]:
    """From the two files alone, with a tool that knows nothing of the project: ids sent, ids that never arrived."""
    program = """
import json, sys
sent = {json.loads(line)["id"] for line in open(sys.argv[1])}
seen = set()
for line in open(sys.argv[2]):
    message = json.loads(line)
    seen.add(message["id"]), seen.add(message["correlation_id"])
print(len(sent), len(sent - seen))
"""
    files = [str(folder / "devices.jsonl"), str(folder / "cloud.jsonl")]
    found = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)
    sent, missing = map(int, found.stdout.split())
    return sent, missing


def test_a_simulated_day_of_50_devices_with_all_faults_loses_nothing(project: Path) -> None:
    report = run(project, "--scenario", "day-of-faults", "--speed", "1440")
    assert (report["lost"], report["expired"], report["unrouted"]) == (0, 0, 0)
    assert report["delivered"] == report["sent"] > 10_000
    assert report["problems"] == []
    faults = {fault["do"] for fault in report["faults"]}
    assert faults == {
        *("offline", "half_open", "latency", "loss", "bandwidth"),
        *("restart_hub", "kill_agent", "disk_full", "expire_token", "clock_jump"),
    }
    folder = project / ".edgepack" / "simulation"
    assert independent_count(folder) == (report["sent"], 0)
    assert recount(folder / "devices.jsonl", folder / "cloud.jsonl").missing == ()
    bodies = [json.loads(line)["body"] for line in (folder / "cloud.jsonl").read_text().splitlines()]
    assert all(set(body) == {"anomaly", "over", "timeCreated"} for body in bodies)


def test_a_module_that_is_killed_again_and_again_loses_nothing(project: Path) -> None:
    steps = """
devices: 5
rate_per_s: 0.2
duration_s: 1500
speed: 60
steps:
- {at_s: 240, every_s: 240, until_s: 1000, do: kill_agent}
- {at_s: 650, do: disk_full, for_s: 200}
- {at_s: 1000, do: restart_hub, for_s: 60}
- {at_s: 1100, do: set_twin, desired: {EDGEPACK_PRIORITY: 3}}
- {at_s: 1150, do: invoke, method: ping}
- {at_s: 1200, do: send, body: {machine: {temperature: 99}}}
expect: {lost: 0, expired: 0}
"""
    (project / "cuts.yaml").write_text(steps)
    report = run(project, "--scenario", "cuts.yaml")
    assert report["delivered"] == report["sent"] > 0
    assert report["modules"]["edge-1/anomaly"]["status"] == "running"
    [answer] = [fault["answer"] for fault in report["faults"] if fault["do"] == "invoke"]
    assert answer["status"] == 200
    assert answer["payload"]["status"] == "ok"
    log = (project / ".edgepack" / "simulation" / "logs" / "edge-1" / "anomaly.log").read_text()
    assert log.count("killed by a fault") == sum(fault["do"] == "kill_agent" for fault in report["faults"])
    assert "Traceback" not in log
