"""edgeHub and the real ledger under any sequence of messages, absences, routes and times, against a model of both ends.

Proves: every accepted message has exactly one fate, and it is the right one: delivered if and only if something of it
arrived; outstanding if a module took it, can reach the cloud, and answered nothing that can. Nothing arrives that was
not sent. Upstream, messages of a device and priority arrive in order. The ledger's copies are those in the queues:
nothing outstanding is forgotten. A module has one input at a time, and gets it again only marked as a repetition, or
anew where it was not subscribed meanwhile. And whatever happened, in the end all that no module lost has arrived.
"""

from collections import Counter
from collections.abc import Mapping

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from device_agent.messages.iothub.topics import parse_properties
from simulator.hub.links import MODULES_LINK
from simulator.hub.queues import Waiting
from simulator.ledger import Ledger
from simulator.message import HubMessage
from simulator.mqtt.packets import Connack, Puback, Publish, Suback, Unsubscribe
from tests.examples import examples
from tests.unit.simulator.hub.hub_world import HubWorld, Peer, acks, messages

SCORER = "edge/scorer"
INPUTS = "devices/edge/modules/scorer/inputs/#"
IN = 'FROM /messages WHERE NOT is_defined($connectionModuleId) INTO BrokeredEndpoint("/modules/scorer/inputs/a")'
OUT = "FROM /messages/modules/scorer/outputs/o INTO $upstream"
UP = {"route": "FROM /messages WHERE NOT is_defined($connectionModuleId) INTO $upstream", "priority": 5}
HOT = {"route": "FROM /messages WHERE hot = 'yes' INTO $upstream", "priority": 0, "timeToLiveSecs": 10}
THROUGH, PAST, BOTH = {"in": IN, "out": OUT}, {"up": UP, "hot": HOT}, {"in": IN, "out": OUT, "up": UP, "hot": HOT}
ROUTES = st.sampled_from([THROUGH, BOTH, PAST, {"in": IN}, {}])


