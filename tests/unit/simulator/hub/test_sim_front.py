"""Who gets in: CONNECT, tokens, links."""

from typing import Any

import pytest

from simulator.hub.links import MODULES_LINK, UPSTREAM_LINK
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import Connack, Connect, Pingreq, Pingresp, Publish, QosTwo, Suback, Subscribe, Will
from tests.unit.simulator.hub.hub_world import HOST, KEYS, NOW_S, HubWorld, Peer, messages, token


@pytest.mark.parametrize("client_id", ["direct", "leaf", "edge", "edge/scorer", "edge/$edgeHub"])
def test_whoever_has_a_good_token_gets_in(client_id: str) -> None:
    world = HubWorld()
    keys = {"edge/$edgeHub": b"made"}
    peer = world.connect(client_id, password=token(client_id, keys.get(client_id, KEYS[0])))
    assert peer.received() == [Connack(0)]
    assert world.registry.is_connected(client_id)
    peer.connection.lost()
    assert not world.registry.is_connected(client_id)


def test_the_secondary_key_is_as_good() -> None:
    world = HubWorld()
    assert world.connect("direct", password=token("direct", KEYS[1])).received() == [Connack(0)]


@pytest.mark.parametrize("options", ["api-version=2019-10-01", "?api-version=2020-09-30&model-id=dtmi:a;1&ua=x/1"])
def test_how_a_user_name_may_end(options: str) -> None:
    assert HubWorld().connect("direct", user=f"{HOST}/direct/{options}").received() == [Connack(0)]


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"client_id": "nobody", "user": f"{HOST}/nobody/?api-version=1"}, 5, "no such device"),
        ({"client_id": ""}, 2, "no client id"),
        ({"user": ""}, 5, "user name"),
        ({"user": f"{HOST}/leaf/?api-version=2019-10-01"}, 5, "user name"),
        ({"user": f"{HOST}/direct/"}, 5, "user name"),
        ({"user": f"{HOST}/direct/other/?api-version=2019-10-01"}, 5, "user name"),
        ({"user": f"{HOST}/direct/other/api-version=2019-10-01"}, 5, "user name"),
        ({"user": f"{HOST}/direct?api-version=2019-10-01"}, 5, "user name"),
        ({"password": None}, 5, "no password"),
        ({"password": b"\xff\xfe"}, 5, "no SharedAccessSignature"),
        ({"password": token("direct", b"another key")}, 5, "signature"),
        ({"password": token("leaf")}, 5, "audience"),
        ({"password": token("direct", host="other.example.net")}, 5, "audience"),
        ({"password": token("direct", expiry_s=NOW_S - 301)}, 5, "expired"),
        ({"level": 5}, 1, ""),
        ({"level": 3}, 1, ""),
    ],
)
def test_others_are_refused(changes: dict[str, Any], code: int, told: str) -> None:
    world = HubWorld()
    peer = world.connect("direct", **changes)
    assert peer.received() == [Connack(code)]
    assert peer.is_closed
    assert not told or any(told in refusal for refusal in world.refusals)
    assert all("SharedAccessSignature sr=" not in refusal for refusal in world.refusals)
    assert not world.registry.is_connected("direct")


def test_a_disabled_device_is_refused() -> None:
    world = HubWorld()
    world.registry.update("direct", enabled=False)
    assert world.connect("direct").received() == [Connack(5)]


def test_where_the_network_is_away_nobody_answers() -> None:
    world = HubWorld()
    world.network.change(UPSTREAM_LINK, up=False)
    away = world.connect("direct")
    assert away.received() == []
    assert away.is_closed
    assert world.connect("edge/scorer").received() == [Connack(0)]
    world.network.change(MODULES_LINK, half_open=True)
    silent = world.connect("edge/filter")
    assert silent.received() == []
    assert not silent.is_closed


def test_a_connect_over_a_half_open_link_is_answered_when_it_is_open() -> None:
    world = HubWorld()
    world.network.change(MODULES_LINK, half_open=True)
    silent, gone, older = (world.connect(f"edge/{name}") for name in ("scorer", "filter", "$edgeAgent"))
    assert silent.send(Subscribe(7, (("devices/edge/modules/scorer/inputs/#", 1),)), Pingreq()) == []
    gone.connection.lost()
    newer = world.connect("edge/$edgeAgent", password=token("edge/$edgeAgent", b"made"))
    assert older.is_closed
    world.network.change(UPSTREAM_LINK, latency_ms=1)
    world.network.change(MODULES_LINK, latency_ms=1)
    assert silent.received() == []
    world.network.change(MODULES_LINK, half_open=False)
    assert silent.received() == [Connack(0), Suback(7, (1,)), Pingresp()]
    assert newer.received() == [Connack(0)]
    assert world.registry.is_connected("edge/scorer")
    assert not world.registry.is_connected("edge/filter")
    assert gone.received() == []
    world.network.change(MODULES_LINK, latency_ms=2)
    assert silent.received() == []


