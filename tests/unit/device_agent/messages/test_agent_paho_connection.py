"""One MQTT connection, driven by hand: bytes in, bytes and events out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.messages.transport import Loss
from tests.unit.device_agent.messages.paho_world import ACCEPTED, PahoWorld


def publish_packet(mid: int, payload: bytes, qos: int = 1, flags: int = 0, properties: bytes | None = b"\x00") -> bytes:
    """A PUBLISH on the topic `in`."""
    rest = b"\x00\x02in" + (mid.to_bytes(2, "big") if qos else b"") + (properties or b"") + payload
    return bytes([0x30 | flags | qos << 1, len(rest)]) + rest


@pytest.fixture
def world() -> PahoWorld:
    world = PahoWorld()
    world.accept()
    return world


def test_an_end_is_told_once_and_never_from_inside_a_call(world: PahoWorld) -> None:
    world.connection.close(Loss.SILENT, "enough")
    world.connection.close(Loss.CLOSED, "more than enough")
    assert world.events == []
    assert world.wire.is_aborted
    world.connection.connection_lost(None)
    world.loop.turn_until_idle()
    assert world.events == [("closed", Loss.SILENT, "enough", None)]


def test_nothing_is_told_after_the_end(world: PahoWorld) -> None:
    world.on_message = lambda: world.connection.close(Loss.PLANNED, "enough")
    world.connection.data_received(publish_packet(1, b"a") + publish_packet(2, b"b") + ACCEPTED["5"])
    world.receive(publish_packet(3, b"c"))
    world.connection.connection_lost(ConnectionResetError("reset"))
    world.loop.turn_until_idle()
    assert [event[0] for event in world.events] == ["message", "closed"]
    world.connection.acknowledge(1, 1)
    world.loop.turn_until_idle()
    assert world.wire.take() == b"\xe0\x00", "DISCONNECT, and no acknowledgement"


def test_a_planned_end_sends_what_was_published_first(world: PahoWorld) -> None:
    world.connection.publish("t", b"last", qos=0)
    world.connection.close(Loss.PLANNED, "enough")
    world.loop.turn_until_idle()
    assert world.wire.take() == b"\x30\x08\x00\x01t\x00last\xe0\x00"
    assert not world.wire.is_aborted
    world.loop.advance(1)
    assert world.wire.is_aborted, "a broker that does not close is left"


def test_packets_of_one_turn_leave_in_one_write(world: PahoWorld) -> None:
    world.connection.acknowledge(7, 1)
    for _ in range(5):
        world.connection.publish("t", b"x")
    assert world.wire.writes == []
    world.loop.turn_until_idle()
    assert len(world.wire.writes) == 1


def test_a_peer_that_reads_slowly_gets_everything_in_order(world: PahoWorld) -> None:
    world.connection.pause_writing()
    numbers = [world.connection.publish("t", bytes([number])) for number in range(5)]
    world.loop.turn_until_idle()
    assert world.wire.take() == b""
    world.connection.resume_writing()
    sent = world.wire.take()
    assert [sent[position - 1] for position in range(9, len(sent) + 1, 9)] == [0, 1, 2, 3, 4]
    world.receive(b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in range(1, 6)))
    assert world.events == [("confirmed", number) for number in numbers]


@given(cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_bytes_mean_the_same_however_they_are_cut(cuts: list[int]) -> None:
    world = PahoWorld()
    world.accept()
    properties = b"\x07\x26\x00\x01a\x00\x01b"
    stream = b"".join(
        [
            publish_packet(1, b"x" * 90, properties=properties),
            publish_packet(0, b"", qos=0, flags=1),
            b"\xd0\x00",
            b"\x32\xde\x07\x00\x02in\x00\x02\x00" + b"y" * 983,
            publish_packet(3, b"z", flags=8),
        ]
    )
    before = 0
    for cut in [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]:
        world.receive(stream[before:cut])
        before = cut
    assert world.events == [
        ("message", "in", b"x" * 90, 1, 1, False, False, properties[1:]),
        ("message", "in", b"", 0, 0, False, True, b""),
        ("message", "in", b"y" * 983, 2, 1, False, False, b""),
        ("message", "in", b"z", 3, 1, True, False, b""),
    ]


def test_what_a_broker_does_not_take_yet_waits_in_order() -> None:
    world = PahoWorld(window=10)
    world.receive(b"\x20\x06\x00\x00\x03\x21\x00\x02")
    world.events.clear()
    numbers = [world.connection.publish("t", bytes([number])) for number in range(4)]
    world.loop.turn_until_idle()
    assert world.wire.take().count(b"\x00\x01t") == 2
    world.receive(b"\x40\x02\x00\x01")
    numbers.append(world.connection.publish("t", b"\x04"))
    world.loop.turn_until_idle()
    assert world.wire.take()[-1:] == b"\x02", "the new one does not overtake"
    world.receive(b"\x40\x02\x00\x02\x40\x02\x00\x03")
    world.receive(b"\x40\x02\x00\x04\x40\x02\x00\x05")
    assert world.events == [("confirmed", number) for number in numbers]


def test_a_message_that_is_refused_makes_room_for_the_next() -> None:
    world = PahoWorld(window=1)
    world.accept()
    numbers = [world.connection.publish("t", bytes([number])) for number in range(2)]
    world.loop.turn_until_idle()
    world.wire.take()
    world.receive(b"\x40\x04\x00\x01\x95\x00")
    assert world.events == [("refused", numbers[0], "packet too large", 0x95)]
    assert world.wire.take()[-1:] == b"\x01", "the next one is sent"


def test_what_we_publish_does_not_come_back_but_a_shared_subscription_cannot_ask_for_that(world: PahoWorld) -> None:
    world.connection.subscribe([("a", 1), ("$share/g/a", 1)])
    world.loop.turn_until_idle()
    qos_1, no_local, retained_if_new = 1, 4, 1 << 4
    assert world.wire.take()[5:] == (
        b"\x00\x01a"
        + bytes([qos_1 | no_local | retained_if_new])
        + b"\x00\x0a$share/g/a"
        + bytes([qos_1 | retained_if_new])
    )


def test_a_number_that_is_never_confirmed_is_not_used_again(world: PahoWorld) -> None:
    stuck = world.connection.publish("t", b"stuck")
    world.connection._client._last_mid = 65_534
    world.connection.publish("t", b"65535")
    after = world.connection.publish("t", b"2, since 1 is in use")
    world.receive(b"\x40\x02\x00\x02")
    assert world.events == [("confirmed", after)]
    world.receive(b"\x40\x02\x00\x01\x40\x02\x00\x01")
    assert world.events[1:] == [("confirmed", stuck)]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_silence_is_noticed_while_sending_and_data_ends_it(version: str) -> None:
    world = PahoWorld(version, keep_alive_s=10)
    world.accept()
    for _ in range(4):
        world.connection.publish("t", b"x")
        world.loop.advance(12)
        world.receive(b"\xd0\x00")
        assert world.events == []
    for _ in range(14):
        world.connection.publish("t", b"x")
        world.loop.advance(1)
    assert [event[:2] for event in world.events] == [("closed", Loss.SILENT)]


def test_no_answer_is_an_end() -> None:
    world = PahoWorld(connect_timeout_s=5)
    world.loop.advance(4.9)
    assert world.events == []
    world.loop.advance(0.2)
    assert [event[:2] for event in world.events] == [("closed", Loss.SILENT)]


def test_the_will_the_user_and_the_session_are_in_the_connect_packet() -> None:
    packets = {}
    for version in ("5", "3.1.1"):
        world = PahoWorld(version, user="u", password="p", will=("w", b"gone", 1, True), receive_maximum=9)
        world.connection._client.reconnect()
        world.loop.turn_until_idle()
        packets[version] = world.wire.take()
    flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04  # user, password, retained will with QoS 1; no clean start
    assert packets["5"][2:] == (
        b"\x00\x04MQTT\x05" + bytes([flags]) + b"\x00\x3c\x08\x11\xff\xff\xff\xff\x21\x00\x09"
        b"\x00\x02me\x00\x00\x01w\x00\x04gone\x00\x01u\x00\x01p"
    )
    assert packets["3.1.1"][2:] == (
        b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c\x00\x02me\x00\x01w\x00\x04gone\x00\x01u\x00\x01p"
    )


def test_qos_2_is_received_when_acknowledged(world: PahoWorld) -> None:
    world.receive(publish_packet(5, b"x", qos=2))
    assert world.wire.take() == b""
    world.connection.acknowledge(5, 2)
    world.loop.turn_until_idle()
    assert world.wire.take() == b"\x50\x02\x00\x05"
    world.receive(b"\x62\x02\x00\x05")
    assert world.wire.take() == b"\x70\x02\x00\x05"
