"""edgeHub: routes, one input at a time, priorities, times to live; what survives reconnects."""

from typing import Any

import pytest

from simulator.mqtt.packets import Connack, Packet, Puback, Publish, Suback, Unsubscribe
from tests.unit.simulator.hub.hub_world import HubWorld, Peer, acks, messages

TO_SCORER = (
    "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) "
    'INTO BrokeredEndpoint("/modules/scorer/inputs/amlInput")'
)
UP = "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream"
INPUTS = "devices/edge/modules/scorer/inputs/#"


@pytest.fixture
def world() -> HubWorld:
    """With a module that gets what devices send, and whose results go upstream."""
    return HubWorld({"in": TO_SCORER, "up": UP})


def send(world: HubWorld, *bodies: bytes) -> None:
    """A leaf sends these."""
    leaf = world.signed_in("leaf")
    for number, body in enumerate(bodies, 1):
        assert acks(leaf.publish(f"messages/events/%24.mid=m{number}&unit=bar", body, mid=number)) == [number]


def take(peer: Peer, *before: Packet) -> list[bytes]:
    """Acknowledge one input after the other until there is none, those `before` first; their bodies."""
    bodies = []
    waiting = messages([*before, *peer.received()])
    while waiting:
        bodies.append(waiting[0].payload)
        waiting = waiting[1:] + messages(peer.send(Puback(waiting[0].mid)))
    return bodies