class HubMachine(RuleBasedStateMachine):
    """Ids are unique; the body of a message is its id, that of an answer `re:` and the id of its input."""

    @initialize(routes=st.sampled_from([THROUGH, BOTH]), clean=st.booleans())
    def begin(self, routes: Mapping[str, object], clean: bool) -> None:
        """Two devices, one module that waits for its inputs."""
        self.routes = routes
        self.world = HubWorld(routes, ledger=self.book)
        self.world.registry.add_device("leaf2", parent="edge", keys=(b"primary key", b"secondary key"))
        self.arrivals: list[str] = []
        receive = self.world.hub.receive

        def received(message: HubMessage) -> None:
            self.arrivals.append(message.body.decode())
            receive(message)

        self.world.hub.receive = received  # type: ignore[method-assign]
        self.devices: dict[str, Peer] = {}
        self.last: dict[str, str] = {}
        self.sent: list[str] = []
        self.answers: dict[str, str] = {}
        self.answered: set[str] = set()
        self.taken: set[str] = set()
        self.newest: dict[tuple[str, int], int] = {}
        self.scorer: Peer | None = None
        self.under_way: Publish | None = None
        self.is_subscribed = False
        self.connect(clean, was_half_open=False)
        self.subscribe()

    def book(self, world: HubWorld) -> Ledger:
        """The real one."""
        self.ledger = Ledger(lambda: world.real_s, lambda module: world.edge.reaches_cloud(module))
        return self.ledger

    # --- devices

    @rule(device=st.sampled_from(["leaf", "leaf2"]), hot=st.lists(st.booleans(), max_size=4))
    def send(self, device: str, hot: list[bool]) -> None:
        """A device sends some messages; or its last one again, whose acknowledgement it has not seen."""
        if not hot and device in self.last:
            self.publish(device, reconnects=True)
        for is_hot in hot:
            message_id = f"{device}-{len(self.sent) + 1}"
            self.sent.append(message_id)
            self.last[device] = f"%24.mid={message_id}" + ("&hot=yes" if is_hot else "")
            self.publish(device, reconnects=False)

    def publish(self, device: str, reconnects: bool) -> None:
        """Hand over the last message of a device."""
        if reconnects or device not in self.devices:
            self.devices[device] = self.world.signed_in(device)
        body = parse_properties(self.last[device])[0][1].encode()
        assert acks(self.devices[device].publish(f"messages/events/{self.last[device]}", body)) == [1]
        self.look()

    # --- the module

    @rule(
        does=st.sampled_from(["connect", "leave", "subscribe", "unsubscribe"]),
        clean=st.booleans(),
        was_half_open=st.booleans(),
    )
    def change_session(self, does: str, clean: bool, was_half_open: bool) -> None:
        """It connects, loses its connection, or changes its mind about what it wants; what cannot be is passed over."""
        if does == "connect":
            self.connect(clean, was_half_open)
        elif self.scorer is not None and does == "leave":
            self.leave()
        elif self.scorer is not None and (does == "subscribe") != self.is_subscribed:
            (self.subscribe if does == "subscribe" else self.unsubscribe)()

    def connect(self, clean: bool, was_half_open: bool) -> None:
        """It connects, perhaps without having left."""
        if self.scorer is None and was_half_open:
            self.world.network.change(MODULES_LINK, half_open=True)
        has_session = not clean and not getattr(self, "was_clean", True)
        self.scorer = self.world.connect(SCORER, clean=clean)
        if self.world.network.condition(MODULES_LINK).half_open:
            assert self.scorer.wire.packets == []
            self.world.network.change(MODULES_LINK, half_open=False)
        assert self.scorer.wire.packets.pop(0) == Connack(0, session_present=has_session)
        self.is_subscribed = self.is_subscribed and has_session
        self.was_clean = clean
        self.sent_again()

    def leave(self) -> None:
        """Its connection is lost."""
        assert self.scorer is not None
        self.scorer.connection.lost()
        self.scorer = None

    def subscribe(self) -> None:
        """It asks for its inputs."""
        assert self.scorer is not None
        self.is_subscribed = True
        packets = self.scorer.subscribe(INPUTS)
        assert packets[0] == Suback(1, (1,))
        self.scorer.wire.packets[:0] = packets[1:]
        self.look()

    def unsubscribe(self) -> None:
        """It does not want any more."""
        assert self.scorer is not None
        self.is_subscribed = False
        self.scorer.send(Unsubscribe(2, (INPUTS,)))

    @rule(
        turns=st.lists(
            st.tuples(st.sampled_from(["o", "", "debug"]), st.booleans(), st.sampled_from([True, True, False])),
            min_size=1,
            max_size=4,
        ),
        again=st.booleans(),
    )
    def work(self, turns: list[tuple[str, bool, bool]], again: bool) -> None:
        """It works on some inputs, if it has any: answers or not, acknowledges before, after, or not at all."""
        if self.scorer is None:
            self.connect(clean=False, was_half_open=False)
        if not self.is_subscribed:
            self.subscribe()
        for says, is_first, acknowledges in turns:
            if self.under_way is None:
                return
            body = self.under_way.payload.decode()
            if says and is_first:
                self.answer(body, says, again)
            if acknowledges:
                self.acknowledge()
            if says and not is_first:
                self.answer(body, says, again)

    def acknowledge(self) -> None:
        """Acknowledge the input."""
        assert self.scorer is not None
        assert self.under_way is not None
        self.taken.add(self.under_way.payload.decode())
        mid, self.under_way = self.under_way.mid, None
        self.scorer.wire.packets[:0] = self.scorer.send(Puback(mid))
        self.look()

    def answer(self, body: str, output: str, again: bool) -> None:
        """Publish something about an input, perhaps twice."""
        assert self.scorer is not None
        message_id = f"r-{len(self.answers) + 1}"
        self.answers[f"re:{body}"] = body
        if output == "o" and "out" in self.routes:
            self.answered.add(body)
        topic = f"messages/events/%24.on={output}&%24.mid={message_id}&%24.cid={body}"
        for _ in range(1 + again):
            packets = self.scorer.publish(topic, f"re:{body}".encode(), mid=9)
            assert acks(packets) == [9]
            self.scorer.wire.packets[:0] = messages(packets)

    def look(self) -> None:
        """What the module got: an input when it has none, never another one."""
        for packet in self.scorer.received() if self.scorer is not None else ():
            assert isinstance(packet, Publish)
            assert self.under_way is None
            assert not packet.dup
            self.under_way = packet

    def sent_again(self) -> None:
        """What is under way comes again, once, marked; or anew where the module has not kept its session."""
        assert self.scorer is not None
        before, self.under_way = self.under_way, None
        for packet in self.scorer.received():
            assert isinstance(packet, Publish)
            assert self.under_way is None
            assert packet.dup == (before is not None and packet == before._replace(dup=True))
            self.under_way = packet._replace(dup=False)

    # --- the way up, routes, time

    @rule(most=st.integers(1, 3), is_confirmed=st.booleans())
    def carry(self, most: int, is_confirmed: bool) -> None:
        """A batch goes upstream; its confirmation may be lost."""
        batch = self.world.edge.next_upstream(most)
        for waiting in batch:
            body = waiting.message.body.decode()
            if body in self.sent and body not in self.arrivals:
                line, number = (waiting.message.device_id, waiting.priority), self.sent.index(body)
                assert number > self.newest.get(line, -1)
                self.newest[line] = number
            self.world.hub.receive(waiting.message)
        for waiting in batch if is_confirmed else ():
            assert self.world.edge.upstream.remove(waiting)

    def configure(self, routes: Mapping[str, object]) -> None:
        """A new deployment."""
        self.routes = routes
        assert self.world.configure(routes) == (200, "")
        self.ledger.judge_again()

    @rule(by_s=st.sampled_from([0, 0, 0, 1, 1, 1, 10, 7200]), routes=st.none() | ROUTES)
    def wait(self, by_s: int, routes: Mapping[str, object] | None) -> None:
        """Time passes, or there is a new deployment."""
        if routes is not None:
            self.configure(routes)
        elif by_s:
            self.live_long(by_s)
        else:
            self.be_late()

    def live_long(self, by_s: int) -> None:
        """Simulated time passes."""
        self.world.now_s += by_s
        has_input = self.scorer is not None and self.under_way is not None
        self.world.edge.expire()
        if not has_input and not self.waiting("scorer"):
            self.under_way = None

    def be_late(self) -> None:
        """Real time passes: what is not acknowledged comes again, if the module still wants it."""
        self.world.real_s += 31
        self.world.edge.send_late_again()
        self.world.edge.send_late_again()
        if self.scorer is not None:
            self.sent_again()

    def waiting(self, endpoint: str = "") -> list[Waiting]:
        """All that the queues have."""
        edge = self.world.edge
        queues = {"$upstream": edge.upstream, **edge.inputs}
        lines = [queue._by_priority for name, queue in queues.items() if endpoint in ("", name)]
        return [each for line in lines for priority in line.values() for each in priority.waiting]

    # --- what always holds

    @invariant()
    def every_message_has_one_fate(self) -> None:
        """The sums are right, and nobody is forgotten."""
        entries = self.ledger.entries
        assert set(entries) == set(self.sent)
        assert +self.ledger.fates == Counter(entry.fate for entry in entries.values())
        figures = self.ledger.figures(is_over=True)
        fates = figures.delivered + figures.lost + figures.expired + figures.unrouted + figures.consumed
        assert figures.sent == fates == len(self.sent)

    @invariant()
    def the_fate_is_the_right_one(self) -> None:
        """See the module."""
        arrived = {self.answers.get(body, body) for body in self.arrivals}
        assert arrived <= set(self.sent)
        copies = Counter(each.message.trace for each in self.waiting())
        reaches = self.world.edge.reaches_cloud("scorer")
        for message_id, entry in self.ledger.entries.items():
            assert (entry.fate == "delivered") == (message_id in arrived)
            if message_id in arrived:
                continue
            assert entry.live == copies[message_id]
            owes = reaches and message_id in self.taken and message_id not in self.answered
            assert (entry.fate == "outstanding") == (owes or bool(copies[message_id]))

    @invariant()
    def an_input_is_under_way_once(self) -> None:
        """edgeHub waits for one acknowledgement at most, of what is in the queue."""
        client = self.world.edge.input_client("scorer")
        in_flight = list(client.in_flight.values()) if client is not None else []
        assert len(in_flight) <= 1
        under_way = self.world.edge._under_way.get("scorer")
        assert (under_way is None) == (not in_flight)
        if under_way is not None:
            assert in_flight[0].token is under_way.waiting
            assert any(under_way.waiting is each for each in self.waiting("scorer"))

    def teardown(self) -> None:
        """All is well again: what waits arrives, and only what the module took and did not answer is lost."""
        if not hasattr(self, "world"):
            return
        self.configure(BOTH)
        self.connect(clean=False, was_half_open=False)
        self.subscribe()
        while self.under_way is not None:
            self.answer(self.under_way.payload.decode(), "o", again=False)
            self.acknowledge()
        assert self.waiting("scorer") == []
        while self.waiting("$upstream"):
            self.carry(3, is_confirmed=True)
        self.every_message_has_one_fate()
        self.the_fate_is_the_right_one()
        lost = {each["id"] for each in self.ledger.outstanding(most=1000)}
        assert lost <= self.taken - self.answered


HubMachine.TestCase.settings = settings(max_examples=examples(70), stateful_step_count=30, deadline=None)
TestHubMachine = HubMachine.TestCase
