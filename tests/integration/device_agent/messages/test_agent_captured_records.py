"""Captured records on a real road: after an outage results come first, then all records; too long ones are lost."""

import json
import queue
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.fakes.fake_iot_hub import HUB_NAME
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.agent_under_test import ECHO, Agent, agent_process, served, wait_until
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, MODULE, running_hub
from tests.integration.device_agent.messages.mosquitto_server import MosquittoServer, free_port

COUNT = 20
with_mosquitto = pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")


@contextmanager
def listening(port: int) -> Iterator["queue.SimpleQueue[tuple[str, Any]]"]:
    """Topic and JSON of every result and record that comes, in order."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=mqtt.MQTTv5)
    came: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
    client.on_message = lambda _, __, message: came.put((message.topic, json.loads(message.payload)))
    client.on_subscribe = lambda *_: subscribed.put(None)
    client.on_connect = lambda who, *_: who.subscribe([("out", 1), ("captured", 1)])
    client.connect("127.0.0.1", port)
    client.loop_start()
    subscribed.get(timeout=20)
    try:
        yield came
    finally:
        client.disconnect()
        client.loop_stop()


def settings(folder: Path, port: int, **more: str) -> dict[str, str]:
    """Of an agent that sends what it answers, and what it captures."""
    return {
        "EDGEPACK_TRANSPORT": "mqtt",
        "EDGEPACK_MQTT_URL": f"mqtt://127.0.0.1:{port}",
        "EDGEPACK_INPUT": "in",
        "EDGEPACK_OUTPUT": "out",
        "EDGEPACK_HTTP_FORWARD": "1",
        "EDGEPACK_BUFFER_PATH": str(folder / "buffer.db"),
        "EDGEPACK_DATA_PATH": str(folder / "data"),
        "EDGEPACK_CAPTURE_PERCENT": "100",
        "EDGEPACK_CAPTURE_OUTPUT": "captured",
        **more,
    }


def metric(agent: Agent, name: str) -> float:
    """One figure of /metrics."""
    for line in httpx.get(f"{agent.url}/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no {name}")


def records_on_disk(folder: Path) -> list[dict[str, Any]]:
    """What the folder holds, by age."""
    files = sorted(folder.rglob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


@with_mosquitto
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_after_an_outage_and_an_end_all_results_come_first_and_then_all_records(tmp_path: Path, number: int) -> None:
    port = free_port()
    more = settings(tmp_path, port)
    with served(tmp_path, ECHO, **more) as agent:
        for request in range(COUNT):
            assert agent.post(request).status_code == 200
        if number == signal.SIGKILL:
            wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 2 * COUNT, "both are on disk")
        agent.stop(number)
        assert agent.exit_code() == (0 if number == signal.SIGTERM else -number)
    assert [record["request"] for record in records_on_disk(tmp_path / "data")] == list(range(COUNT))
    (tmp_path / "broker").mkdir()
    with (
        MosquittoServer(tmp_path / "broker", port=port),
        listening(port) as came,
        served(tmp_path, ECHO, **more) as agent,
    ):
        found = [came.get(timeout=20) for _ in range(2 * COUNT)]
        assert [topic for topic, _ in found] == ["out"] * COUNT + ["captured"] * COUNT
        assert [record for _, record in found[COUNT:]] == records_on_disk(tmp_path / "data")
        wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 0, "the buffer is empty")
        assert metric(agent, "edgepack_capture_lost_total") == 0


@with_mosquitto
def test_an_outage_that_fills_the_buffer_costs_records_and_no_result(tmp_path: Path) -> None:
    port = free_port()
    more = settings(tmp_path, port, EDGEPACK_BUFFER_MAX_BYTES="1048576", EDGEPACK_DATA_MAX_BYTES="67108864")
    results = 0
    with served(tmp_path, ECHO, **more) as agent, httpx.Client(base_url=agent.url) as client:
        while client.post("/score", content=b"x" * 5000).status_code == 200:
            results += 1
            assert results < 500
        wait_until(lambda: metric(agent, "edgepack_captured_requests_total") >= results, "all are in the folder")
        assert results > 40
        wait_until(lambda: metric(agent, "edgepack_capture_lost_total") >= results, "all records have given way")
        assert metric(agent, "edgepack_buffer_messages") == results
        assert metric(agent, 'edgepack_messages_dropped_total{reason="full"}') == 0
        assert sum(path.stat().st_size for path in tmp_path.glob("buffer.db*")) <= 1048576
        (tmp_path / "broker").mkdir()
        with MosquittoServer(tmp_path / "broker", port=port), listening(port) as came:
            assert [came.get(timeout=20)[0] for _ in range(results)] == ["out"] * results
            wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 0, "the buffer is empty")
            assert client.post("/score", content=b"again").status_code == 200
            assert sorted(came.get(timeout=20)[0] for _ in range(2)) == ["captured", "out"]


def test_iot_hub_gets_records_on_their_output_and_those_that_are_too_long_are_lost(tmp_path: Path) -> None:
    with running_hub() as hub, FakeWorkload(tmp_path / "workload.sock", KEY, hub.ca_pem) as workload:
        environment = workload.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE)
        more = {
            "EDGEPACK_BUFFER_PATH": str(tmp_path / "buffer.db"),
            "EDGEPACK_DATA_PATH": str(tmp_path / "data"),
            "EDGEPACK_CAPTURE_PERCENT": "100",
            "EDGEPACK_CAPTURE_OUTPUT": "captured",
            "EDGEPACK_CAPTURE_BODY_BYTES": "1000000",
        }
        script = "import json\ndef init(): pass\ndef run(data): return len(data)\n"
        with served(tmp_path, script, **environment, **more) as agent:
            agent.wait_log("Connected upstream")
            hub.send_input(MODULE, "amlInput", b"[1, 2]", {"$.mid": "m1"})
            hub.wait_for(lambda: len(hub.events) == 2, "a result and a record")
            result, record = sorted(hub.events, key=lambda event: event.property("$.on") or "")
            assert (result.property("$.on"), record.property("$.on")) == ("amlOutput", "captured")
            found = json.loads(record.body)
            assert (found["request"], found["response"]) == ([1, 2], 6)
            assert record.property("$.ct") == "application/json"
            assert record.property("$.cid") == found["id"] == result.property("$.mid")
            assert agent.post(b'"' + b"x" * 300_000 + b'"').json() == 300_002
            wait_until(lambda: metric(agent, "edgepack_capture_lost_total") == 1, "it is counted")
            wait_until(lambda: metric(agent, "edgepack_captured_requests_total") == 2, "and in the folder")
            wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 0, "nothing waits any more")
            assert metric(agent, "edgepack_buffer_set_aside") == 0
            assert len(hub.events) == 2


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"EDGEPACK_TRANSPORT": "none", "EDGEPACK_HTTP_FORWARD": "0"}, "EDGEPACK_TRANSPORT is none: there is nobody"),
        ({"EDGEPACK_INPUT": "capt/#", "EDGEPACK_CAPTURE_OUTPUT": "capt/ured"}, "which covers EDGEPACK_CAPTURE_OUTPUT"),
    ],
)
def test_wrong_settings_end_the_agent_with_exit_code_2(tmp_path: Path, more: dict[str, str], told: str) -> None:
    (tmp_path / "score.py").write_text(ECHO)
    with agent_process(tmp_path, "--entry-script", "score.py", **{**settings(tmp_path, 1), **more}) as agent:
        assert agent.exit_code() == 2
        assert told in "\n".join([*agent.output, *agent.errors])
