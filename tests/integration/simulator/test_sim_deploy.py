"""Whole runs: `edgepack deploy` changes what a running simulation runs, and tells what a module fails of."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.simulation import DEFAULT_MANIFEST

EDGEPACK = Path(sys.executable).with_name("edgepack")
DEADLINE_S = 60.0
SENSOR = "mcr.microsoft.com/azureiotedge-simulated-temperature-sensor:1.5"


def deployment(path: Path, image: str = SENSOR, /, **environment: str) -> Path:
    """A deployment with the public sensor, or another image, as its only module."""
    document = json.loads(json.dumps(DEFAULT_MANIFEST))
    variables = {"MessageDelay": "00:00:00.05", "MessageCount": "-1", **environment}
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["sensor"] = {
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "env": {name: {"value": value} for name, value in variables.items()},
        "settings": {"image": image, "createOptions": ""},
    }
    path.write_text(json.dumps(document))
    return path


class Run:
    """A simulation that runs, and the command that deploys to it."""

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "IOTHUB_CONNECTION_STRING": info["service"]["connection_string"],
            "REQUESTS_CA_BUNDLE": info["ca"],
        }
        self._key = info["service"]["connection_string"].partition("SharedAccessKey=")[2]

    def deploy(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run the command to its end."""
        done = subprocess.run(
            [EDGEPACK, "--json", "deploy", *map(str, arguments)],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert self._key not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("run")
    info = folder / "info.json"
    first = deployment(folder / "first.json")
    process = subprocess.Popen(
        [EDGEPACK, "--workspace", folder / "w", "-q", "simulate", first, "--no-ui", "--port", "0", "--info", info],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_s = time.monotonic() + DEADLINE_S
        while not info.exists():
            assert process.poll() is None
            assert time.monotonic() < until_s, "in vain: the simulation"
            time.sleep(0.02)
        yield Run(folder, json.loads(info.read_text()))
    finally:
        process.kill()
        process.wait()


def test_a_running_deployment_is_changed(run: Run, tmp_path: Path) -> None:
    changed = deployment(tmp_path / "changed.json", machineTempMin="30")
    done = run.deploy(changed, "--device", "edge-1", "--wait", DEADLINE_S)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [change["path"] for change in document["changes"]] == ["env.machineTempMin"]
    assert document["progress"]["applied"] is True
    (device,) = document["progress"]["devices"]
    assert device["last_desired_version"] == device["desired_version"]
    assert "deployed to edge-1" in done.stderr
    assert json.loads(run.deploy("status", "--device", "edge-1").stdout)["state"] == "applied"


def test_a_module_that_fails_is_exit_code_3_with_its_reason(run: Run, tmp_path: Path) -> None:
    wrong = deployment(tmp_path / "wrong.json", MessageDelay="never")
    reason, until_s, said = "not applied: edge-1: module sensor is backoff, not running, exit code 2", None, ""
    while reason not in said:  # on a busy machine it may not have got so far, or is being restarted just then
        done = run.deploy(wrong, "--device", "edge-1", "--wait", "6")
        assert done.returncode == 3, done.stderr
        said = done.stderr
        until_s = until_s or time.monotonic() + DEADLINE_S
        assert time.monotonic() < until_s, said
    nowhere = deployment(tmp_path / "nowhere.json", "registry.example.com/nowhere:1")
    done = run.deploy(nowhere, "--device", "edge-1", "--wait", DEADLINE_S)
    assert done.returncode == 3, done.stderr
    assert "edgeAgent reports code 500" in done.stderr
    assert "registry.example.com/nowhere:1 is not on this machine" in done.stderr
    assert json.loads(done.stdout)["progress"]["devices"][0]["state"] == "failed"


def test_an_automatic_deployment_reaches_its_devices(run: Run, tmp_path: Path) -> None:
    base = deployment(tmp_path / "base.json", machineTempMax="90")
    at_scale = ("--target-condition", "deviceId = 'edge-1'", "--priority", "3")
    done = run.deploy(base, "--id", "base", *at_scale, "--wait", DEADLINE_S)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["progress"]["metrics"]
    assert (metrics["targetedCount"], metrics["reportedSuccessfulCount"]) == (1, 1)
    whole = json.loads(base.read_text())["modulesContent"]["$edgeAgent"]["properties.desired"]
    path = "properties.desired.modules.second"
    layer = tmp_path / "layer.json"
    layer.write_text(json.dumps({"modulesContent": {"$edgeAgent": {path: whole["modules"]["sensor"]}}}))
    done = run.deploy(layer, "--id", "layer", "--target-condition", "*", "--priority", "4", "--wait", DEADLINE_S)
    assert done.returncode == 0, done.stderr
    status = json.loads(run.deploy("status", "--device", "edge-1").stdout)
    assert [each["name"] for each in status["modules"]] == ["edgeAgent", "edgeHub", "sensor", "second"]
    assert run.deploy("delete", "--id", "layer").returncode == 0
