"""The whole agent between a real broker and HTTP: what happens to messages when things go wrong."""

import json
import queue
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.device_agent.agent_under_test import ECHO, Agent, agent_process, served, wait_until
from tests.integration.device_agent.messages.mosquitto_server import MosquittoServer, free_port

pytestmark = pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")

FAULTY = """
import json, os, time
def init(): pass
def run(data):
    if data == "crash": os._exit(1)
    if data == "hang": time.sleep(60)
    if data == "raise": raise ValueError(data)
    return json.loads(data)
"""


class Cloud:
    """Another client of the broker: sends inputs, and gets what comes of them."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=mqtt.MQTTv5)
        self._came: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        self._client.on_message = lambda _, __, message: self._came.put(message)
        subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_connect = lambda who, *_: who.subscribe([("out", 1), ("amlError", 1), ("status", 1)])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        subscribed.get(timeout=20)

    def send(self, body: bytes | str, **user_properties: str) -> None:
        """An input, confirmed by the broker."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = list(user_properties.items())
        self._client.publish("in", body, 1, properties=properties).wait_for_publish(20)

    def get(self) -> tuple[str, Any]:
        """Topic and JSON of the next message that is no status."""
        while True:
            message = self._came.get(timeout=20)
            if message.topic != "status":
                return message.topic, json.loads(message.payload)

    def status(self) -> dict[str, Any]:
        """The next status."""
        while True:
            message = self._came.get(timeout=20)
            if message.topic == "status":
                return dict(json.loads(message.payload))

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoServer]:
    """A broker that runs."""
    (tmp_path / "broker").mkdir()
    with MosquittoServer(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def cloud(broker: MosquittoServer) -> Iterator[Cloud]:
    """A client of it."""
    client = Cloud(broker.port)
    yield client
    client.close()


def settings(folder: Path, port: int, **more: str) -> dict[str, str]:
    """Of an agent on this broker."""
    return {
        "EDGEPACK_TRANSPORT": "mqtt",
        "EDGEPACK_MQTT_URL": f"mqtt://127.0.0.1:{port}",
        "EDGEPACK_MQTT_STATUS_TOPIC": "status",
        "EDGEPACK_INPUT": "in",
        "EDGEPACK_OUTPUT": "out",
        "EDGEPACK_BUFFER_PATH": str(folder / "buffer.db"),
        **more,
    }


def metric(agent: Agent, name: str) -> float:
    """One figure of /metrics."""
    for line in httpx.get(f"{agent.url}/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no {name}")


def test_faults_of_the_script_give_error_messages_and_are_not_delivered_again(
    tmp_path: Path, broker: MosquittoServer, cloud: Cloud
) -> None:
    with served(tmp_path, FAULTY, SCORING_TIMEOUT_MS="300", **settings(tmp_path, broker.port)) as agent:
        agent.wait_log("Connected upstream")
        bodies: list[str | bytes] = ["crash", "1", "hang", "2", "raise", b"\xff", "3"]
        for number, body in enumerate(bodies):
            cloud.send(body, **{"message-id": f"m{number}"})
        came = [cloud.get() for _ in range(7)]
        assert [body for topic, body in came if topic == "out"] == [1, 2, 3]
        told = [body["message"] for topic, body in came if topic == "amlError"]
        script_error = "An unexpected error occurred in scoring script. Check the logs for more info."
        assert told[:3] == [script_error, "Scoring timeout after 300 ms", script_error]
        assert "cannot be decoded as UTF-8" in told[3]
        assert [topic for topic, _ in came] == ["amlError", "out", "amlError", "out", "amlError", "amlError", "out"]
        wait_until(lambda: metric(agent, "edgepack_messages_sent_total") == 7, "all are confirmed")
        wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 0, "the buffer is empty")
        assert metric(agent, "edgepack_messages_received_total") == 7


def test_results_wait_for_a_broker_that_is_not_there_yet_also_across_a_kill(tmp_path: Path) -> None:
    port = free_port()
    more = settings(tmp_path, port, EDGEPACK_HTTP_FORWARD="1")
    with served(tmp_path, ECHO, **more) as agent:
        assert [agent.post(number).status_code for number in range(3)] == [200] * 3
        wait_until(lambda: metric(agent, "edgepack_buffer_messages") == 3, "they are kept")
        assert metric(agent, "edgepack_upstream_connected") == 0
        agent.stop(signal.SIGKILL)
        assert agent.exit_code() == -signal.SIGKILL
    with served(tmp_path, ECHO, **more) as agent:
        assert agent.post(3).status_code == 200
        (tmp_path / "broker").mkdir()
        with MosquittoServer(tmp_path / "broker", port=port):
            cloud = Cloud(port)
            assert [cloud.get() for _ in range(4)] == [("out", str(number)) for number in range(4)]
            cloud.close()


