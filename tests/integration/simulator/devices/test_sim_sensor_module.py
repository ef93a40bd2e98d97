"""The sensor as a module of an edge device, as a process, against edgeHub and a security daemon."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.fake_iot_hub import HUB_NAME, FakeIotHub
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.simulator.devices.fleet_under_test import KEY, ROOT

MODULE = "edge-1/tempSensor"


@contextmanager
def running(environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The module as a process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IOTEDGE_", "EDGEPACK_", "Edge"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator.devices.sensor_module"],
            env={**kept, **environment},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def edge(folder: Path) -> Iterator[tuple[FakeIotHub, dict[str, str]]]:
    """edgeHub, and the environment of the module."""
    with (
        FakeIotHub({MODULE: KEY}) as hub,
        FakeWorkload(folder / "workload.sock", KEY, hub.ca_pem, "tempSensor") as workload,
    ):
        yield hub, workload.environment(HUB_NAME, f"localhost:{hub.port}", "edge-1")


def test_it_sends_on_its_output_and_obeys(tmp_path: Path) -> None:
    with edge(tmp_path) as (hub, environment):
        variables = {**environment, "MessageDelay": "00:00:00.05", "MessageCount": "-1", "machineTempMin": "50"}
        with running(variables, tmp_path / "log") as process:
            hub.wait_for(lambda: len(hub.events) > 20, "messages")
            assert hub.call_method(MODULE, "reset", None) == (200, {})
            hub.send_input(MODULE, "control", b'[{"command": "reset"}]')
            hub.wait_for(lambda: hub.acknowledged, "the command taken")
            hub.change_desired(MODULE, {"SendInterval": 0.01})
            hub.wait_for(lambda: {"SendInterval": 0.01} in hub.patches, "what is reported")
            hub.drop(MODULE)
            count = len(hub.events)
            hub.wait_for(lambda: len(hub.events) > count + 20, "messages after a lost connection")
            process.terminate()
            assert process.wait(20) == 0
        first = hub.events[0]
        assert [name for name, _ in first.properties[:4]] == ["$.on", "$.mid", "$.ct", "$.ce"]
        assert first.property("$.on") == "temperatureOutput"
        assert 49 < json.loads(first.body)["machine"]["temperature"] < 52
        ids = list(dict.fromkeys(event.property("$.mid") or "" for event in hub.events))
        assert ids == sorted(ids)
        assert ids[0].startswith("tempSensor-")
        numbers = sorted({int(event.property("sequenceNumber") or 0) for event in hub.events})
        assert numbers == list(range(1, len(numbers) + 1))
        assert not hub.refusals
    assert "Connected" in (tmp_path / "log").read_text()


def test_it_stops_after_its_count_and_stays(tmp_path: Path) -> None:
    with edge(tmp_path) as (hub, environment):
        variables = {**environment, "MessageDelay": "00:00:00.01", "MessageCount": "3"}
        with running(variables, tmp_path / "log") as process:
            hub.wait_for(lambda: len(hub.events) == 3, "three messages")
            assert hub.call_method(MODULE, "reset", None) == (200, {})
            assert process.poll() is None
        assert len(hub.events) == 3


def test_a_wrong_environment_is_told_at_once(tmp_path: Path) -> None:
    variables = {"MessageDelay": "soon", "MessageCount": "many", "ambientTemp": "warm"}
    with running(variables, tmp_path / "log") as process:
        assert process.wait(30) == 2
    log = (tmp_path / "log").read_text()
    for word in ("MessageDelay", "MessageCount", "ambientTemp", "Nothing says which device or module this is"):
        assert word in log
