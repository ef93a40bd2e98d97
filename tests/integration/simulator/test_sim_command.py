"""`edgepack simulate` as people run it: output, files, exit codes, signals."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.control_client import ControlClient
from simulator.simulation import DEFAULT_MANIFEST
from simulator.snapshot import Snapshot

EDGEPACK = Path(sys.executable).with_name("edgepack")
DEADLINE_S = 60.0
SENSOR_MANIFEST = {
    "type": "docker",
    "status": "running",
    "restartPolicy": "always",
    "env": {"MessageDelay": {"value": "00:00:00.05"}, "MessageCount": {"value": -1}},
    "settings": {"image": "mcr.microsoft.com/azureiotedge-simulated-temperature-sensor:1.5", "createOptions": ""},
}


def simulate(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [EDGEPACK, "--workspace", folder / "workspace", "simulate", "--port", "0", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@contextmanager
def simulating(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command; it is ended at the end, and must have ended well."""
    process = subprocess.Popen(
        [EDGEPACK, "--workspace", folder / "workspace", "simulate", "--port", "0", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, f"in vain: {what}"
        time.sleep(0.02)


def snapshot(control: Path) -> Snapshot:
    """What the run looks like now."""

    async def ask() -> Snapshot:
        async with ControlClient(control) as client:
            return await client.snapshot()

    return asyncio.run(ask())


def wait_for_file(path: Path) -> dict[str, Any]:
    """The JSON document in a file, when it is there."""
    wait_until(path.exists, f"{path}")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def with_sensor(folder: Path) -> Path:
    """A deployment with the public sensor's image."""
    document = json.loads(json.dumps(DEFAULT_MANIFEST))
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    agent["modules"]["sensor"] = SENSOR_MANIFEST
    path = folder / "deployment.json"
    path.write_text(json.dumps(document))
    return path


def test_a_run_with_a_duration_ends_by_itself_and_reports(tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.json"
    report.parent.mkdir()
    done = simulate(tmp_path, "--devices", "3", "--rate", "10", "--duration", "2", "--report", str(report))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nothing lost: ")
    assert "a second count, from the devices' and the cloud's own files, agrees" in done.stdout
    assert "hub and edgeHub  mqtts://localhost:" in done.stderr
    assert "dashboard" not in done.stderr
    document = json.loads(report.read_text())
    for name in ("sent", "delivered", "lost", "duplicated", "misordered", "expired", "offline_s", "peak_buffered"):
        assert isinstance(document[name], int | float)
    assert document["devices"] == 3
    folder = tmp_path / "workspace" / "simulation"
    assert {"ca.pem", "cloud.jsonl", "devices.jsonl", "deployment.json", "report.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert not any("PRIVATE KEY" in path.read_text() for path in folder.glob("*") if path.is_file())


def test_json_is_one_document_and_quiet_is_quiet(tmp_path: Path) -> None:
    done = subprocess.run(
        [EDGEPACK, "-q", "--json", "simulate", "--port", "0", "--devices", "1", "--duration", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert json.loads(done.stdout)["lost"] == 0
    assert done.stderr == ""


def test_a_step_that_cannot_be_done_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "kill.yaml").write_text("devices: 1\nduration_s: 1\nsteps: [{at_s: 0, do: kill_agent}]\n")
    done = simulate(tmp_path, "--scenario", "kill.yaml")
    assert done.returncode == 3
    assert "the run proves less than it should: at 0 s, kill_agent: there is no module" in done.stderr


def test_expectations_that_do_not_hold_are_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "much.yaml").write_text("devices: 1\nduration_s: 1\nexpect: {sent: {min: 100000}}\n")
    done = simulate(tmp_path, "--scenario", "much.yaml")
    assert done.returncode == 3
    assert "not as expected: sent is " in done.stderr
    assert "expected at least 100000" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scenario", "rainy"), "there is no scenario file rainy"),
        (("nothing.json",), "nothing.json: No such file"),
        (("bad.json",), "bad.json is no JSON"),
        (("empty.json",), "empty.json"),
        (("--devices", "-1"), "devices must be a whole number of 0 to 10000"),
        (("--image", "."), "is no image"),
        (("--source", "readings.csv"), "no such file"),
        (("--ui", "1", "--no-ui"), "exclude each other"),
        (("--source", "bad.csv"), "bad.csv, line 3"),
        (("--source", "bad.py"), "bad.py"),
        (("--host", "no-such-host.invalid"), "--host no-such-host.invalid"),
        (("--folder", "/proc/nowhere"), "/proc/nowhere cannot be made"),
        (("--rate", "0"), "--rate must be a number of 1e-06"),
        (("--folder", "."), "is not empty, and no folder of a run"),
    ],
)
def test_bad_input_is_exit_code_2_and_told(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n1\n")
    (tmp_path / "bad.py").write_text("def generate(:\n")
    done = simulate(tmp_path, *arguments, "--duration", "1")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_whose_image_is_elsewhere_is_told_at_once(tmp_path: Path) -> None:
    document = json.loads(with_sensor(tmp_path).read_text())
    modules = document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    modules["scorer"] = {**SENSOR_MANIFEST, "settings": {"image": "registry.example.com/scorer:1"}}
    (tmp_path / "elsewhere.json").write_text(json.dumps(document))
    done = simulate(tmp_path, "elsewhere.json", "--devices", "1", "--duration", "1")
    assert "warning: module scorer: image registry.example.com/scorer:1 is not on this machine" in done.stderr
    assert "warning: module sensor" not in done.stderr


def test_a_port_that_is_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = simulate(tmp_path, "--port", str(taken.getsockname()[1]), "--duration", "1")
    assert done.returncode == 2
    assert "is in use" in done.stderr
    assert "--port" in done.stderr


def test_info_names_everything_and_sigint_ends_in_good_order(tmp_path: Path) -> None:
    info = tmp_path / "info.json"
    manifest = with_sensor(tmp_path)
    with simulating(tmp_path, str(manifest), "--devices", "2", "--info", str(info), "--ui", "0") as process:
        document = wait_for_file(info)
        host, _, port = document["hub"].rpartition(":")
        context = ssl.create_default_context(cafile=document["ca"])
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            assert tls.version() in ("TLSv1.2", "TLSv1.3")
        assert info.stat().st_mode & 0o777 == 0o600
        assert set(document["devices"]) == {"edge-1", "sensor-001", "sensor-002"}
        assert set(document["modules"]) == {"edge-1/sensor"} == set(document["edge_environment"])
        environment = document["edge_environment"]["edge-1/sensor"]
        assert Path(environment["IOTEDGE_WORKLOADURI"].removeprefix("unix://")).is_socket()
        assert "ModuleId=sensor;" in document["modules"]["edge-1/sensor"]
        assert httpx.get(document["dashboard"]).status_code == 200
        answer = httpx.get(f"{document['service']['url']}/devices/edge-1?api-version=2021-04-12", verify=context)
        assert answer.status_code == 401
        again = simulate(tmp_path, "--duration", "1")
        assert again.returncode == 2
        assert "another simulation uses" in again.stderr
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, stderr
        assert "nothing lost" in stdout
        assert "Interrupt again to end at once" in stderr
    assert not Path(environment["IOTEDGE_WORKLOADURI"].removeprefix("unix://")).exists()


def test_the_public_sensor_s_image_is_a_module_that_sends(tmp_path: Path) -> None:
    manifest = with_sensor(tmp_path)
    cloud = tmp_path / "workspace" / "simulation" / "cloud.jsonl"
    with simulating(
        tmp_path, str(manifest), "--devices", "0", "--no-ui", "--info", str(tmp_path / "info.json")
    ) as process:
        wait_for_file(tmp_path / "info.json")
        wait_until(lambda: len(cloud.read_text().splitlines()) > 5, "messages of the sensor")
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, stderr
        assert "module edge-1/sensor: running" in stdout
    lines = [json.loads(line) for line in cloud.read_text().splitlines()]
    for line in lines:
        assert (line["module"], line["output"]) == ("sensor", "temperatureOutput")
        assert set(line["body"]) == {"machine", "ambient", "timeCreated"}


def test_two_interrupts_end_at_once(tmp_path: Path) -> None:
    """The first one waits for what is outstanding; the second does not."""
    document = json.loads(with_sensor(tmp_path).read_text())
    hub = document["modulesContent"]["$edgeHub"]["properties.desired"]
    hub["routes"] = {
        "in": 'FROM /messages INTO BrokeredEndpoint("/modules/nobody/inputs/x")',
        "up": "FROM /messages/modules/* INTO $upstream",
    }
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    agent["modules"] = {"nobody": {**SENSOR_MANIFEST, "status": "stopped"}}
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps(document))
    info = tmp_path / "info.json"
    with simulating(tmp_path, str(path), "--no-ui", "--info", str(info), "--drain", "1000", "--rate", "20") as process:
        wait_for_file(info)
        control = Path(wait_for_file(info)["control"])
        wait_until(lambda: snapshot(control).ledger.outstanding > 5, "messages that nobody takes")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: snapshot(control).state == "draining", "draining")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 3
        assert "interrupted before all messages had time to arrive" in stderr
    assert not control.exists()


def test_help_needs_no_simulator(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(
        [EDGEPACK, "simulate", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=DEADLINE_S,
    )
    assert "--scenario" in done.stdout
    assert "simulator.world" not in done.stderr
