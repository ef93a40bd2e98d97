"""The session of a device: what it sends and believes, in virtual time, against packets written by hand."""

import pytest

from simulator.devices.session import Acknowledged, Incoming, Opened, Session, SessionFault, SessionSettings, Telemetry
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from simulator.mqtt.reading import PacketReader

SETTINGS = SessionSettings("d", "hub/d/?api-version=x")


class Wire:
    """Both directions of a session, and the time."""

    def __init__(self, settings: SessionSettings = SETTINGS) -> None:
        self.session = Session(settings)
        self.now_s = 100.0

    def sent(self) -> list[Packet]:
        """What the session wants to send now."""
        return PacketReader().feed(self.session.take(self.now_s))

    def comes(self, *packets: Packet) -> None:
        """These come from the other side."""
        self.session.feed(b"".join(map(encode, packets)), self.now_s)

    def up(self, *, present: bool = False) -> list[Packet]:
        """Connect; what follows the CONNECT."""
        self.session.open(b"token", self.now_s)
        self.sent()
        self.comes(Connack(0, present))
        return self.sent()

    def events(self) -> list[object]:
        """What the session has to tell."""
        return list(self.session.poll())


def message(number: int) -> Telemetry:
    """A message."""
    return Telemetry(f"d-{number}", number, 1.0, f"t/{number}", b"%d" % number)


def acknowledged(wire: Wire) -> list[int]:
    """The numbers of the messages that the session says are safe."""
    return [event.message.sequence for event in wire.events() if isinstance(event, Acknowledged)]


def test_it_signs_in_and_keeps_its_session() -> None:
    wire = Wire()
    wire.session.open(b"token", 0.0)
    assert wire.sent() == [Connect("d", "hub/d/?api-version=x", b"token", 60, clean=False)]
    wire.comes(Connack(0, True))
    assert wire.session.is_open
    assert wire.events() == [Opened()]


def test_filters_are_subscribed_to_until_the_other_side_keeps_them() -> None:
    wire = Wire(SETTINGS._replace(filters=("a/#", "b")))
    wire.session.offer(message(1))
    assert wire.up() == [Subscribe(1, (("a/#", 1), ("b", 1)))]
    assert not wire.session.is_open
    wire.comes(Suback(1, (1, 0x80)))
    assert wire.events() == [Opened(("b",))]
    assert wire.sent() == [Publish("t/1", b"1", 1, 2)]
    wire.session.lost()
    assert [type(packet) for packet in wire.up(present=True)] == [Publish, Subscribe]
    wire.comes(Suback(4, (1,)))
    wire.session.lost()
    assert [type(packet) for packet in wire.up(present=True)] == [Publish]
    wire.session.lost()
    assert [type(packet) for packet in wire.up(present=False)] == [Publish, Subscribe]


def test_messages_go_out_in_order_up_to_the_window() -> None:
    wire = Wire(SETTINGS._replace(window=2))
    for number in range(1, 5):
        assert wire.session.offer(message(number))
    assert wire.up() == [Publish("t/1", b"1", 1, 1), Publish("t/2", b"2", 1, 2)]
    wire.comes(Puback(2))
    assert wire.sent() == [Publish("t/3", b"3", 1, 3)]
    wire.comes(Puback(1), Puback(3))
    assert acknowledged(wire) == [2, 1, 3]
    assert wire.sent() == [Publish("t/4", b"4", 1, 4)]
    assert wire.session.held == 1


def test_what_was_not_acknowledged_goes_first_and_as_a_repetition() -> None:
    wire = Wire(SETTINGS._replace(window=3))
    for number in range(1, 6):
        wire.session.offer(message(number))
    wire.up()
    wire.comes(Puback(2))
    wire.session.lost()
    wire.events()
    assert wire.up() == [
        Publish("t/1", b"1", 1, 5, dup=True),
        Publish("t/3", b"3", 1, 6, dup=True),
        Publish("t/4", b"4", 1, 7, dup=True),
    ]
    wire.comes(Puback(1), Puback(5))
    assert acknowledged(wire) == [1]
    assert wire.session.repeats == 3


