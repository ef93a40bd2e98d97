"""The transport `mqtt` against mosquitto: status, sessions, subscriptions, properties."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent.messages.message import Message
from device_agent.messages.transport import Loss
from tests.integration.device_agent.messages.mqtt_world import MqttWorld, Peer
from tests.integration.device_agent.messages.transport_contract import Recorder, on_loop, until

STATUS = "edgepack/agent-1/status"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MqttWorld]:
    world = MqttWorld(tmp_path, "5")
    yield world
    world.close()


def states(peer: Peer) -> list[str]:
    """What the status topic said so far."""
    return [json.loads(body)["state"] for body in peer.under(STATUS)]


@on_loop
async def test_the_status_is_retained_and_says_what_was_reported(world: MqttWorld) -> None:
    recorder = Recorder(world.transport())
    recorder.transport.report({"version": "1"})
    await recorder.connect()
    recorder.transport.report({"version": "2", "state": "busy"})
    await until(lambda: len(world.peer.under(STATUS)) == 2, "the status")
    assert [json.loads(body) for body in world.peer.under(STATUS)] == [
        {"state": "online", "version": "1"},
        {"state": "online", "version": "2"},
    ]
    await recorder.transport.close()
    await until(lambda: states(world.peer)[-1] == "offline", "the goodbye")
    late = Peer(world.server.port, "late")
    try:
        await until(lambda: late.under(STATUS), "the retained status")
        assert states(late) == ["offline"]
    finally:
        late.close()


@on_loop
async def test_the_last_will_says_offline_after_a_cut_but_not_after_a_planned_end(world: MqttWorld) -> None:
    recorder = Recorder(world.transport())
    await recorder.connect()
    recorder.disconnect(Loss.PLANNED, "a new certificate")
    await recorder.lost()
    await recorder.reconnect()
    await until(lambda: len(states(world.peer)) == 2, "the status")
    world.cut()
    await until(lambda: len(states(world.peer)) == 3, "the will")
    assert states(world.peer) == ["online", "online", "offline"]
    await recorder.transport.close()


@on_loop
async def test_messages_of_an_older_subscription_are_dropped_and_do_not_come_again(
    world: MqttWorld, caplog: pytest.LogCaptureFixture
) -> None:
    before = Recorder(world.transport(input_name="old/#"))
    await before.connect()
    await before.transport.close()
    world.peer.send("old/1", b"for the old one")
    world.peer.send("old/1", b"for the old one")
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        recorder = Recorder(world.transport(), acknowledges=True)
        await recorder.connect()
        world.inject(b"mine")
        await until(lambda recorder=recorder: recorder.inputs, "the input")  # type: ignore[misc]
        assert [received.body for received in recorder.inputs] == [b"mine"]
        await recorder.transport.close()
    warnings = [record for record in caplog.records if "old/1" in record.message]
    assert len(warnings) == 1, "once for a topic, and not again after it was acknowledged"


@on_loop
async def test_qos_2_is_confirmed_when_it_is_acknowledged(world: MqttWorld) -> None:
    """An older agent, or somebody by hand, may have subscribed this session with QoS 2."""
    transport = world.transport()
    recorder = Recorder(transport)
    await recorder.connect()
    connection = transport._connection
    assert connection is not None
    connection.subscribe([("in", 2)])
    world.peer.send("in", b"first", qos=2)
    await until(lambda: recorder.inputs, "the input")
    world.cut()
    await recorder.lost()
    recorder.inputs.clear()
    await recorder.reconnect()
    await until(lambda: recorder.inputs, "redelivery")
    assert recorder.inputs[0].redelivered
    recorder.acknowledge(recorder.inputs[0])
    recorder.publish(1, b"behind it")
    await until(lambda: recorder.confirmed, "a confirmation")
    world.cut()
    await recorder.lost()
    recorder.inputs.clear()
    await recorder.reconnect()
    world.inject(b"second")
    await until(lambda: recorder.inputs, "the second input")
    assert [received.body for received in recorder.inputs] == [b"second"]
    await recorder.transport.close()


@on_loop
async def test_qos_0_needs_no_acknowledgement(world: MqttWorld) -> None:
    recorder = Recorder(world.transport(), acknowledges=True)
    await recorder.connect()
    world.peer.send("in", b"whatever", qos=0)
    world.peer.send("in", b"whatever", qos=0)
    await until(lambda: len(recorder.inputs) == 2, "the inputs")
    assert [received.origin for received in recorder.inputs] == [b"", b""]
    await recorder.transport.close()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@on_loop
async def test_a_retained_input_does_not_come_again_with_every_connection(world: MqttWorld, version: str) -> None:
    world.version = version
    world.peer.send("in", b"retained", retain=True)
    recorder = Recorder(world.transport(), acknowledges=True)
    await recorder.connect()
    await until(lambda: recorder.inputs, "the retained input")
    recorder.publish(1, b"behind the acknowledgement")
    await until(lambda: recorder.confirmed, "a confirmation")
    world.cut()
    await recorder.lost()
    await recorder.reconnect()
    world.inject(b"next")
    await until(lambda: len(recorder.inputs) > 1, "the next input")
    assert [received.body for received in recorder.inputs] == [b"retained", b"next"]
    await recorder.transport.close()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@on_loop
async def test_a_shared_subscription_spreads_inputs(world: MqttWorld, version: str) -> None:
    world.version = version
    first = Recorder(world.transport(input_name="$share/group/in/+", client_id="agent-1"), acknowledges=True)
    second = Recorder(world.transport(input_name="$share/group/in/+", client_id="agent-2"), acknowledges=True)
    await first.connect()
    await second.connect()
    for number in range(20):
        world.peer.send(f"in/{number}", b"%d" % number)
    await until(lambda: len(first.inputs) + len(second.inputs) == 20, "inputs")
    assert first.inputs
    assert second.inputs
    await first.transport.close()
    await second.transport.close()


@on_loop
async def test_properties_of_version_5_as_other_clients_see_them(world: MqttWorld) -> None:
    recorder = Recorder(world.transport(), acknowledges=True)
    await recorder.connect()
    recorder.transport.publish(
        1, Message(b"\x00\x01", "out", "id-1", "was-1", (("a", "1"),), "application/octet-stream", "", ttl_s=90)
    )
    await until(lambda: world.peer.under("out"), "the message")
    message = next(message for message in world.peer.messages if message.topic == "out")
    properties: Any = message.properties
    assert properties.UserProperty == [("message-id", "id-1"), ("correlation-id", "was-1"), ("a", "1")]
    assert properties.CorrelationData == b"was-1"
    assert properties.ContentType == "application/octet-stream"
    assert 0 < properties.MessageExpiryInterval <= 90
    fields = {
        "UserProperty": [("message-id", "m-1"), ("correlation-id", "c-1"), ("a", "1"), ("a", "2")],
        "ContentType": "text/plain",
        "PayloadFormatIndicator": 1,
        "ResponseTopic": "answers",
        "CorrelationData": b"\x00\x01",
        "MessageExpiryInterval": 60,
    }
    world.peer.send("in", b"text", fields=fields)
    await until(lambda: recorder.inputs, "the input")
    received = recorder.inputs[0]
    assert received.message_id == "m-1"
    assert received.properties == (("a", "1"), ("a", "2"))
    assert received.content_type == "text/plain"
    assert received.content_encoding == "utf-8"
    await recorder.transport.close()


@on_loop
async def test_what_would_end_the_connection_is_refused_before(world: MqttWorld) -> None:
    recorder = Recorder(world.transport())
    await recorder.connect()
    bad = [
        Message(b"", "a/+", "id"),
        Message(b"", "a/#", "id"),
        Message(b"", "", "id"),
        Message(b"", "a\x00b", "id"),
        Message(b"", "x" * 65536, "id"),
        Message(b"", "out", "id", properties=(("line", "1\n2"),)),
        Message(b"", "out", "id", properties=(("\x7f", ""),)),
        Message(b"", "out", "id", properties=(("half", "\ud83d"),)),
        Message(b"", "out", "id", properties=(("long", "\u00e9" * 40_000),)),
        Message(b"", "out", "id", content_type="\x01"),
    ]
    for message in bad:
        assert recorder.transport.refusal(message), message
    good = [
        Message(b"", "/", "id"),
        Message(b"", "$x", "id", content_type=""),
        Message(b"", "out", "id", properties=(("long", "\u00e9" * 32_767), ("\U0001f600", "\u2028 \ufeff"))),
    ]
    for key, message in enumerate(good):
        assert recorder.transport.refusal(message) == ""
        recorder.transport.publish(key, message)
    await until(lambda: len(recorder.confirmed) == len(good), "confirmations")
    assert recorder.losses == []
    await recorder.transport.close()


def write_rights(folder: Path, *topics: str) -> str:
    """The line that lets our user read everything, and write to these topics."""
    path = folder / "rights"
    path.write_text("user agent\ntopic read #\n" + "".join(f"topic write {topic}\n" for topic in topics))
    path.chmod(0o600)
    return f"acl_file {path}"


@on_loop
async def test_messages_that_the_broker_refuses_hold_up_no_other(tmp_path: Path) -> None:
    lines = ["message_size_limit 1000", write_rights(tmp_path, "out", "edgepack/#"), "max_queued_messages 1000"]
    world = MqttWorld(tmp_path, "5", lines)
    try:
        recorder = Recorder(world.transport())
        await recorder.connect()
        recorder.publish(1, bytes(1001))
        recorder.publish_to("forbidden", 2, b"small")
        recorder.publish(3, b"small")
        await until(lambda: recorder.confirmed, "a confirmation")
        assert recorder.confirmed == [3]
        assert recorder.refusals == [
            (1, "the broker refused it: packet too large"),
            (2, "the broker refused it: not authorized"),
        ]
        assert recorder.losses == []
        await recorder.transport.close()
    finally:
        world.close()


@on_loop
async def test_a_status_that_may_not_be_published_ends_one_connection_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """mosquitto 2.0 with max_queued_messages 0, as here, closes a connection after a refusal; others do not."""
    world = MqttWorld(tmp_path, "5", [write_rights(tmp_path, "out")])
    try:
        recorder = Recorder(world.transport())
        recorder.begin()
        await recorder.lost()
        await recorder.reconnect()
        recorder.transport.report({"version": "2"})
        recorder.publish(1, b"x")
        await until(lambda: recorder.confirmed, "a confirmation")
        assert recorder.losses == []
        told = [record.message for record in caplog.records if "refused the status" in record.message]
        assert [text.partition("topic ")[2] for text in told] == [f"{STATUS}: not authorized"]
        await recorder.transport.close()
    finally:
        world.close()


@on_loop
async def test_a_status_that_is_larger_than_a_packet_may_be_is_not_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = MqttWorld(tmp_path, "5", ["max_packet_size 300"])
    try:
        recorder = Recorder(world.transport())
        recorder.transport.report({"version": "2" * 300})
        await recorder.connect()
        recorder.publish(1, b"x")
        await until(lambda: recorder.confirmed, "a confirmation")
        assert recorder.losses == []
        assert "and the broker takes 300" in caplog.text
        await recorder.transport.close()
    finally:
        world.close()


@on_loop
async def test_what_is_published_does_not_come_back_as_input(world: MqttWorld) -> None:
    recorder = Recorder(world.transport(), acknowledges=True)
    await recorder.connect()
    recorder.publish_to("in", 1, b"mine")
    await until(lambda: recorder.confirmed, "a confirmation")
    world.inject(b"theirs")
    await until(lambda: recorder.inputs, "the input")
    assert [received.body for received in recorder.inputs] == [b"theirs"]
    await recorder.transport.close()
