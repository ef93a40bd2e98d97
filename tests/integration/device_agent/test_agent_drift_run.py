"""An agent that watches drift beside a baseline that `edgepack drift baseline` has made."""

import json
import random
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from edgepack.cli.main import cli
from tests.fakes.fake_iot_hub import HUB_NAME
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.agent_under_test import Agent, agent_process, served, wait_until
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, MODULE, running_hub

SCRIPT = """
import json, time
def init(): pass
def run(data):
    time.sleep(0.002)  # what a model takes, so that every request can be looked at
    return [sum(row) for row in json.loads(data)["data"]]
"""


def figures(agent: Agent) -> dict[tuple[str, ...], float]:
    """The metrics of drift: by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{agent.url}/metrics").text)
        for sample in family.samples
        if sample.name.startswith("edgepack_drift_")
    }


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """Of the columns 0 and 1, made on a desk."""
    chance = random.Random(7)  # noqa: S311 - data
    lines = [f"{chance.gauss(0, 1)},{chance.gauss(5, 2)}" for _ in range(2000)]
    table, made = tmp_path / "training.csv", tmp_path / "made" / "drift-baseline.json"
    table.write_text("0,1\n" + "\n".join(lines))
    made.parent.mkdir()
    result = CliRunner().invoke(cli, ["drift", "baseline", str(table), "-o", str(made)])
    assert result.exit_code == 0, result.output
    return made


def test_a_column_that_moves_is_told_in_the_metrics_and_the_log(tmp_path: Path, baseline: Path) -> None:
    chance = random.Random(8)  # noqa: S311 - data
    with served(
        tmp_path,
        SCRIPT,
        AZUREML_MODEL_DIR=str(baseline.parent),
        EDGEPACK_DRIFT_BASELINE="drift-baseline.json",
        EDGEPACK_DRIFT_WINDOW="200",
        EDGEPACK_DRIFT_COST_PERCENT="50",
    ) as agent:

        def send(rows: int, moved: float) -> None:
            for _ in range(rows // 20):
                batch = [[chance.gauss(0, 1), chance.gauss(5 + moved, 2)] for _ in range(20)]
                assert agent.post({"data": batch}).status_code == 200

        send(300, 0.0)
        first = figures(agent)
        assert first["edgepack_drift_detected", "request", "0"] == 0.0
        assert first["edgepack_drift_detected", "request", "1"] == 0.0
        assert first["edgepack_drift_rows_total", "request"] == 300
        send(300, 3.0)
        moved = figures(agent)
        assert moved["edgepack_drift_detected", "request", "0"] == 0.0
        assert moved["edgepack_drift_detected", "request", "1"] == 1.0
        assert moved["edgepack_drift_psi", "request", "1"] > moved["edgepack_drift_limit", "request", "1"]
        assert moved["edgepack_drift_seconds_total",] > 0.0
        wait_until(lambda: "Drift of request: 1: PSI" in agent.log, "a line in the log")


def test_drift_of_messages_is_a_reported_property(tmp_path: Path, baseline: Path) -> None:
    chance = random.Random(9)  # noqa: S311 - data
    with (
        running_hub() as hub,
        FakeWorkload(tmp_path / "workload.sock", KEY, hub.ca_pem) as workload,
        served(
            tmp_path,
            SCRIPT,
            EDGEPACK_BUFFER_PATH=str(tmp_path / "buffer.db"),
            EDGEPACK_DRIFT_BASELINE=str(baseline),
            EDGEPACK_DRIFT_WINDOW="100",
            EDGEPACK_DRIFT_COST_PERCENT="50",
            **workload.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE),
        ) as agent,
    ):
        agent.wait_log("Connected upstream")
        hub.wait_for(lambda: "drift" in hub.twin(MODULE).reported.get("edgepack", {}), "reported")
        assert hub.twin(MODULE).reported["edgepack"]["drift"] == {
            "request": {"isJudged": False, "drifted": [], "features": []}
        }
        for number in range(10):
            batch = [[chance.gauss(0, 1), chance.gauss(50, 2)] for _ in range(10)]
            hub.send_input(MODULE, "amlInput", json.dumps({"data": batch}).encode(), {"$.mid": f"m{number}"})
        hub.wait_for(lambda: hub.twin(MODULE).reported["edgepack"]["drift"]["request"]["drifted"] == ["1"], "drift")
        feature, other = hub.twin(MODULE).reported["edgepack"]["drift"]["request"]["features"]
        assert (feature["name"], other["name"]) == ("1", "0")
        assert feature["psi"] > 1.0
    assert not hub.misdeeds


def test_a_baseline_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with agent_process(tmp_path, "--entry-script", "score.py", EDGEPACK_DRIFT_BASELINE="nowhere.json") as agent:
        assert agent.exit_code() == 2
    assert "EDGEPACK_DRIFT_BASELINE: there is no file" in "\n".join(agent.errors)
