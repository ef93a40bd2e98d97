"""A fleet on Locust: one master, two workers, and counts that agree on both sides."""

import base64
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.device_agent.messages.mosquitto_server import MosquittoServer, free_port
from tests.integration.simulator.devices.fleet_under_test import KEY, ROOT, PubackServer

# it is never imported here: that changes the sockets of the whole process
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="needs the extra fleet")
LOCUST = [sys.executable, "-m", "locust", "-f", str(ROOT / "simulator" / "locustfile.py"), "--headless"]
RUN = ["--users", "12", "--spawn-rate", "12", "--run-time", "4s", "--stop-timeout", "10"]


def run_locust(folder: Path, *arguments: str, workers: int = 0) -> tuple[int, str, dict[str, dict[str, int]]]:
    """Run it; the exit code, the log, and the rows of its table by name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "EDGEPACK_"))}
    port = str(free_port())
    started = [
        subprocess.Popen(
            [*LOCUST, "--worker", "--master-host", "127.0.0.1", "--master-port", port],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        for _ in range(workers)
    ]
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port] if workers else []
    waits = ["--expect-workers", str(workers), "--expect-workers-max-wait", "60"] if workers else []
    try:
        done = subprocess.run(
            [*LOCUST, *master, *waits, *RUN, "--json-file", str(folder / "table"), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        for process in started:
            process.wait(30)
    finally:
        for process in started:
            process.kill()
            process.wait()
    table = folder / "table.json"
    rows = {row["name"]: row for row in json.loads(table.read_text())} if table.exists() else {}
    return done.returncode, done.stderr, rows


def write_devices(path: Path, port: int, count: int) -> Path:
    """A file of connection strings."""
    key = base64.b64encode(KEY).decode()
    lines = [
        f"HostName=hub.test;DeviceId=d-{number};SharedAccessKey={key};GatewayHostName=localhost:{port}\n"
        for number in range(count)
    ]
    path.write_text("# devices of a test\n\n" + "".join(lines))
    return path


def test_two_workers_share_a_fleet_and_counts_agree(tmp_path: Path) -> None:
    with PubackServer(tmp_path) as server:
        devices = write_devices(tmp_path / "devices.txt", server.port, 12)
        fleet = ["--fleet-devices", str(devices), "--fleet-ca", str(server.ca_file), "--fleet-rate", "20"]
        code, log, rows = run_locust(tmp_path, *fleet, "--fleet-body-bytes", "200", workers=2)
        counted = server.counted()
    assert code == 0, log
    assert "2 workers connected" in log
    assert rows["connect"]["num_requests"] == counted["connects"] == 12
    assert counted["most_open"] == 12
    assert counted["repeats"] == 0
    assert rows["publish"]["num_requests"] == counted["publishes"] > 100
    assert counted["body_bytes"] == 200 * counted["publishes"]
    assert [row["num_failures"] for row in rows.values()] == [0, 0]


def test_more_users_than_devices_is_told(tmp_path: Path) -> None:
    with PubackServer(tmp_path) as server:
        devices = write_devices(tmp_path / "devices.txt", server.port, 5)
        code, log, rows = run_locust(tmp_path, "--fleet-devices", str(devices), "--fleet-ca", str(server.ca_file))
        assert server.counted()["connects"] == 5
    assert code == 1
    assert "there are more users than devices" in log
    assert rows["connect"]["num_failures"] == 7


@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")
def test_any_broker(tmp_path: Path) -> None:
    with MosquittoServer(tmp_path) as broker:
        host = f"mqtt://127.0.0.1:{broker.port}"
        code, log, rows = run_locust(tmp_path, "--fleet-topic", "f/{device_id}", "--host", host, "--fleet-rate", "10")
        received = broker.log.read_text().count("Received PUBLISH from device-0-")
    assert code == 0, log
    assert rows["publish"]["num_requests"] == received > 50
    assert rows["connect"]["num_requests"] == 12


def test_wrong_arguments_are_told_at_once(tmp_path: Path) -> None:
    code, log, _ = run_locust(tmp_path, "--fleet-topic", "f/#", "--fleet-qos", "2")
    assert code == 2
    for word in ("--fleet-topic", "--fleet-qos", "--host"):
        assert word in log
