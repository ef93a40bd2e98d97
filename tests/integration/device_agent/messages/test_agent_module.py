"""The whole agent as an IoT Edge module: environment, workload socket, edgeHub, twin and direct methods."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from device_agent import __version__
from tests.fakes.fake_iot_hub import HUB_NAME, FakeIotHub
from tests.fakes.fake_workload import FakeWorkload
from tests.integration.device_agent.agent_under_test import Agent, served, wait_until
from tests.integration.device_agent.messages.hub_world import DEVICE, KEY, MODULE, running_hub

SCRIPT = """
import json
def init():
    open("inits", "a").write("x")
def run(data):
    return json.loads(data)
"""


class World(NamedTuple):
    """An edgeHub, the agent that is a module of it, and its folder."""

    hub: FakeIotHub
    agent: Agent
    folder: Path

    def reported(self) -> dict[str, Any]:
        """What the agent has reported."""
        return dict(self.hub.twin(MODULE).reported.get("edgepack", {}))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """All connected. Nothing is set but what IoT Edge sets, and where the buffer is."""
    models = tmp_path / "azureml-models" / "digits" / "3"
    models.mkdir(parents=True)
    with running_hub() as hub, FakeWorkload(tmp_path / "workload.sock", KEY, hub.ca_pem) as workload:
        environment = workload.environment(HUB_NAME, f"localhost:{hub.port}", DEVICE)
        path = str(tmp_path / "buffer.db")
        with served(tmp_path, SCRIPT, EDGEPACK_BUFFER_PATH=path, **environment) as agent:
            agent.wait_log("Connected upstream")
            yield World(hub, agent, tmp_path)


def test_an_input_is_scored_and_acknowledged_and_its_result_carries_what_it_should(world: World) -> None:
    given = {"$.mid": "m 1", "$.cdid": "pump", "site": "a/b"}
    world.hub.send_input(MODULE, "amlInput", b'{"x": 1}', given)
    world.hub.send_input(MODULE, "amlInput", b"no JSON", {"$.mid": "m2"})
    world.hub.wait_for(lambda: len(world.hub.events) == 2 and len(world.hub.acknowledged) == 2, "both are done")
    result, error = world.hub.events
    assert json.loads(result.body) == {"x": 1}
    assert (result.property("$.on"), result.property("$.cid"), result.property("site")) == ("amlOutput", "m 1", "a/b")
    assert (result.property("$.ct"), result.property("$.ce")) == ("application/json", "utf-8")
    assert (error.property("$.on"), error.property("$.cid")) == ("amlError", "m2")
    assert json.loads(error.body)["status"] == 500
    assert result.property("$.mid") not in (None, error.property("$.mid"))


def test_desired_properties_change_settings_and_are_answered_in_the_reported_ones(world: World) -> None:
    world.hub.change_desired(
        MODULE, {"EDGEPACK_OUTPUT": "hot", "EDGEPACK_PRIORITY": 77, "EDGEPACK_LIST_OUTPUT": "each", "threshold": 1}
    )

    def is_answered() -> bool:
        settings = world.reported().get("settings", {})
        return set(settings) == {"EDGEPACK_OUTPUT", "EDGEPACK_PRIORITY", "EDGEPACK_LIST_OUTPUT"}

    world.hub.wait_for(is_answered, "the agent has reported them")
    reported = world.reported()
    assert reported["settings"]["EDGEPACK_OUTPUT"] == {"status": "applied", "value": "hot"}
    assert reported["settings"]["EDGEPACK_PRIORITY"]["status"] == "refused"
    assert "0 to 9" in reported["settings"]["EDGEPACK_PRIORITY"]["reason"]
    assert (reported["version"], reported["state"], reported["models"]) == (__version__, "running", {"digits": "3"})
    world.hub.send_input(MODULE, "amlInput", b"[1, 2]")
    world.hub.wait_for(lambda: len(world.hub.events) == 2, "one message for each element")
    assert [event.property("$.on") for event in world.hub.events] == ["hot", "hot"]
    world.hub.change_desired(MODULE, {"EDGEPACK_OUTPUT": None, "EDGEPACK_LIST_OUTPUT": None})
    world.hub.wait_for(lambda: world.reported()["settings"].keys() == {"EDGEPACK_PRIORITY"}, "they are gone")
    world.hub.send_input(MODULE, "amlInput", b"[1, 2]")
    world.hub.wait_for(lambda: len(world.hub.events) == 3, "one message")
    assert world.hub.events[2].property("$.on") == "amlOutput"


def test_direct_methods(world: World) -> None:
    def call(name: str, payload: object = None) -> tuple[int, Any]:
        return world.hub.call_method(MODULE, name, payload)

    assert call("ping") == (200, {"status": "ok", "version": __version__})
    assert call("score", {"y": [1]}) == (200, {"y": [1]})
    status, stats = call("stats")
    assert (status, stats["state"], stats["buffer"]["messages"]) == (200, "running", 0)
    assert call("flush") == (200, {"restored": 0, "left": 0})
    assert (world.folder / "inits").read_text() == "x"
    assert call("reload") == (200, {"status": "ready"})
    assert (world.folder / "inits").read_text() == "xx"
    assert call("score", 5) == (200, 5)
    assert call("reboot")[0] == 404


def test_a_reload_that_fails_is_told_and_nothing_is_lost_meanwhile(world: World) -> None:
    good = (world.folder / "score.py").read_text()
    (world.folder / "score.py").write_text(good.replace("def init():", "def init():\n    1 / 0"))
    status, answer = world.hub.call_method(MODULE, "reload", None)
    assert status == 500
    assert "division by zero" in answer["message"]
    world.hub.send_input(MODULE, "amlInput", b"1")
    world.hub.wait_for(lambda: "division by zero" in world.reported().get("state", ""), "the state is reported")
    assert world.hub.acknowledged == []
    (world.folder / "score.py").write_text(good)
    world.hub.wait_for(lambda: len(world.hub.events) == 1, "it is scored once the script starts again", 40)
    assert world.hub.events[0].body == b"1"


def test_messages_wait_while_edgehub_is_away_and_keep_their_order_and_ids(world: World) -> None:
    world.hub.send_input(MODULE, "amlInput", b"0")
    world.hub.wait_for(lambda: len(world.hub.events) == 1, "it works")
    world.hub.confirms = False
    for number in range(1, 4):
        world.hub.send_input(MODULE, "amlInput", b"%d" % number)
    world.hub.wait_for(lambda: len(world.hub.acknowledged) == 4, "inputs are acknowledged when they are on disk")
    world.hub.stop()
    world.agent.wait_log("Lost upstream")
    world.hub.confirms = True
    world.hub.start()
    world.hub.wait_for(lambda: {event.body for event in world.hub.events} >= {b"1", b"2", b"3"}, "all are sent")
    ids: dict[bytes, str | None] = {}
    for event in world.hub.events:
        assert ids.setdefault(event.body, event.property("$.mid")) == event.property("$.mid")
    assert list(ids) == [b"0", b"1", b"2", b"3"]


def test_sigterm_ends_it_in_order(world: World) -> None:
    world.agent.stop(signal.SIGTERM)
    assert world.agent.exit_code() == 0
    wait_until(lambda: world.hub.sessions[MODULE].writer is None, "the connection is closed")
    assert world.hub.misdeeds == []
