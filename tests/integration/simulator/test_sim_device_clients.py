"""The programs of examples/device-clients run against the simulator, as their README says."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integration.simulator.sdk_world import loopback_address

RUN = Path(__file__).parents[3] / "examples" / "device-clients" / "run"


def test_a_device_and_a_module_run_unchanged() -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "HOST": loopback_address()}
    done = subprocess.run([RUN], env=environment, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    said, _, report_text = done.stdout.partition("\n{\n")
    lines = said.splitlines()
    assert [line for line in lines if not line.startswith("{")] == ["connected", "connected", "sent 40 readings"]
    judged = [json.loads(line) for line in lines if line.startswith("{")]
    readings = {message["correlation_id"]: message["body"] for message in judged}
    mine = [readings[f"reading-{number}"] for number in range(1, 41)]
    assert all(body["over"] == (body["temperature"] > 23) for body in mine if body["temperature"] not in range(24, 38))
    assert {"temperature": 38, "over": True} in mine, "the method has heated it up"
    assert {"temperature": 36, "over": False} in mine, "the limit was changed"
    report = json.loads("{\n" + report_text)
    assert report["lost"] == 0
    assert report["sent"] == report["delivered"] >= 40
