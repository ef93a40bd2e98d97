"""IoT Hub: telemetry, messages to devices, twins and methods, for both hubs; what ends a connection."""

import json
from typing import Any

import pytest

from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import DesiredChanged
from simulator.mqtt.packets import Puback, Publish
from tests.unit.simulator.hub.hub_world import HubWorld, Peer, acks, messages

TWINS = ("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#")
METHODS = "$iothub/methods/POST/#"
BOUND = "devices/direct/messages/devicebound/#"


@pytest.fixture
def world() -> HubWorld:
    """Whose registry tells both hubs of changes."""
    made = HubWorld({"up": "FROM /messages/* INTO $upstream"})

    def tell(change: object) -> None:
        if isinstance(change, DesiredChanged):
            if change.client_id == "direct":
                made.hub.broker.tell_desired(*change)
            else:
                made.twins.desired_changed(*change)

    made.registry.watch(tell)
    return made


def test_telemetry_arrives_with_its_properties(world: HubWorld) -> None:
    direct = world.signed_in("direct")
    topic = "devices/direct/messages/events/%24.mid=a%2Fb&%24.ct=application%2Fjson&na%20me=v%3D1&flag="
    assert direct.send(Publish(topic, b"1", 0)) == []
    assert acks(direct.send(Publish(topic + "/", b"2", 1, 9, retain=True))) == [9]
    [first, second] = world.account.arrivals
    expected = (("$.mid", "a/b"), ("$.ct", "application/json"), ("na me", "v=1"), ("flag", ""))
    assert first.properties == expected
    assert second.properties == (*expected, ("mqtt-retain", "true"))
    assert (first.device_id, first.module_id, first.source) == ("direct", "", "/messages")


@pytest.mark.parametrize(
    "packet",
    [
        Publish("devices/leaf/messages/events/", b"", 1, 1),
        Publish("anything", b"", 1, 1),
        Publish("$iothub/unknown/", b"", 1, 1),
        Publish("devices/direct/messages/events/", bytes(262_145), 1, 1),
        Publish("devices/direct/messages/events/a=b", bytes(262_142), 1, 1),
        Publish("devices/direct/messages/devicebound/", b"", 1, 1),
    ],
)
def test_what_it_does_not_take_ends_the_connection(world: HubWorld, packet: Publish) -> None:
    direct = world.signed_in("direct")
    assert direct.send(packet) == []
    assert direct.is_closed
    assert world.account.arrivals == []


def test_the_largest_message_is_taken(world: HubWorld) -> None:
    direct = world.signed_in("direct")
    assert acks(direct.publish("messages/events/a=b", bytes(262_141))) == [1]


def test_units_throttle() -> None:
    world = HubWorld(units=1)
    direct = world.signed_in("direct")
    for number in range(1000):
        assert acks(direct.publish("messages/events/", b"", mid=number + 1)) == [number + 1]
    direct.publish("messages/events/", b"")
    assert direct.is_closed
    assert world.hub.limit.wait_s(0) == pytest.approx(0.01)
    assert world.hub.limit.wait_s(1) == 0
    assert [world.hub.limit.wait_s(1) for _ in range(99)] == [0] * 99
    assert world.hub.limit.wait_s(1) > 0


def test_messages_to_a_device_wait_until_it_takes_them(world: HubWorld) -> None:
    identity = world.registry.identity("direct")
    assert identity is not None
    for number in range(50):
        world.hub.send_to_device(identity, (("$.mid", str(number)),), b"%d" % number)
    with pytest.raises(HubError, match="50 messages waiting") as refused:
        world.hub.send_to_device(identity, (), b"")
    assert refused.value.status == 403
    with pytest.raises(HubError, match="65536"):
        world.hub.send_to_device(identity, (), bytes(65_537))
    direct = world.signed_in("direct", BOUND)
    found = messages(direct.received())
    assert [message.payload for message in found] == [b"%d" % number for number in range(50)]
    assert (
        found[7].topic
        == "devices/direct/messages/devicebound/%24.mid=7&%24.to=%2Fdevices%2Fdirect%2Fmessages%2Fdevicebound"
    )
    direct.send(*(Puback(message.mid) for message in found[1:]))
    direct.connection.lost()
    again = world.signed_in("direct")
    assert messages(again.received()) == [found[0]._replace(dup=True)]
    clean = world.connect("direct", clean=True)
    assert messages(clean.received()) == []
    assert [message.payload for message in messages(clean.subscribe(BOUND))] == [b"0"]


@pytest.mark.parametrize("client_id", ["direct", "leaf", "edge/scorer"])
def test_a_twin_is_read_reported_to_and_patched(world: HubWorld, client_id: str) -> None:
    peer = world.signed_in(client_id, *TWINS)
    world.registry.patch_desired(client_id, {"threshold": 5})
    [patch] = messages(peer.received())
    assert patch == Publish("$iothub/twin/PATCH/properties/desired/?$version=2", b'{"threshold": 5, "$version": 2}')
    [answer, ack] = peer.send(Publish("$iothub/twin/GET/?$rid=1f%2F", b" ", 1, 1))
    assert isinstance(answer, Publish)
    assert (answer.topic, ack) == ("$iothub/twin/res/200/?$rid=1f%2F", Puback(1))
    assert json.loads(answer.payload) == {"desired": {"threshold": 5, "$version": 2}, "reported": {"$version": 1}}
    told = report(peer, {"state": {"ok": True}})
    assert told.topic == "$iothub/twin/res/204/?$rid=7" + ("&$version=2" if client_id == "direct" else "")
    assert world.registry.twin(client_id).reported == {"state": {"ok": True}}