def test_a_message_goes_to_a_module_and_its_result_to_the_cloud(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    send(world, b"12")
    [found] = messages(scorer.received())
    assert found.topic == "devices/edge/modules/scorer/inputs/amlInput/%24.mid=m1&unit=bar&%24.cdid=leaf"
    assert (found.payload, found.qos, found.dup) == (b"12", 1, False)
    scorer.send(Puback(found.mid))
    assert world.account.taken_by == [(b"12", "scorer")]
    scorer.publish("messages/events/%24.on=amlOutput&%24.cid=m1", b"true")
    assert world.account.accepted_at[-1] == (b"true", ("$upstream",))
    [waiting] = world.edge.next_upstream(10)
    assert (waiting.message.body, waiting.message.value("$.cid")) == (b"true", "m1")
    assert list(world.edge.waiting()) == [("$upstream", waiting.priority, 1), ("scorer", waiting.priority, 0)]


def test_one_input_at_a_time_in_order(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    send(world, b"1", b"2", b"3")
    assert [message.payload for message in messages(scorer.received())] == [b"1"]
    assert take(scorer, Publish("the first", b"1", 1, 1)) == [b"1", b"2", b"3"]


def test_what_comes_before_the_module_waits_for_it(world: HubWorld) -> None:
    send(world, b"1", b"2")
    scorer = world.signed_in("edge/scorer", INPUTS)
    assert take(scorer) == [b"1", b"2"]


def test_an_input_that_was_not_acknowledged_is_sent_again_after_a_reconnect(world: HubWorld) -> None:
    send(world, b"1", b"2")
    scorer = world.signed_in("edge/scorer", INPUTS)
    [first] = messages(scorer.received())
    scorer.connection.lost()
    again = world.connect("edge/scorer")
    assert again.received() == [Connack(0, True), first._replace(dup=True)]
    assert take(again, first) == [b"1", b"2"]


def test_a_clean_session_forgets_subscriptions_and_the_store_does_not_forget(world: HubWorld) -> None:
    send(world, b"1")
    scorer = world.signed_in("edge/scorer", INPUTS)
    assert len(messages(scorer.received())) == 1
    clean = world.connect("edge/scorer", clean=True)
    assert scorer.is_closed
    assert clean.received() == [Connack(0, False)]
    assert take(clean) == []
    assert take(clean, *clean.subscribe(INPUTS)) == [b"1"]


def test_after_thirty_seconds_an_input_is_sent_again(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    send(world, b"1")
    [first] = messages(scorer.received())
    world.real_s = 30
    world.edge.send_late_again()
    assert messages(scorer.received()) == []
    world.real_s = 30.1
    world.edge.send_late_again()
    assert messages(scorer.received()) == [first._replace(dup=True)]
    world.edge.send_late_again()
    assert messages(scorer.received()) == []


def test_a_subscription_with_quality_0_gets_all_at_once(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer")
    assert scorer.subscribe(INPUTS, qos=0) == [Suback(1, (0,))]
    send(world, b"1", b"2")
    assert [(message.payload, message.qos) for message in messages(scorer.received())] == [(b"1", 0), (b"2", 0)]
    assert [body for body, _ in world.account.taken_by] == [b"1", b"2"]


def test_no_subscription_no_inputs(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer", INPUTS)
    scorer.send(Unsubscribe(2, (INPUTS,)))
    send(world, b"1")
    assert messages(scorer.received()) == []


def test_priorities_are_strict_and_fixed_when_stored() -> None:
    routes = {
        "hot": {"route": "FROM /messages WHERE hot = 'yes' INTO $upstream", "priority": 0},
        "all": {"route": "FROM /messages INTO $upstream", "priority": 5, "timeToLiveSecs": 10},
    }
    world = HubWorld(routes)
    leaf = world.signed_in("leaf")
    for body, topic in ((b"1", ""), (b"2", "hot=yes"), (b"3", ""), (b"4", "hot=yes")):
        leaf.publish(f"messages/events/{topic}", body)
    assert [waiting.message.body for waiting in world.edge.next_upstream(10)] == [b"2", b"4"]
    assert [endpoints for _, endpoints in world.account.accepted_at] == [("$upstream",)] * 4
    for waiting in world.edge.next_upstream(10):
        assert world.edge.upstream.remove(waiting)
    assert [waiting.message.body for waiting in world.edge.next_upstream(10)] == [b"1", b"3"]
    assert world.configure({"hot": "FROM /messages INTO $upstream"}) == (200, "")
    assert list(world.edge.waiting()) == [("$upstream", 0, 0), ("$upstream", 5, 2)]


def test_times_to_live_end_by_simulated_time() -> None:
    routes = {
        "short": {
            "route": "FROM /messages WHERE short = 'yes' INTO $upstream",
            "priority": 0,
            "timeToLiveSecs": 10,
        },
        "all": {"route": "FROM /messages INTO $upstream", "priority": 1},
    }
    world = HubWorld()
    assert world.configure(routes, keep_s=100) == (200, "")
    leaf = world.signed_in("leaf")
    for body, topic in ((b"1", ""), (b"2", "short=yes"), (b"3", "short=yes")):
        leaf.publish(f"messages/events/{topic}", body)
    world.now_s = 9.9
    world.edge.expire()
    assert world.account.expirations == []
    world.now_s = 10
    world.edge.expire()
    assert world.account.expirations == [b"2", b"3"]
    assert [waiting.message.body for waiting in world.edge.next_upstream(5)] == [b"1"]
    world.now_s = 100
    assert world.edge.next_upstream(5) == []
    assert world.account.expirations == [b"2", b"3", b"1"]


def test_for_ever_is_minus_one() -> None:
    world = HubWorld()
    assert world.configure({"all": "FROM /messages INTO $upstream"}, keep_s=-1) == (200, "")
    world.signed_in("leaf").publish("messages/events/", b"1")
    world.now_s = 1e9
    assert len(world.edge.next_upstream(5)) == 1


def test_an_expired_input_is_not_sent(world: HubWorld) -> None:
    send(world, b"1")
    world.now_s = 7200
    scorer = world.signed_in("edge/scorer", INPUTS)
    assert messages(scorer.received()) == []
    assert world.account.expirations == [b"1"]


def test_without_a_route_a_message_is_acknowledged_and_dropped(world: HubWorld) -> None:
    scorer = world.signed_in("edge/scorer")
    assert acks(scorer.publish("messages/events/%24.on=other", b"x")) == [1]
    assert world.account.accepted_at == [(b"x", ())]


def test_several_endpoints_get_a_copy_each() -> None:
    routes = {
        "up": "FROM /messages INTO $upstream",
        "also up": "FROM /messages/* INTO $upstream",
        "a": 'FROM /messages INTO BrokeredEndpoint("/modules/scorer/inputs/a")',
        "b": 'FROM /messages INTO BrokeredEndpoint("/modules/scorer/inputs/b")',
        "c": 'FROM /messages INTO BrokeredEndpoint("/modules/filter/inputs/a")',
    }
    world = HubWorld(routes)
    world.signed_in("leaf").publish("messages/events/", b"1")
    assert sorted(world.account.accepted_at[0][1]) == ["$upstream", "filter/a", "scorer/a", "scorer/b"]
    scorer = world.signed_in("edge/scorer", INPUTS)
    assert take(scorer) == [b"1", b"1"]


def test_unknown_topics_are_acknowledged_and_ignored(world: HubWorld) -> None:
    leaf = world.signed_in("leaf")
    told: list[str] = []
    world.edge.broker.on_fault = told.append
    assert acks(leaf.send(Publish("devices/other/messages/events/", b"", 1, 1))) == [1]
    assert told == [
        "leaf sends what is not taken: 'devices/other/messages/events/' is no topic of this client; "
        "edgeHub acknowledges it, and does nothing else"
    ]
    assert not leaf.is_closed
    assert world.account.accepted_at == []


def test_a_packet_that_is_too_large_ends_the_connection(world: HubWorld) -> None:
    leaf = world.signed_in("leaf")
    largest = 262_144 - 4 - len("devices/leaf/messages/events/")
    assert acks(leaf.publish("messages/events/", bytes(largest), mid=2)) == [2]
    assert leaf.publish("messages/events/", bytes(largest + 1), mid=3) == []
    assert leaf.is_closed
    assert len(world.account.accepted_at) == 1


def test_subscriptions_to_what_is_another_s_are_refused(world: HubWorld) -> None:
    leaf = world.signed_in("leaf")
    own = ("devices/leaf/messages/devicebound/#", "$iothub/twin/res/#", "$iothub/methods/POST/#")
    foreign = (
        "#",
        "+/+",
        "devices/#",
        "devices/other/messages/devicebound/#",
        "devices/+/messages/devicebound/#",
        "$iothub/#",
    )
    assert leaf.subscribe(*own, *foreign, qos=2) == [Suback(1, (1, 1, 1, *(0x80,) * len(foreign)))]


def desired(routes: Any, version: str = "1.1", **others: Any) -> dict[str, Any]:
    """Desired properties of `$edgeHub`."""
    store = {"storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}
    return {"schemaVersion": version, "routes": routes, **store, **others}


@pytest.mark.parametrize(
    ("properties", "code", "told"),
    [
        ({}, 400, "routes"),
        ({"routes": {}}, 400, "schemaVersion"),
        (desired({"a": 1}), 400, "routes/a: must be a text"),
        (desired({"a": {"route": "FROM / INTO $upstream"}}), 400, "routes/a/route"),
        (desired({"a": "FROM /messages WHERE severity > 3 INTO $upstream"}), 200, "column 31"),
        (desired({"a": {"route": "FROM /messages INTO $upstream", "priority": "one"}}), 400, "routes/a/priority"),
        (desired({"a": {"route": "FROM /messages INTO $upstream", "priority": 10}}), 400, "from 0 (first) to 9"),
        (desired({"a": {"route": "FROM /messages INTO $upstream", "timeToLiveSecs": -1}}), 400, "timeToLiveSecs"),
        (desired({"a": {"route": "FROM /messages INTO $upstream"}}, "1.0"), 400, "must be a text"),
        (desired({"a": ""}), 400, "routes/a: is empty"),
        (desired({}, storeAndForwardConfiguration={"timeToLiveSecs": None}), 400, "timeToLiveSecs"),
        (desired({}, storeAndForwardConfiguration={"timeToLiveSecs": -2}), 400, "from -1 (for ever)"),
        (desired({}, storeAndForwardConfiguration={}), 400, "timeToLiveSecs"),
        ({"schemaVersion": "1.1", "routes": {}}, 400, "needs 'storeAndForwardConfiguration'"),
        (desired({}, "1.4"), 400, "schemaVersion: edgeHub does not take 1.4"),
        (desired({}, "9.9"), 400, "schemaVersion"),
        (desired({}, "one"), 400, "schemaVersion"),
    ],
)
def test_a_configuration_that_is_wrong_leaves_the_old_one_in_force(
    world: HubWorld, properties: dict[str, Any], code: int, told: str
) -> None:
    result = world.edge.configure(properties)
    assert result.code == code
    assert told in result.problem
    send(world, b"1")
    assert world.account.accepted_at == [(b"1", ("scorer/amlInput",))]


@pytest.mark.parametrize(
    "properties",
    [
        {"schemaVersion": "1.0", "routes": {"a": "FROM /messages INTO $upstream", "b": ""}},
        desired({"a": {"route": "FROM /messages INTO $upstream", "priority": 9, "timeToLiveSecs": 0}}, "1.3"),
        desired({"a": {"route": "FROM /messages INTO $upstream", "priority": "3", "timeToLiveSecs": "60"}}),
        desired({"a": "FROM /messages INTO $upstream"}, storeAndForwardConfiguration={"timeToLiveSecs": "60"})
        | {"schemaVersion": 1.2},
        desired({"a": "FROM /messages INTO $upstream"}, "1.2.7", storeAndForwardConfiguration={"timeToLiveSecs": -1}),
    ],
)
def test_what_edge_hub_takes(world: HubWorld, properties: dict[str, Any]) -> None:
    assert world.edge.configure(properties) == (200, "")
    send(world, b"1")
    assert world.account.accepted_at == [(b"1", ("$upstream",))]


def test_whether_what_comes_from_a_module_can_reach_the_cloud() -> None:
    routes = {
        "a": 'FROM /messages/modules/filter/* INTO BrokeredEndpoint("/modules/scorer/inputs/a")',
        "b": 'FROM /messages/modules/SCORER/outputs/x INTO BrokeredEndpoint("/modules/third/inputs/a")',
        "c": 'FROM /messages/modules/loop INTO BrokeredEndpoint("/modules/loop/inputs/a")',
        "up": "FROM /messages/modules/third INTO $upstream",
    }
    world = HubWorld(routes)
    found = {name: world.edge.reaches_cloud(name) for name in ("filter", "scorer", "third", "loop", "nobody")}
    assert found == {"filter": True, "scorer": True, "third": True, "loop": False, "nobody": False}
    assert world.configure({"all": "FROM /messages/* INTO $upstream"}) == (200, "")
    assert world.edge.reaches_cloud("nobody")


def test_a_route_that_is_for_devices_filters_no_output_of_a_module() -> None:
    world = HubWorld({"in": TO_SCORER, "up": UP, "hot": "FROM /messages WHERE hot = 'yes' INTO $upstream"})
    world.signed_in("edge/scorer").publish("messages/events/%24.on=debug")
    assert (world.account.accepted_at, world.account.filtered) == ([(b"{}", ())], [False])


def test_what_only_a_condition_keeps_from_the_cloud_is_filtered() -> None:
    routes = {
        "hot": "FROM /messages/modules/scorer/outputs/o WHERE hot = 'yes' INTO $upstream",
        "next": (
            "FROM /messages/modules/filter/outputs/o WHERE hot = 'yes' INTO BrokeredEndpoint('modules/scorer/inputs/i')"
        ),
    }
    world = HubWorld(routes)
    for client_id, topic, expected in (
        ("edge/scorer", "%24.on=o&hot=no", True),
        ("edge/scorer", "%24.on=o&hot=yes", False),
        ("edge/scorer", "%24.on=debug", False),
        ("edge/filter", "%24.on=o", True),
        ("leaf", "hot=no", False),
    ):
        world.signed_in(client_id).publish(f"messages/events/{topic}")
        assert world.account.filtered[-1] is expected, (client_id, topic)