def test_a_full_backlog_refuses() -> None:
    wire = Wire(SETTINGS._replace(backlog=2))
    assert [wire.session.offer(message(number)) for number in (1, 2, 3)] == [True, True, False]
    assert [held.sequence for held in wire.session.held_messages()] == [1, 2]
    wire.up()
    wire.comes(Puback(1))
    assert wire.session.has_room


def test_qos_0_counts_when_it_is_handed_over() -> None:
    wire = Wire(SETTINGS._replace(qos=0))
    wire.session.offer(message(1))
    assert acknowledged(wire) == []
    assert wire.up() == [Publish("t/1", b"1")]
    assert acknowledged(wire) == [1]


def test_nothing_more_is_handed_to_a_connection_that_is_paused_or_about_to_be_replaced() -> None:
    wire = Wire()
    wire.up()
    wire.session.is_paused = True
    wire.session.offer(message(1))
    assert wire.sent() == []
    wire.session.is_paused = False
    wire.session.pump()
    assert wire.sent() == [Publish("t/1", b"1", 1, 1)]
    wire.session.hold_back()
    wire.session.offer(message(2))
    assert wire.sent() == []
    wire.session.hang_up()
    assert wire.sent() == [Disconnect()]
    wire.session.lost()
    assert wire.up()[-1] == Publish("t/2", b"2", 1, 3)


def test_what_comes_is_acknowledged() -> None:
    wire = Wire()
    wire.up()
    wire.events()
    wire.comes(Publish("a", b"x", 1, 7), Publish("b", b"y"))
    assert wire.events() == [Incoming("a", b"x"), Incoming("b", b"y")]
    assert wire.sent() == [Puback(7)]


def test_a_silent_connection_is_tested_and_given_up() -> None:
    wire = Wire(SETTINGS._replace(keep_alive_s=60))
    wire.up()
    for _ in range(29):
        wire.now_s += 1
        wire.session.wake(wire.now_s)
        assert wire.sent() == []
    wire.now_s += 2
    wire.session.wake(wire.now_s)
    assert wire.sent() == [Pingreq()]
    wire.comes(Pingresp())
    wire.now_s += 31
    wire.session.wake(wire.now_s)
    assert wire.sent() == [Pingreq()]
    wire.now_s += 29
    wire.session.wake(wire.now_s)
    wire.now_s += 2
    with pytest.raises(SessionFault, match="nothing came for 62 s"):
        wire.session.wake(wire.now_s)


def test_no_answer_to_connect() -> None:
    wire = Wire()
    wire.session.open(None, wire.now_s)
    wire.session.wake(wire.now_s + 29)
    with pytest.raises(SessionFault, match="no answer"):
        wire.session.wake(wire.now_s + 31)
    wire.session.lost()
    wire.session.wake(wire.now_s + 100)


@pytest.mark.parametrize(
    ("code", "word"), [(1, r"3\.1\.1"), (3, "not available"), (5, "may not connect"), (9, "code 9")]
)
def test_refusals_say_why(code: int, word: str) -> None:
    wire = Wire()
    wire.session.open(b"", 0.0)
    with pytest.raises(SessionFault, match=word) as fault:
        wire.comes(Connack(code))
    assert fault.value.is_refusal


@pytest.mark.parametrize("packet", [Publish("a", b"", 2, 1), Connect("x"), Subscribe(1, (("a", 1),)), Connack(0)])
def test_what_no_server_says_ends_the_connection(packet: Packet) -> None:
    wire = Wire()
    wire.up()
    with pytest.raises(SessionFault):
        wire.comes(packet)


def test_bytes_that_are_no_mqtt_end_the_connection() -> None:
    wire = Wire()
    wire.session.open(b"", 0.0)
    with pytest.raises(SessionFault, match="does not speak MQTT"):
        wire.session.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0)


def test_packet_identifiers_in_use_are_left_out() -> None:
    wire = Wire(SETTINGS._replace(window=70_000, backlog=70_000))
    wire.up()
    wire.session.offer(message(0))
    assert wire.sent() == [Publish("t/0", b"0", 1, 1)]
    for number in range(1, 65_536):
        wire.session.offer(message(number))
        (sent,) = wire.sent()
        assert isinstance(sent, Publish)
        mid = sent.mid
        wire.comes(Puback(mid))
    assert mid == 2
    assert wire.session.under_way == 1
