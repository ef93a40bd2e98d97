"""What the hub and edgeHub do with clients that break the rules: bytes over TLS, without any library."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.simulator.paho_peer import password, user_name
from tests.integration.simulator.raw_client import (
    PINGREQ,
    PINGRESP,
    RawClient,
    connect,
    field,
    packet,
    publish,
    subscribe,
)
from tests.integration.simulator.sdk_world import (
    DEVICE,
    LEAF,
    SCORER,
    SimulationUnderTest,
    running_simulation,
    until,
)

ALL = pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])
LARGEST = 262_144


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path_factory.mktemp("hub"), {"up": "FROM /messages/* INTO $upstream"}) as running:
        yield running


@pytest.fixture
def sim(shared: SimulationUnderTest) -> SimulationUnderTest:
    """One hub for all; nothing has arrived in it."""
    shared.arrived.messages.clear()
    return shared


def events(client_id: str, properties: str = "") -> str:
    """The topic of telemetry."""
    device, _, module = client_id.partition("/")
    return f"devices/{device}/" + (f"modules/{module}/" if module else "") + f"messages/events/{properties}"


def assert_in_order(sim: SimulationUnderTest) -> None:
    """The hub goes on serving others, and has taken nothing."""
    with RawClient.signed_in(sim, DEVICE) as other:
        other.send(PINGREQ)
        assert other.read(2) == PINGRESP
    assert sim.arrived.messages == []


def connect_of(sim: SimulationUnderTest, client_id: str, **more: Any) -> bytes:
    """A CONNECT that is in order."""
    return connect(client_id, user_name(sim, client_id), password(sim, client_id), **more)


@ALL
def test_telemetry_by_hand(sim: SimulationUnderTest, client_id: str) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(publish(events(client_id, "%24.mid=1&a=b"), b"1", mid=7))
        assert client.read(4) == b"\x40\x02\x00\x07"
        client.send(publish(events(client_id), b"2", qos=0), publish(events(client_id)[:-1], b"3", mid=8))
        assert client.read(4) == b"\x40\x02\x00\x08"
        client.send(publish(events(client_id, "a=b/"), b"4", mid=9), PINGREQ)
        assert client.read(6) == b"\x40\x02\x00\x09" + PINGRESP
    arrived = sim.until_arrived(4)
    assert [message.body for message in arrived] == [b"1", b"2", b"3", b"4"]
    assert arrived[0].properties == (("$.mid", "1"), ("a", "b"))
    assert arrived[3].properties == (("a", "b"),), "a slash at the end is allowed"


@ALL
@pytest.mark.parametrize(
    "after_connect",
    [
        packet(0x34, field("any") + b"\0\1"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
        b"\x30\xff\xff\xff\xff\xff",
        packet(0x30, b"\0\0"),
        packet(0x30, field("devices/#")),
        packet(0x30, field(b"\xff\xfe")),
        packet(0x32, field("a") + b"\0\0"),
        packet(0x80, b"\0\1" + field("a") + b"\1"),
        packet(0x82, b"\0\1"),
        packet(0x82, b"\0\1" + field("a") + b"\3"),
        packet(0x36, field("a") + b"\0\1"),
        packet(0x50, b"\0\1"),
        packet(0x62, b"\0\1"),
        packet(0xF0),
        packet(0x00),
        packet(0x20, b"\0\0"),
        packet(0x30, bytes(LARGEST + 65_540)),
    ],
    ids=lambda raw: raw[:6].hex(" "),
)
def test_nonsense_ends_the_connection(sim: SimulationUnderTest, client_id: str, after_connect: bytes) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(after_connect)
        assert client.rest() == b""
    until(lambda: not sim.is_connected(client_id), "it is known to be gone")
    assert_in_order(sim)


@ALL
def test_a_second_connect_ends_the_connection(sim: SimulationUnderTest, client_id: str) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(connect_of(sim, client_id))
        assert client.rest() == b""


@ALL
def test_qos_2_ends_the_connection(sim: SimulationUnderTest, client_id: str) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(publish(events(client_id), b"1", qos=2))
        assert client.rest() == b""
    assert_in_order(sim)


@pytest.mark.parametrize(
    "first",
    [PINGREQ, publish("devices/direct-1/messages/events/"), subscribe("#"), packet(0xE0), b"\x16\x03\x01", b"\0" * 9],
    ids=lambda raw: raw[:4].hex(" "),
)
def test_what_is_not_connect_at_first_ends_the_connection(sim: SimulationUnderTest, first: bytes) -> None:
    with RawClient(sim) as client:
        client.send(first)
        assert client.rest() == b""
    assert_in_order(sim)


@pytest.mark.parametrize(("level", "name"), [(5, "MQTT"), (3, "MQIsdp"), (6, "MQTT"), (0x84, "MQTT")])
def test_other_versions_are_refused_with_1(sim: SimulationUnderTest, level: int, name: str) -> None:
    with RawClient(sim) as client:
        client.send(connect(DEVICE, user_name(sim, DEVICE), password(sim, DEVICE), level=level, name=name))
        assert client.rest() == b"\x20\x02\x00\x01"


def test_an_empty_client_id_is_refused_with_2_and_bad_credentials_with_5(sim: SimulationUnderTest) -> None:
    for client_id, secret, code in (("", password(sim, DEVICE), 2), (DEVICE, "no token", 5), ("nobody", "", 5)):
        with RawClient(sim) as client:
            client.send(connect(client_id, user_name(sim, client_id), secret))
            assert client.rest() == bytes([0x20, 2, 0, code])


def test_a_connect_with_contradicting_flags_ends_the_connection(sim: SimulationUnderTest) -> None:
    for flags in (0xC1, 0xC8, 0x40, 0xDC):
        with RawClient(sim) as client:
            client.send(connect_of(sim, DEVICE, flags=flags))
            assert client.rest() == b"", hex(flags)


@pytest.mark.parametrize(
    "topic",
    [
        "devices/leaf-1/messages/events/",
        "devices/edge-1/modules/scorer/messages/events/",
        "devices/direct-1/messages/events-/",
        "devices/direct-1/messages/devicebound/",
        "$iothub/twin/PATCH/properties/desired/",
        "$iothub/twin/POST/?$rid=1",
        "any",
    ],
)
def test_iot_hub_ends_the_connection_for_a_topic_that_is_not_the_clients(sim: SimulationUnderTest, topic: str) -> None:
    with RawClient.signed_in(sim, DEVICE) as client:
        client.send(publish(topic, b"1"))
        assert client.rest() == b""
    assert_in_order(sim)


@pytest.mark.parametrize("client_id", [LEAF, SCORER])
@pytest.mark.parametrize("topic", ["devices/direct-1/messages/events/", "any", "$iothub/twin/POST/?$rid=1"])
def test_edge_hub_drops_and_acknowledges_them(sim: SimulationUnderTest, client_id: str, topic: str) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(publish(topic, b"1", mid=5), PINGREQ)
        assert client.read(6) == b"\x40\x02\x00\x05" + PINGRESP
    assert_in_order(sim)


@ALL
@pytest.mark.parametrize(
    "name",
    ["#", "+/+/#", "devices/#", "devices/leaf-2/messages/devicebound/#", "$iothub/#", "devices/+/messages/events/#"],
)
def test_subscriptions_to_what_is_not_the_clients_are_refused(
    sim: SimulationUnderTest, client_id: str, name: str
) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        client.send(subscribe(name, mid=3))
        assert client.read(5) == b"\x90\x03\x00\x03\x80"


@ALL
def test_at_most_quality_1_is_granted(sim: SimulationUnderTest, client_id: str) -> None:
    with RawClient.signed_in(sim, client_id) as client:
        for qos in (0, 1, 2):
            client.send(subscribe("$iothub/twin/res/#", qos))
            assert client.read(5) == bytes([0x90, 3, 0, 1, min(qos, 1)])
        client.send(packet(0xA2, b"\0\2" + field("$iothub/twin/res/#")))
        assert client.read(4) == b"\xb0\x02\x00\x02"


@ALL
def test_a_message_over_the_limit_ends_the_connection(sim: SimulationUnderTest, client_id: str) -> None:
    """IoT Hub counts the body and the properties, edgeHub the whole packet."""
    rest = len("a=b") if client_id == DEVICE else 4 + len(events(client_id, "a=b"))
    with RawClient.signed_in(sim, client_id) as client:
        client.send(publish(events(client_id, "a=b"), bytes(LARGEST - rest)))
        assert client.read(4) == b"\x40\x02\x00\x01"
        client.send(publish(events(client_id, "a=b"), bytes(LARGEST - rest + 1)))
        assert client.rest() == b""
    assert len(sim.until_arrived(1)) == 1


@ALL
def test_packets_may_come_in_pieces_and_many_in_one(sim: SimulationUnderTest, client_id: str) -> None:
    with RawClient(sim) as client:
        raw = connect_of(sim, client_id) + publish(events(client_id), b"1", mid=1)
        for place in range(0, len(raw), 7):
            client.send(raw[place : place + 7])
        assert client.read(8)[4:] == b"\x40\x02\x00\x01"
        client.send(*(publish(events(client_id), b"%d" % number, mid=number) for number in range(2, 200)))
        assert client.read(198 * 4)[-4:] == b"\x40\x02\x00\xc7"
    assert [int(message.body) for message in sim.until_arrived(199)] == list(range(1, 200))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(sim: SimulationUnderTest, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=sim.ca_pem)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((sim.host, 8883)) as plain,
        context.wrap_socket(plain, server_hostname=sim.host) as secure,
    ):
        assert secure.version() == version.name.replace("_", ".")


def test_plain_bytes_are_not_answered(sim: SimulationUnderTest) -> None:
    with socket.create_connection((sim.host, 8883), 30) as plain:
        plain.sendall(connect_of(sim, DEVICE))
        assert b"\x20\x02" not in plain.recv(100)[:2]
    assert_in_order(sim)