def test_a_full_buffer_refuses_http_with_503_and_leaves_inputs_with_the_broker(
    tmp_path: Path, broker: MosquittoServer, cloud: Cloud
) -> None:
    more = settings(
        tmp_path, broker.port, EDGEPACK_HTTP_FORWARD="1", EDGEPACK_BUFFER_MAX_BYTES="1048576", EDGEPACK_KEEP_ALIVE_S="1"
    )
    with served(tmp_path, ECHO, **more) as agent:
        agent.wait_log("Connected upstream")
        broker.freeze()
        body = b"x" * 20_000
        statuses: list[int] = []
        while 503 not in statuses and len(statuses) < 200:
            answer = agent.post(body)
            statuses.append(answer.status_code)
        kept = statuses.count(200)
        assert statuses == [200] * kept + [503]
        assert (answer.headers["retry-after"], kept > 10) == ("1", True)
        assert "The buffer is full" in answer.json()["message"]
        assert sum(path.stat().st_size for path in tmp_path.glob("buffer.db*")) <= 1048576
        assert httpx.get(f"{agent.url}/readyz").status_code == 200
        broker.thaw()
        assert [cloud.get()[0] for _ in range(kept)] == ["out"] * kept
        wait_until(lambda: agent.post(body).status_code == 200, "there is room again")


def test_the_oldest_are_dropped_and_counted_where_that_is_wanted(tmp_path: Path) -> None:
    more = settings(
        tmp_path,
        free_port(),
        EDGEPACK_HTTP_FORWARD="1",
        EDGEPACK_BUFFER_MAX_BYTES="1048576",
        EDGEPACK_BUFFER_POLICY="drop_oldest",
    )
    with served(tmp_path, ECHO, **more) as agent:
        assert {agent.post(b"%06d" % number + b"x" * 20_000).status_code for number in range(100)} == {200}

        def accounted() -> bool:
            dropped = metric(agent, 'edgepack_messages_dropped_total{reason="full"}')
            return dropped > 10 and dropped + metric(agent, "edgepack_buffer_messages") == 100

        wait_until(accounted, "every message is kept or counted")
        agent.wait_log("the oldest messages are dropped")


def test_messages_that_are_too_old_are_not_sent_and_counted(tmp_path: Path) -> None:
    port = free_port()
    with served(
        tmp_path, ECHO, **settings(tmp_path, port, EDGEPACK_HTTP_FORWARD="1", EDGEPACK_MESSAGE_TTL_S="1")
    ) as agent:
        assert agent.post("old").status_code == 200
        wait_until(lambda: metric(agent, 'edgepack_messages_dropped_total{reason="expired"}') == 1, "it is too old")
        (tmp_path / "broker").mkdir()
        with MosquittoServer(tmp_path / "broker", port=port):
            cloud = Cloud(port)
            agent.wait_log("Connected upstream")
            assert agent.post("new").status_code == 200
            assert cloud.get() == ("out", '"new"')
            cloud.close()


def test_a_frozen_broker_does_not_hold_up_probes_and_is_noticed(
    tmp_path: Path, broker: MosquittoServer, cloud: Cloud
) -> None:
    with served(tmp_path, ECHO, **settings(tmp_path, broker.port, EDGEPACK_KEEP_ALIVE_S="1")) as agent:
        agent.wait_log("Connected upstream")
        cloud.send("before")
        assert cloud.get() == ("out", "before")
        broker.freeze()
        agent.wait_log("Lost upstream")
        assert httpx.get(f"{agent.url}/livez", timeout=1).status_code == 200
        broker.thaw()
        wait_until(lambda: agent.log.count("Connected upstream") == 2, "it is back")
        cloud.send("after")
        assert cloud.get() == ("out", "after")