def report(peer: Peer, patch: Any) -> Publish:
    """Report a patch; the answer."""
    body = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    [answer] = messages(peer.send(Publish("$iothub/twin/PATCH/properties/reported/?$rid=7", body)))
    return answer


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"[1]", 400),
        ({"a.b": 1}, 400),
        ({"a": [None]}, 400),
        ({str(number): "x" * 4000 for number in range(9)}, 413),
    ],
)
@pytest.mark.parametrize("client_id", ["direct", "edge/scorer"])
def test_a_report_that_no_twin_holds_is_refused(world: HubWorld, client_id: str, patch: Any, status: int) -> None:
    peer = world.signed_in(client_id, *TWINS)
    assert report(peer, patch).topic == f"$iothub/twin/res/{status}/?$rid=7"
    assert world.registry.twin(client_id).reported == {}


def test_offline_a_gateway_answers_itself_and_catches_up_later(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", *TWINS)
    world.registry.patch_desired("edge/scorer", {"a": 1, "b": 1})
    scorer.received()
    world.twins.go_offline()
    world.registry.patch_desired("edge/scorer", {"a": 2, "b": None})
    assert scorer.received() == []
    assert report(scorer, {"x": 1, "y": {"z": 1}}).topic.startswith("$iothub/twin/res/204")
    assert report(scorer, {"x": None, "y": {"w": 2}}).topic.startswith("$iothub/twin/res/204")
    assert report(scorer, {"bad": [None]}).topic.startswith("$iothub/twin/res/400")
    [answer] = messages(scorer.send(Publish("$iothub/twin/GET/?$rid=1", b"")))
    document = json.loads(answer.payload)
    assert document["desired"] == {"a": 1, "b": 1, "$version": 2}
    assert document["reported"] == {"y": {"z": 1, "w": 2}, "$version": 1}
    assert world.registry.twin("edge/scorer").reported == {}
    world.twins.go_online()
    assert world.registry.twin("edge/scorer").reported == {"y": {"z": 1, "w": 2}}
    [patch] = messages(scorer.received())
    assert json.loads(patch.payload) == {"a": 2, "b": None, "$version": 3}


@pytest.mark.parametrize("client_id", ["direct", "edge/scorer"])
def test_methods_are_called_and_answered(world: HubWorld, client_id: str) -> None:
    broker = world.hub.broker if client_id == "direct" else world.edge.broker
    answers: list[tuple[int, Any]] = []
    assert not broker.call(client_id, "ping", None, "m1", lambda *answer: answers.append(answer))
    peer = world.signed_in(client_id)
    assert not broker.call(client_id, "ping", None, "m2", lambda *answer: answers.append(answer))
    peer.subscribe(METHODS)
    assert broker.call(client_id, "a b", {"x": 1}, "m3", lambda *answer: answers.append(answer))
    assert messages(peer.received()) == [Publish("$iothub/methods/POST/a%20b/?$rid=m3", b'{"x": 1}')]
    peer.send(
        Publish("$iothub/methods/res/200/?$rid=m3", b'{"y": 2}'), Publish("$iothub/methods/res/200/?$rid=m3", b"1")
    )
    assert broker.call(client_id, "none", None, "m4", lambda *answer: answers.append(answer))
    assert messages(peer.received())[0].payload == b""
    peer.send(Publish("$iothub/methods/res/500/?$rid=m4", b""), Publish("$iothub/methods/res/200/?$rid=other", b"1"))
    assert answers == [(200, {"y": 2}), (500, None)]


def test_only_who_was_asked_answers_a_method(world: HubWorld) -> None:
    answers: list[tuple[int, Any]] = []
    scorer, leaf = world.signed_in("edge/scorer", METHODS), world.signed_in("leaf", METHODS)
    assert world.edge.broker.call("edge/scorer", "ping", None, "m1", lambda *answer: answers.append(answer))
    leaf.send(Publish("$iothub/methods/res/200/?$rid=m1", b'"forged"'))
    assert answers == []
    scorer.send(Publish("$iothub/methods/res/200/?$rid=m1", b'"true"'))
    assert answers == [(200, "true")]


def test_offline_the_twins_are_those_of_the_moment_when_the_link_was_lost(world: HubWorld) -> None:
    world.registry.patch_desired("edge/scorer", {"a": 1})
    world.twins.go_offline()
    world.registry.patch_desired("edge/scorer", {"a": 2})
    world.registry.patch_desired("edge/scorer", {"a": 3})
    world.registry.patch_desired("leaf", {"b": 1})
    assert world.twins.document("edge/scorer")["desired"] == {"a": 1, "$version": 2}
    assert world.twins.document("leaf")["desired"] == {"$version": 1}
    world.twins.go_offline()
    world.twins.go_online()
    assert world.twins.document("edge/scorer")["desired"] == {"a": 3, "$version": 4}
    world.twins.go_offline()
    world.registry.remove("edge/scorer")
    world.registry.add_module("edge", "scorer")
    world.registry.patch_desired("edge/scorer", {"c": 1})
    assert world.twins.document("edge/scorer")["desired"] == {"$version": 1}
    world.twins.go_online()
    assert world.twins.document("edge/scorer")["desired"] == {"c": 1, "$version": 2}


def test_who_is_removed_is_gone(world: HubWorld) -> None:
    direct = world.signed_in("direct", BOUND)
    world.registry.remove("direct")
    world.hub.broker.forget("direct")
    assert direct.is_closed
    assert "direct" not in world.hub.broker.clients
