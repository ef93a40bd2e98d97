"""Inputs of modules in bad times: repetitions, subscriptions that end, times to live, topics that are too long."""

import pytest

from simulator.cloud.hub_error import HubError
from simulator.message import HubMessage
from simulator.mqtt.packets import Connack, Publish, Suback, Unsubscribe
from tests.unit.simulator.hub.hub_world import HubWorld, Peer, acks, messages

ROUTES = {
    "in": 'FROM /messages WHERE NOT is_defined($connectionModuleId) INTO BrokeredEndpoint("/modules/scorer/inputs/a")',
    "up": "FROM /messages/modules/* INTO $upstream",
}
INPUTS = "devices/edge/modules/scorer/inputs/#"


@pytest.fixture
def world() -> HubWorld:
    """With a module that gets what devices send."""
    return HubWorld(ROUTES)


def sent_to(world: HubWorld, scorer: Peer, body: bytes = b"1") -> Publish:
    """What the module gets when a leaf sends something."""
    assert acks(world.signed_in("leaf").publish("messages/events/%24.mid=m", body)) == [1]
    [found] = messages(scorer.received())
    return found


def test_after_a_long_absence_an_input_is_sent_again_once(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    first = sent_to(world, scorer)
    scorer.connection.lost()
    world.real_s = 60
    again = world.connect("edge/scorer")
    assert messages(again.received()) == [first._replace(dup=True)]
    world.edge.send_late_again()
    assert messages(again.received()) == []
    world.real_s = 90.1
    world.edge.send_late_again()
    assert messages(again.received()) == [first._replace(dup=True)]


@pytest.mark.parametrize("reconnects", [False, True])
def test_a_late_input_is_not_sent_to_a_module_that_has_unsubscribed(world: HubWorld, reconnects: bool) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    first = sent_to(world, scorer)
    scorer.send(Unsubscribe(5, (INPUTS,)))
    world.real_s = 60
    if reconnects:
        scorer.connection.lost()
        scorer = world.connect("edge/scorer")
    else:
        world.edge.send_late_again()
    assert messages(scorer.received()) == []
    [found] = messages(scorer.subscribe(INPUTS))
    assert (found.payload, found.topic, found.dup) == (b"1", first.topic, False)


def test_what_is_for_a_device_that_has_unsubscribed_waits_for_its_next_subscription(world: HubWorld) -> None:
    bound = "devices/direct/messages/devicebound/#"
    direct, identity = world.signed_in("direct", bound), world.registry.identity("direct")
    assert identity is not None
    for number in b"123":
        world.hub.send_to_device(identity, (), bytes((number,)))
    assert len(messages(direct.received())) == 3
    direct.send(Unsubscribe(5, (bound,)))
    direct.connection.lost()
    again = world.connect("direct")
    assert again.received() == [Connack(0, True)]
    assert [message.payload for message in messages(again.subscribe(bound))] == [b"1", b"2", b"3"]


def test_what_is_under_way_does_not_expire_while_the_module_is_there(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    first = sent_to(world, scorer)
    world.signed_in("leaf").publish("messages/events/%24.mid=n", b"2")
    world.now_s = 7200
    world.edge.expire()
    assert world.account.expirations == [b"2"]
    scorer.send_bytes(b"\x40\x02" + first.mid.to_bytes(2))
    assert world.account.taken_by == [(b"1", "scorer")]


def test_what_was_under_way_expires_when_the_module_is_gone_and_is_not_sent_again(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    sent_to(world, scorer)
    scorer.connection.lost()
    world.now_s = 7200
    world.edge.expire()
    assert world.account.expirations == [b"1"]
    again = world.connect("edge/scorer")
    assert again.received() == [Connack(0, True)]
    assert sent_to(world, again, b"2").payload == b"2"


LONG = "a=" + " " * 30_000


def test_an_input_whose_topic_would_be_too_long_blocks_nobody(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    leaf = world.signed_in("leaf")
    assert acks(leaf.publish(f"messages/events/{LONG}", b"long")) == [1]
    assert acks(leaf.publish("messages/events/", b"short", mid=2)) == [2]
    assert [message.payload for message in messages(scorer.received())] == [b"short"]
    assert world.account.accepted_at == [(b"long", ()), (b"short", ("scorer/a",))]
    scorer.connection.lost()
    assert len(messages(world.connect("edge/scorer").received())) == 1


def test_a_topic_that_is_too_long_for_an_input_goes_upstream(world: HubWorld) -> None:
    assert world.configure({**ROUTES, "all": "FROM /messages/* INTO $upstream"}) == (200, "")
    assert acks(world.signed_in("leaf").publish(f"messages/events/{LONG}")) == [1]
    assert world.account.accepted_at == [(b"{}", ("$upstream",))]


@pytest.mark.parametrize(("blanks", "is_taken"), [(21_800, True), (21_850, False)])
def test_the_longest_topic_is_taken(world: HubWorld, blanks: int, is_taken: bool) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    world.signed_in("leaf").publish(f"messages/events/a={' ' * blanks}")
    assert len(messages(scorer.received())) == is_taken


def test_who_puts_a_message_past_the_routes_is_told_that_it_is_too_long(world: HubWorld) -> None:
    with pytest.raises(HubError, match="65,535"):
        world.edge.put("scorer", "a", HubMessage("simulator", "", (("a", "x" * 66_000),), b""))
    identity = world.registry.identity("direct")
    assert identity is not None
    for value, told in (("x" * 66_000, "65535"), ("\ud800", "no Unicode")):
        with pytest.raises(HubError, match=told):
            world.hub.send_to_device(identity, (("a", value),), b"")
    assert world.account.accepted_at == []
    assert world.signed_in("direct", "devices/direct/messages/devicebound/#").received() == []


@pytest.mark.parametrize("client_id", ["direct", "leaf"])
def test_a_request_id_that_no_answer_can_hold_is_no_request(world: HubWorld, client_id: str) -> None:
    peer = world.signed_in(client_id, "$iothub/twin/res/#")
    found = peer.send(Publish(f"$iothub/twin/GET/?$rid={'%20' * 1025}", b"", 1, 1))
    assert messages(found) == []
    assert peer.is_closed == (client_id == "direct")
    assert not world.edge.broker.call("edge/scorer", "x" * 66_000, None, "m1", lambda *_: None)


def test_what_was_written_before_a_fault_is_sent(world: HubWorld) -> None:
    leaf = world.signed_in("leaf")

    def fail(*_: object) -> str:
        raise OSError("disk full")

    world.edge.broker.published = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="disk full"):
        leaf.send_bytes(b"\x82\x06\0\1\0\1a\1" + b"\x30\x03\0\1a")
    assert leaf.received() == [Suback(1, (0x80,))]


def test_who_sent_a_message_is_not_for_its_sender_to_say(world: HubWorld) -> None:
    routes = {**ROUTES, "fake": "FROM /messages WHERE $connectionModuleId = 'fake' INTO $upstream"}
    assert world.configure(routes) == (200, "")
    scorer = world.signed_in("edge/scorer", INPUTS)
    world.signed_in("leaf").publish("messages/events/%24.cmid=fake&%24.cdid=other&x=1")
    assert world.account.accepted_at == [(b"{}", ("scorer/a",))]
    [found] = messages(scorer.received())
    assert found.topic == "devices/edge/modules/scorer/inputs/a/x=1&%24.cdid=leaf"


@pytest.mark.parametrize(("client_id", "module"), [("leaf", ""), ("edge/scorer", "scorer")])
def test_a_change_of_reported_properties_is_a_message_where_a_route_takes_it(client_id: str, module: str) -> None:
    world = HubWorld({"other": "FROM /messages/* INTO $upstream"})
    peer = world.signed_in(client_id, "$iothub/twin/res/#")
    report = Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", b'{"a": 1}')
    assert len(messages(peer.send(report))) == 1
    assert world.account.accepted_at == []
    condition = "$connectionModuleId = '$edgeHub' AND is_defined($rpSenderDeviceId)"
    assert world.configure({"changes": f"FROM /twinChangeNotifications WHERE {condition} INTO $upstream"})[0] == 200
    assert len(messages(peer.send(report))) == 1
    assert messages(peer.send(report._replace(payload=b"[1]")))[0].topic.startswith("$iothub/twin/res/400/")
    assert world.account.accepted_at == [(b'{"a": 1}', ("$upstream",))]
    [waiting] = world.edge.next_upstream(5)
    device = client_id.partition("/")[0]
    assert (waiting.message.device_id, waiting.message.module_id) == ("edge", "$edgeHub")
    assert (waiting.message.value("rpSenderDeviceId"), waiting.message.value("rpSenderModuleId")) == (device, module)