def test_an_orderly_end_says_so_and_a_kill_leaves_the_last_will(
    tmp_path: Path, broker: MosquittoServer, cloud: Cloud
) -> None:
    more = settings(tmp_path, broker.port, EDGEPACK_KEEP_ALIVE_S="1")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with served(tmp_path, ECHO, **more) as agent:
            while (status := cloud.status()).get("script") != "running":
                pass
            assert (status["state"], status["buffer"]["messages"]) == ("online", 0)
            cloud.send("1")
            assert cloud.get() == ("out", "1")
            agent.stop(number)
            assert agent.exit_code() == (0 if number == signal.SIGTERM else -number)
        while cloud.status()["state"] != "offline":
            pass


def test_what_is_under_way_is_finished_at_the_end(tmp_path: Path, broker: MosquittoServer, cloud: Cloud) -> None:
    slow = """
import time
def init(): pass
def run(data):
    open('begun', 'w').close()
    time.sleep(0.5)
    return data
"""
    with served(tmp_path, slow, **settings(tmp_path, broker.port)) as agent:
        agent.wait_log("Connected upstream")
        cloud.send("last")
        wait_until((tmp_path / "begun").exists, "it is being scored")
        agent.stop()
        assert agent.exit_code() == 0
        assert cloud.get() == ("out", "last")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"EDGEPACK_MQTT_URL": "http://x"}, "EDGEPACK_MQTT_URL is not mqtt[s]://"),
        ({"EDGEPACK_BUFFER_PATH": "/nowhere/at/all/buffer.db"}, "/nowhere/at/all"),
        ({"EDGEPACK_BUFFER_PATH": "score.py"}, "score.py"),
        ({"EDGEPACK_TRANSPORT": "edgehub", "EDGEPACK_CONNECTION_STRING": "HostName=h"}, "DeviceId"),
        ({"EDGEPACK_INPUT": "a/#/b"}, "EDGEPACK_INPUT"),
    ],
)
def test_wrong_settings_are_told_and_end_the_agent_with_exit_code_2(
    tmp_path: Path, more: dict[str, str], told: str
) -> None:
    (tmp_path / "score.py").write_text(ECHO)
    with agent_process(tmp_path, "--entry-script", "score.py", **{**settings(tmp_path, 1), **more}) as agent:
        assert agent.exit_code() == 2
        everything = "\n".join([*agent.output, *agent.errors])
        assert told in everything
        assert "Traceback" not in everything


def test_two_agents_do_not_share_a_buffer(tmp_path: Path, broker: MosquittoServer) -> None:
    with served(tmp_path, ECHO, **settings(tmp_path, broker.port)) as first:
        first.wait_log("Connected upstream")
        with agent_process(tmp_path, "--entry-script", "score.py", **settings(tmp_path, broker.port)) as second:
            assert second.exit_code() == 2
            assert "buffer.db" in "\n".join(second.errors)


def test_secrets_are_not_in_the_log(tmp_path: Path) -> None:
    url = f"mqtt://user:s3cret-pass@127.0.0.1:{free_port()}"
    with served(tmp_path, ECHO, **settings(tmp_path, 1, EDGEPACK_MQTT_URL=url, AZUREML_LOG_LEVEL="DEBUG")) as agent:
        agent.wait_log("Not connected upstream")
        assert "s3cret" not in agent.log


def test_a_broker_that_sends_without_waiting_does_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    slow = "import time\ndef init(): pass\ndef run(data): time.sleep(60)\n"
    with MosquittoServer(tmp_path / "broker", ["max_inflight_messages 0"]) as broker:
        more = settings(tmp_path, broker.port, EDGEPACK_MQTT_VERSION="3.1.1", EDGEPACK_DRAIN_S="0")
        with served(tmp_path, slow, **more) as agent:
            agent.wait_log("Connected upstream")
            cloud = Cloud(broker.port)
            for _ in range(70):
                cloud.send(b"x" * 1_000_000)
            agent.wait_log("inputs were sent without waiting for an acknowledgement")
            assert httpx.get(f"{agent.url}/livez").status_code == 200
            cloud.close()


@pytest.mark.parametrize("state", ["frozen", "away"])
def test_it_ends_in_time_whatever_the_broker_does(tmp_path: Path, broker: MosquittoServer, state: str) -> None:
    with served(tmp_path, ECHO, **settings(tmp_path, broker.port, EDGEPACK_HTTP_FORWARD="1")) as agent:
        agent.wait_log("Connected upstream")
        if state == "frozen":
            broker.freeze()
        else:
            broker.stop()
        assert agent.post(1).status_code == 200
        agent.stop()
        assert agent.exit_code(10) == 0
        broker.thaw()
