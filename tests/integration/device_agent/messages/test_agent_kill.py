"""The promise under fire: the agent killed, the broker restarted and the cable pulled at random moments.

Twenty thousand numbered messages of four senders; device and broker are hosts of their own. At the end every message
has come, each sender's in order, repetitions under the id of the first time, and no more of them than were under way.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.device_agent.agent_under_test import ROOT, wait_until
from tests.integration.device_agent.messages import namespaces
from tests.integration.device_agent.messages.namespaces import CLOUD_ADDRESS, Hosts

SCRIPT = "import json\ndef init(): pass\ndef run(data): return json.loads(data)\n"
BROKER = """
listener {port}
allow_anonymous true
user root
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 50
set_tcp_nodelay true
"""
PORT = 1883
SENDERS = 4
WINDOW = 50
UNDER_WAY = WINDOW + 50
"""Sent and not confirmed, and received and not acknowledged."""


class Place:
    """The device and the broker, and the faults that can befall them."""

    def __init__(self, both: Hosts, folder: Path) -> None:
        self._hosts = both
        self._folder = folder
        self._environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.agent: subprocess.Popen[bytes] | None = None
        self.broker: subprocess.Popen[bytes] | None = None
        (folder / "score.py").write_text(SCRIPT)
        (folder / "broker").mkdir()
        (folder / "broker" / "mosquitto.conf").write_text(BROKER.format(port=PORT, folder=folder / "broker"))

    def start_agent(self) -> None:
        """Start it."""
        self.agent = self._start(
            "agent.log",
            self._hosts.on_device(sys.executable, "-m", "device_agent", "--entry-script", "score.py"),
            cwd=self._folder,
            env={
                **self._environment,
                "PYTHONPATH": str(ROOT),
                "EDGEPACK_HTTP": "127.0.0.1:0",
                "EDGEPACK_TRANSPORT": "mqtt",
                "EDGEPACK_MQTT_URL": f"mqtt://{CLOUD_ADDRESS}:{PORT}",
                "EDGEPACK_MQTT_VERSION": "5",
                "EDGEPACK_INPUT": "in",
                "EDGEPACK_OUTPUT": "out",
                "EDGEPACK_KEEP_ALIVE_S": "2",
                "EDGEPACK_WINDOW": str(WINDOW),
                "EDGEPACK_BUFFER_PATH": str(self._folder / "buffer.db"),
            },
        )

    def _start(self, log: str, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        with (self._folder / log).open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)

    def kill_agent(self) -> None:
        """kill -9, then start it again."""
        self.end(self.agent, signal.SIGKILL)
        self.start_agent()

    def start_broker(self) -> None:
        """Start it, and wait until it listens."""
        config = self._folder / "broker" / "mosquitto.conf"
        self.broker = self._start("broker.log", self._hosts.on_cloud("mosquitto", "-c", str(config)))
        check = self._hosts.on_cloud("mosquitto_pub", "-p", str(PORT), "-t", "hello", "-n")
        wait_until(
            lambda: subprocess.run(check, capture_output=True, check=False).returncode == 0, "the broker listens"
        )

    def restart_broker(self) -> None:
        """End it in order, so that it saves its sessions, and start it again."""
        self.end(self.broker, signal.SIGTERM)
        self.start_broker()

    def cut(self, seconds: float) -> None:
        """Pull the cable for so long."""
        self._hosts.pull_cable()
        pause(seconds)
        self._hosts.plug_in()

    @staticmethod
    def end(process: "subprocess.Popen[bytes] | None", number: int) -> None:
        """Send a signal to the process, and wait for its end. `ip netns exec` has become the process itself."""
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(30)


def pause(seconds: float) -> None:
    """Time between two faults: it is what the test is about."""
    threading.Event().wait(seconds)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Two hosts with a broker and an agent."""
    if reason := namespaces.why_not():
        pytest.skip(reason)
    with namespaces.hosts() as both:
        made = Place(both, tmp_path)
        try:
            made.start_broker()
            made.start_agent()
            log = tmp_path / "agent.log"
            wait_until(lambda: "Connected upstream" in log.read_text(), "the agent has a session at the broker")
            yield made
        finally:
            for process in (made.agent, made.broker):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    Place.end(process, signal.SIGTERM)
                Place.end(process, signal.SIGKILL)


def faults(chance: random.Random, kills: int, restarts: int, cuts: int) -> list[str]:
    """All of them in any order."""
    planned = ["kill"] * kills + ["restart"] * restarts + ["cut"] * cuts
    chance.shuffle(planned)
    return planned


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("messages", "per_s", "kills", "restarts", "cuts"),
    [
        pytest.param(1_000, 200.0, 5, 1, 1, id="short"),
        pytest.param(20_000, 200.0, 50, 10, 10, id="long"),
    ],
)
def test_nothing_is_lost(
    place: Place, tmp_path: Path, messages: int, per_s: float, kills: int, restarts: int, cuts: int
) -> None:
    chance = random.Random(messages)  # noqa: S311 - the same faults every time
    report = tmp_path / "report.json"
    command = [sys.executable, str(Path(__file__).with_name("traffic.py")), str(PORT), str(SENDERS)]
    command += [str(messages // SENDERS), str(per_s), str(report)]
    with (tmp_path / "traffic.log").open("wb") as log:
        traffic = subprocess.Popen(place._hosts.on_cloud(*command), stdout=log, stderr=subprocess.STDOUT)
        try:
            planned = faults(chance, kills, restarts, cuts)
            end_s = time.monotonic() + messages / per_s
            for number, fault in enumerate(planned):
                left_s = end_s - time.monotonic()
                pause(chance.uniform(0.0, max(0.2, 2.0 * left_s / (len(planned) - number))))
                if fault == "kill":
                    place.kill_agent()
                elif fault == "restart":
                    place.restart_broker()
                else:
                    place.cut(chance.choice((0.3, 4.0)))
            assert traffic.wait(400) == 0, (tmp_path / "traffic.log").read_text()[-2000:]
        finally:
            Place.end(traffic, signal.SIGKILL)
    found = json.loads(report.read_text())
    assert found["others"] == []
    repeated = 0
    for sender, results in found["came"].items():
        first_ids: dict[int, str] = {}
        for result, message_id in results:
            known = first_ids.setdefault(result, message_id)
            assert known == message_id, f"{sender} {result} came under two ids"
        assert list(first_ids) == list(range(messages // SENDERS)), f"{sender}: something is lost, or out of order"
        repeated += len(results) - len(first_ids)
    assert repeated <= (kills + restarts + cuts) * UNDER_WAY
    print(f"{messages} messages, {repeated} repetitions after {kills} kills, {restarts} restarts, {cuts} cuts")