def test_a_connect_that_waits_ends_with_its_link_and_when_it_is_wrong() -> None:
    world = HubWorld()
    world.network.change(MODULES_LINK, half_open=True)
    waiting, wrong = world.connect("edge/scorer"), world.connect("edge/filter", password=b"wrong")
    twice, broken = world.connect("edge/$edgeAgent"), world.connect("edge/$edgeHub")
    assert twice.send(Connect("edge/$edgeAgent")) == []
    assert broken.send_bytes(b"\0\0") == []
    assert twice.is_closed
    assert broken.is_closed
    wrong.send(Pingreq())
    world.network.change(MODULES_LINK, up=False)
    assert waiting.is_closed
    assert wrong.is_closed
    world.network.change(MODULES_LINK, up=True)
    wrong = world.connect("edge/filter", password=b"wrong")
    wrong.send(Pingreq())
    world.network.change(MODULES_LINK, half_open=False)
    assert wrong.received() == [Connack(5)]
    assert wrong.is_closed


def test_a_connection_ends_with_its_token() -> None:
    world = HubWorld()
    peer = world.connect("direct", password=token("direct", expiry_s=NOW_S + 10))
    peer.connection.check(0, NOW_S + 309)
    assert not peer.is_closed
    peer.connection.check(0, NOW_S + 310)
    assert peer.is_closed
    assert not world.registry.is_connected("direct")


def test_a_token_that_is_expired_by_a_fault_is_good_no_longer() -> None:
    world = HubWorld()
    peer = world.connect("edge/scorer")
    assert world.front.expire_token("edge/scorer")
    assert peer.is_closed
    assert not world.front.expire_token("edge/scorer")
    assert world.connect("edge/scorer").received() == [Connack(5)]
    newer = token("edge/scorer", expiry_s=NOW_S + 7200)
    assert world.connect("edge/scorer", password=newer).received() == [Connack(0, session_present=True)]


def test_silence_of_one_and_a_half_keep_alives_ends_a_connection() -> None:
    world = HubWorld()
    peer = world.connect("direct", keep_alive_s=10)
    world.real_s = 14
    assert peer.send(Pingreq())[-1] == Pingresp()
    peer.connection.check(29, NOW_S)
    assert not peer.is_closed
    peer.connection.check(29.1, NOW_S)
    assert peer.is_closed


def test_without_a_keep_alive_silence_is_fine_and_without_a_connect_it_is_not() -> None:
    world = HubWorld()
    peer = world.connect("direct", keep_alive_s=0)
    peer.connection.check(1e9, NOW_S)
    assert not peer.is_closed
    world.real_s = 0
    other = world.connect("nobody")
    other.connection.check(61, NOW_S)
    assert other.is_closed


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00",
        encode(Pingreq()),
        encode(Publish("a", b"")),
        b"\x10\xff\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\x7f",
    ],
)
def test_what_does_not_begin_with_a_connect_is_hung_up_on(data: bytes) -> None:
    world = HubWorld()
    peer = Peer(world, "direct")
    assert peer.send_bytes(data) == []
    assert peer.is_closed


def test_a_second_connect_and_quality_2_end_a_connection() -> None:
    for packet in (Connect("direct"), Publish("devices/direct/messages/events/", b"", 2, 1), QosTwo(6, 1)):
        world = HubWorld()
        peer = world.signed_in("direct")
        assert peer.send(packet) == []
        assert peer.is_closed


def test_bytes_may_come_one_by_one() -> None:
    world = HubWorld()
    peer = Peer(world, "direct")
    user = f"{HOST}/direct/?api-version=2019-10-01"
    data = encode(Connect("direct", user, token("direct"))) + encode(
        Publish("devices/direct/messages/events/", b"x", 1, 7)
    )
    found = [packet for place in range(len(data)) for packet in peer.send_bytes(data[place : place + 1])]
    assert found[0] == Connack(0)
    assert [message.body for message in world.account.arrivals] == [b"x"]


def test_a_newer_connection_ends_the_older() -> None:
    world = HubWorld()
    older = world.signed_in("direct")
    newer = world.signed_in("direct")
    assert older.is_closed
    assert not newer.is_closed
    assert world.registry.is_connected("direct")
    older.connection.lost()
    assert world.registry.is_connected("direct")


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_clean_session_is_never_taken_over(has_ended: bool) -> None:
    world = HubWorld()
    clean = world.signed_in("direct", "devices/direct/messages/devicebound/#", clean=True)
    if has_ended:
        clean.connection.lost()
    assert world.connect("direct").received() == [Connack(0, session_present=False)]
    assert world.hub.broker.clients["direct"].filters == {}
    assert clean.is_closed
    assert world.registry.is_connected("direct")
    assert world.connect("direct").received() == [Connack(0, session_present=True)]


@pytest.mark.parametrize("is_orderly", [True, False])
def test_a_will_becomes_telemetry_when_the_end_is_not_in_order(is_orderly: bool) -> None:
    world = HubWorld()
    will = Will("devices/direct/messages/events/a=b", b"gone", 1, False)
    peer = world.connect("direct", will=will)
    if is_orderly:
        peer.send_bytes(b"\xe0\x00")
    else:
        peer.connection.lost()
    found = [(message.body, message.properties) for message in world.account.arrivals]
    assert found == ([] if is_orderly else [(b"gone", (("a", "b"), ("iothub-MessageType", "Will")))])
    assert peer.is_closed
    assert messages(peer.received()) == []
