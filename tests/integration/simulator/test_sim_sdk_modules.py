"""Modules with the unmodified SDK: identity from the edge environment, outputs to inputs and to the cloud, inputs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient
from azure.iot.device import aio as sdk_aio

from tests.integration.simulator.paho_peer import paho_peer
from tests.integration.simulator.sdk_world import (
    GATEWAY,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SINK,
    SimulationUnderTest,
    running_simulation,
    sdk_message,
    until,
)

pytestmark = SDK_WARNINGS
INPUTS = f"devices/{GATEWAY}/modules/scorer/inputs/#"


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_module_finds_itself_in_the_edge_environment(
    sim: SimulationUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, sim.environment("scorer"))
    client: Any = IoTHubModuleClient.create_from_edge_environment()
    try:
        inputs: list[Any] = []
        client.connect()
        client.on_message_received = inputs.append
        client.send_message_to_output(sdk_message("1"), "up")
        assert sim.until_arrived(1)[0].value("$.on") == "up"
        sim.put_input("scorer", "in", b"2", {})
        until(lambda: inputs, "an input")
        assert client.get_twin()["desired"]["threshold"] == 1
    finally:
        client.shutdown()


def test_an_asynchronous_module_finds_itself_in_the_edge_environment(
    sim: SimulationUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        client: Any = sdk_aio.IoTHubModuleClient.create_from_edge_environment()
        inputs: list[Any] = []

        async def received(message: Any) -> None:
            inputs.append(message)
            await client.send_message_to_output(sdk_message(message.data), "up")

        await client.connect()
        client.on_message_received = received
        await asyncio.to_thread(sim.put_input, "scorer", "in", b"2", {"$.mid": "m 1"})
        await asyncio.to_thread(sim.until_arrived, 1)
        assert inputs[0].message_id == "m 1"
        assert (await client.get_twin())["desired"]["threshold"] == 1
        await client.shutdown()

    set_environment(monkeypatch, sim.environment("scorer"))
    asyncio.run(story())
    assert sim.bodies() == [2]


def test_the_variables_for_debugging_on_a_desk_let_a_module_in(
    sim: SimulationUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "authority.pem").write_text(sim.ca_pem)
    monkeypatch.setenv("EdgeHubConnectionString", sim.connection_string(SCORER))
    monkeypatch.setenv("EdgeModuleCACertificateFile", str(tmp_path / "authority.pem"))
    client: Any = IoTHubModuleClient.create_from_edge_environment()
    try:
        client.send_message_to_output(sdk_message("1"), "up")
        sim.until_arrived(1)
    finally:
        client.shutdown()


def test_a_message_goes_from_a_leaf_through_two_modules_to_the_cloud(sim: SimulationUnderTest) -> None:
    with sim.client(SCORER) as scorer, sim.client(SINK) as sink, sim.client(LEAF) as leaf:
        ends: list[Any] = []
        seen: list[Any] = []

        def score(message: Any) -> None:
            seen.append(message)
            scored = sdk_message(message.data + b"!")
            scored.correlation_id = message.message_id
            scored.custom_properties = {"score": "0.5 %", **message.custom_properties}
            scorer.send_message_to_output(scored, "chain")
            scorer.send_message_to_output(sdk_message(b'"to the cloud"'), "up")
            scorer.send_message_to_output(sdk_message(b'"to nobody"'), "nowhere")

        scorer.on_message_received = score
        sink.on_message_received = ends.append
        sent = sdk_message("21", message_id="m1", content_type="application/json", content_encoding="utf-8")
        sent.correlation_id, sent.user_id = "c1", "u1"
        sent.custom_properties["kind"] = "température"
        leaf.send_message(sent)
        until(lambda: ends, "the message at the sink")
        sim.until_arrived(1)
    (at_scorer,), (at_sink,) = seen, ends
    assert at_scorer.input_name == "in"
    assert (at_scorer.message_id, at_scorer.correlation_id, at_scorer.user_id) == ("m1", "c1", "u1")
    assert (at_scorer.content_type, at_scorer.content_encoding) == ("application/json", "utf-8")
    assert at_scorer.custom_properties == {"kind": "température", "$.cdid": LEAF}
    assert at_sink.input_name == "from_scorer"
    assert (at_sink.data, at_sink.correlation_id) == (b"21!", "m1")
    assert at_sink.output_name is None, "the name of the output is not handed on"
    assert at_sink.custom_properties["$.cdid"] == GATEWAY
    assert at_sink.custom_properties["$.cmid"] == "scorer"
    assert at_sink.custom_properties["score"] == "0.5 %"
    assert sim.bodies() == ["to the cloud"]


def until_inputs(client: Any, count: int) -> list[bytes]:
    """The bodies of so many inputs, sorted: the SDK runs four handlers at a time."""
    bodies: list[bytes] = []
    client.on_message_received = lambda message: bodies.append(message.data)
    until(lambda: len(bodies) >= count, f"{count} inputs")
    return sorted(bodies)


def test_inputs_come_whatever_their_size(sim: SimulationUnderTest) -> None:
    bodies = [b"%d" % number for number in range(60)] + [b"", bytes(range(256)) * 800, "ü".encode()]
    with sim.client(SCORER) as client:
        for body in bodies:
            sim.put_input("scorer", "in", body, {"n": "1"})
        assert until_inputs(client, len(bodies)) == sorted(bodies)


def test_inputs_wait_for_a_module_that_is_not_there(sim: SimulationUnderTest) -> None:
    for number in range(5):
        sim.put_input("scorer", "in", b"%d" % number, {})
    with sim.client(SCORER) as client:
        assert until_inputs(client, 5) == [b"%d" % number for number in range(5)]


def under_way(sim: SimulationUnderTest) -> int:
    """How many inputs have been sent to the scorer and not acknowledged."""
    return sim.call(lambda: len(sim.world.gateways[GATEWAY].edge_hub.broker.clients[SCORER].in_flight))


def test_a_module_gets_one_input_at_a_time_over_all_its_inputs(sim: SimulationUnderTest) -> None:
    for number in range(4):
        sim.put_input("scorer", ("in", "other")[number % 2], b"%d" % number, {})
    with paho_peer(sim, SCORER) as peer:
        peer.subscribe(INPUTS)
        for number in range(4):
            message = peer.until_messages(number + 1)[number]
            assert len(peer.messages) == number + 1, "the next one comes after the acknowledgement"
            assert under_way(sim) == 1
            assert message.payload == b"%d" % number
            assert message.topic.split("/")[5] == ("in", "other")[number % 2]
            peer.acknowledge(message)


def test_an_input_that_was_not_acknowledged_comes_again_marked_as_such(sim: SimulationUnderTest) -> None:
    for number in range(2):
        sim.put_input("scorer", "in", b"%d" % number, {"$.mid": f"m{number}"})
    with paho_peer(sim, SCORER) as peer:
        peer.subscribe(INPUTS)
        first = peer.until_messages(1)[0]
        assert not first.dup
        peer.tear()
    with paho_peer(sim, SCORER) as peer:
        assert peer.has_session
        again = peer.until_messages(1)[0]
        assert (again.payload, again.mid, again.topic, again.dup) == (first.payload, first.mid, first.topic, True)
        peer.acknowledge(again)
        assert peer.until_messages(2)[1].payload == b"1"


def test_a_module_that_is_made_anew_gets_what_waits(sim: SimulationUnderTest) -> None:
    """Its identity was removed while an input was under way to it."""
    sim.put_input("scorer", "in", b"1", {})
    with paho_peer(sim, SCORER) as peer:
        peer.subscribe(INPUTS)
        peer.until_messages(1)
        sim.call(sim.world.registry.remove, SCORER)
        peer.until_over()
    sim.call(sim.world.registry.add_module, GATEWAY, "scorer")
    with sim.client(SCORER) as client:
        assert until_inputs(client, 1) == [b"1"]
