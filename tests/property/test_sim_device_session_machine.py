"""The session of a device under any sequence of faults, against a model of the other side and of the wire.

Proves: "A message that was taken by `offer` is kept until it is acknowledged; only then there is an `Acknowledged`,
once." "Messages go out in the order of `offer`. What was not acknowledged when a connection ended goes first over the
next one, in the same order, with `dup`, under the same message id." "At most `window` messages are unacknowledged at a
time, and at most `backlog` are held at all." And whatever happened, a good connection brings everything over.
"""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulator.devices.session import Acknowledged, Session, SessionSettings, Telemetry
from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import Connack, Connect, Packet, Puback, Publish, Suback, Subscribe
from simulator.mqtt.reading import PacketReader
from tests.examples import examples


class SessionMachine(RuleBasedStateMachine):
    """Rules are what the device, the wire and the other side do; both directions are cut into pieces at will."""

    @initialize(window=st.integers(1, 4), backlog=st.integers(1, 10), subscribes=st.booleans())
    def begin(self, window: int, backlog: int, subscribes: bool) -> None:
        """A device that was never connected."""
        self.window, self.backlog = window, backlog
        filters = ("a/#", "b") if subscribes else ()
        self.session = Session(SessionSettings("d", filters=filters, window=window, backlog=backlog))
        self.offered: list[str] = []
        self.acknowledged: list[str] = []
        self.received: dict[str, tuple[str, bytes]] = {}
        self.on_this_connection: list[str] = []
        self.first_sent: dict[str, int] = {}
        self.connection = 0
        self.unanswered: list[int] = []
        self.is_up = False
        self.has_session = False
        self.upward = self.downward = b""
        self.reader = PacketReader()

    @rule()
    def offer(self) -> None:
        """The device has a message."""
        number = len(self.offered) + 1
        message = Telemetry(f"d-{number}", number, 0.0, f"t/d-{number}", b"%d" % number)
        held = self.session.held
        assert self.session.offer(message) == (held < self.backlog)
        if held < self.backlog:
            self.offered.append(message.message_id)
        self.flush()

    @precondition(lambda self: not self.is_up)
    @rule(remembers=st.booleans())
    def connect(self, remembers: bool) -> None:
        """A new connection; the other side may have forgotten the session."""
        self.is_up = True
        self.has_session = self.has_session and remembers
        self.upward = self.downward = b""
        self.reader = PacketReader()
        self.on_this_connection = []
        self.unanswered = []
        self.connection += 1
        self.session.open(None, 0.0)
        self.flush()

    @precondition(lambda self: self.is_up)
    @rule()
    def cut(self) -> None:
        """The connection is gone, with everything on the wire."""
        self.is_up = False
        self.session.lost()
        self.look()

    @precondition(lambda self: self.is_up and self.upward)
    @rule(size=st.integers(1, 200))
    def carry_up(self, size: int) -> None:
        """Some bytes reach the other side."""
        piece, self.upward = self.upward[:size], self.upward[size:]
        for packet in self.reader.feed(piece):
            self.take(packet)

    @precondition(lambda self: self.is_up and self.downward)
    @rule(size=st.integers(1, 50))
    def carry_down(self, size: int) -> None:
        """Some bytes reach the device."""
        piece, self.downward = self.downward[:size], self.downward[size:]
        self.session.feed(piece, 0.0)
        self.look()
        self.flush()

    @precondition(lambda self: self.is_up and self.unanswered)
    @rule(place=st.integers(0, 3))
    def answer(self, place: int) -> None:
        """The other side acknowledges one of what it has, in any order."""
        self.downward += encode(Puback(self.unanswered.pop(place % len(self.unanswered))))

    @rule()
    def doze(self) -> None:
        """A part of a second goes by."""
        self.session.wake(0.0)
        self.flush()

    def take(self, packet: Packet) -> None:
        """What the other side does with a packet."""
        if isinstance(packet, Connect):
            assert not packet.clean
            self.downward += encode(Connack(0, self.has_session))
            self.has_session = True
        elif isinstance(packet, Subscribe):
            self.downward += encode(Suback(packet.mid, (1,) * len(packet.filters)))
        elif isinstance(packet, Publish):
            name = packet.topic.removeprefix("t/")
            assert packet.dup == (self.first_sent[name] < self.connection)
            assert self.received.setdefault(name, (packet.topic, packet.payload)) == (packet.topic, packet.payload)
            self.on_this_connection.append(name)
            self.unanswered.append(packet.mid)
        else:
            raise AssertionError(packet)

    def flush(self) -> None:
        """What the session sends goes on the wire."""
        if not self.is_up:
            assert self.session.take(0.0) == b""
            return
        taken = self.session.take(0.0)
        self.upward += taken
        for packet in PacketReader().feed(taken):
            if isinstance(packet, Publish):
                self.first_sent.setdefault(packet.topic.removeprefix("t/"), self.connection)

    def look(self) -> None:
        """What the session says."""
        for event in self.session.poll():
            if isinstance(event, Acknowledged):
                name = event.message.message_id
                assert name in self.received, "said to be acknowledged, but the other side never had it"
                assert name not in self.acknowledged, "acknowledged twice"
                self.acknowledged.append(name)

    @invariant()
    def keeps_everything(self) -> None:
        """What was offered is acknowledged or held, in the order in which it was offered."""
        if hasattr(self, "session"):
            held = [message.message_id for message in self.session.held_messages()]
            assert held == [name for name in self.offered if name not in set(self.acknowledged)]
            assert self.session.under_way <= self.window
            assert len(held) <= self.backlog

    @invariant()
    def keeps_the_order(self) -> None:
        """On one connection numbers only go up, and what arrives for the first time follows what went before it."""
        if hasattr(self, "session"):
            numbers = [int(name.removeprefix("d-")) for name in self.on_this_connection]
            assert numbers == sorted(set(numbers))
            first = [int(name.removeprefix("d-")) for name in self.received]
            assert first == sorted(first)

    def teardown(self) -> None:
        """A good connection brings everything over."""
        if not hasattr(self, "session"):
            return
        if self.is_up:
            self.cut()
        self.connect(remembers=True)
        for _ in range(200):
            if self.upward:
                self.carry_up(10_000)
            while self.unanswered:
                self.answer(0)
            if self.downward:
                self.carry_down(10_000)
        self.keeps_the_order()
        assert set(self.acknowledged) == set(self.offered)
        assert self.session.held == 0


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=examples(150), stateful_step_count=60, deadline=None)
