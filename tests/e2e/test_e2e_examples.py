"""The examples run as their READMEs say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.module_runner import run_module
from tests.e2e.conftest import free_port
from tests.fakes.fake_iot_hub import HUB_NAME
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.agent_under_test import served
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, MODULE, running_hub

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto-clients is not installed")
def test_the_example_with_mosquitto_scores_before_and_after_the_broker_went_away() -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "PORT": str(free_port())}
    done = subprocess.run(
        [EXAMPLES / "mosquitto" / "run"], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    lines = done.stdout.splitlines()
    before, after = lines[: lines.index("--- the broker is away for a moment")], lines[-1]
    told = sorted(line.split("  ")[:2] for line in before)
    assert [topic for topic, _ in told] == ["amlError", "scores", "scores"]
    assert sorted(json.loads(body).get("mean", 0) for _, body in told) == [0, 72.0, 92.0]
    assert '{"mean": 2.0, "hot": false}' in after
    assert "correlation-id:fourth" in after


def test_the_script_of_the_example_for_iot_edge_scores_a_sensors_message(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text((EXAMPLES / "iot-edge" / "limits.json").read_text())
    script = (EXAMPLES / "iot-edge" / "score.py").read_text()
    with served(tmp_path, script, AZUREML_MODEL_DIR=str(tmp_path)) as agent:
        hot = {"machine": {"temperature": 99.0, "pressure": 1.0}, "timeCreated": "2026-01-01T00:00:00Z"}
        assert agent.post(hot).json() == {
            "anomaly": True,
            "over": ["machine.temperature"],
            "timeCreated": "2026-01-01T00:00:00Z",
        }


@pytest.mark.network
@pytest.mark.timeout(300)
def test_the_example_for_iot_edge_builds_and_its_image_is_a_module_of_edgehub(tmp_path: Path) -> None:
    folder = tmp_path / "iot-edge"
    shutil.copytree(EXAMPLES / "iot-edge", folder)

    def edgepack(*arguments: str) -> None:
        subprocess.run([Path(sys.executable).with_name("edgepack"), *arguments], cwd=folder, check=True, timeout=110)

    edgepack("model", "register", "-n", "limits", "-p", "limits.json")
    edgepack("build")
    content = json.loads((folder / "dist" / "deployment.json").read_text())["modulesContent"]
    assert content["anomaly"]["properties.desired"]["EDGEPACK_MESSAGE_TTL_S"] == 86400
    assert content["$edgeHub"]["properties.desired"]["routes"]["scores"]["priority"] == 0
    with (
        running_hub() as hub,
        FakeWorkload(tmp_path / "workload.sock", KEY, hub.ca_pem) as workload,
        (tmp_path / "module.log").open("wb") as log,
    ):
        variables = workload.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE)
        variables["EDGEPACK_BUFFER_PATH"] = str(tmp_path / "buffer.db")
        image = folder / "dist" / "image"
        with run_module(image, tmp_path / "roots", free_port(), log=log, variables=variables, ready_s=60):
            hub.send_input(MODULE, "amlInput", b'{"machine": {"temperature": 99}}', {"$.mid": "m1"})
            hub.wait_for(lambda: bool(hub.events and hub.acknowledged), "it is scored", 30)
    (result,) = hub.events
    assert json.loads(result.body)["over"] == ["machine.temperature"]
    assert (result.property("$.on"), result.property("$.cid")) == ("amlOutput", "m1")
