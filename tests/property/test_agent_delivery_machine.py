"""Delivery under any sequence of faults, against a model of buffer and connection.

Proves: nothing is lost, nothing is sent before what goes before it, never more than a window is under way, nothing is
sent without a connection, and whatever happened, a good connection empties the buffer.
"""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from device_agent.messages import delivery
from device_agent.messages.delivery import Delivery
from device_agent.messages.delivery_actions import Connect, Load, Publish, Remove, SetAside, State
from device_agent.messages.message import SET_ASIDE, Message, Stored, key_lane, key_number, message_key
from device_agent.messages.transport import Loss
from tests.examples import examples

SMALL = {"HELD_MESSAGES": 8, "LOAD_MESSAGES": 4, "HELD_BYTES": 4000, "LOAD_BYTES": 1000}


class DeliveryMachine(RuleBasedStateMachine):
    """Rules are events of the world; actions of the core are carried out at once or later, as the world pleases."""

    @initialize(window=st.integers(1, 5), live_first=st.booleans())
    def begin(self, window: int, live_first: bool) -> None:
        """An empty buffer, and a start."""
        self.usual = {name: getattr(delivery, name) for name in SMALL}
        self.limit(SMALL)
        self.window = window
        self.core = Delivery(window=window, live_first=live_first)
        self.disk: dict[int, Stored] = {}
        self.aside: dict[int, Stored] = {}
        self.number = 0
        self.now_s = 0.0
        self.link = "down"
        self.on_the_wire: list[int] = []
        self.loads: list[Load] = []
        self.removals: list[list[int]] = []
        self.told: set[int] = set()
        self.delivered: Counter[int] = Counter()
        self.all: dict[int, int] = {}
        self.excused: set[int] = set()
        self.losses = 0
        self.core.start()
        self.carry_out()

    @staticmethod
    def limit(limits: dict[str, int]) -> None:
        """Let the core hold no more than this."""
        for name, value in limits.items():
            setattr(delivery, name, value)

    def carry_out(self) -> None:
        """What the core wants."""
        while actions := self.core.poll(self.now_s):
            for action in actions:
                match action:
                    case Connect():
                        assert self.link == "down"
                        self.link = "connecting"
                    case Publish(stored):
                        assert self.link == "up"
                        assert stored.key in self.disk
                        assert not stored.deadline_s or stored.deadline_s > self.now_s
                        self.check_turn(stored.key)
                        self.on_the_wire.append(stored.key)
                    case Load():
                        self.loads.append(action)
                    case Remove(keys, expired):
                        if expired:
                            assert all(self.disk[key].deadline_s <= self.now_s for key in keys if key in self.disk)
                            self.excused |= {key_number(key) for key in keys}
                        self.removals.append(keys)
                    case SetAside(key):
                        assert self.losses >= delivery.CONNECTIONS_TO_BREAK
                        if key in self.disk:
                            self.aside[key] = self.disk.pop(key)
                        self.core.removed([key])

    def check_turn(self, key: int) -> None:
        """Nothing that the core was told of goes before this one, except what is under way."""
        under_way = {*self.on_the_wire, *(gone for keys in self.removals for gone in keys)}
        earlier = [other for other in self.disk if other < key and other in self.told and other not in under_way]
        earlier = [other for other in earlier if not self.is_over(other)]
        if self.core.live_first:
            earlier = [other for other in earlier if key_lane(other) < key_lane(key)]
        assert not earlier, f"{key} was sent before {earlier}"

    def is_over(self, key: int) -> bool:
        """Whether its time to live has ended."""
        return 0 < self.disk[key].deadline_s <= self.now_s

    @rule(
        lanes=st.lists(st.integers(3, 5), min_size=1, max_size=6),
        size=st.integers(0, 900),
        ttl=st.sampled_from([0, 0, 30]),
    )
    def store(self, lanes: list[int], size: int, ttl: int) -> None:
        """Messages have become durable."""
        fresh = []
        for lane in lanes:
            self.number += 1
            message = Message(b"x" * size, "out", str(self.number), priority=lane)
            stored = Stored(message_key(lane, self.number), self.now_s + ttl if ttl else 0.0, message)
            self.disk[stored.key] = stored
            self.all[self.number] = lane
            fresh.append(stored)
        self.told |= {stored.key for stored in fresh}
        self.core.stored(fresh)
        self.carry_out()

    @precondition(lambda self: self.link == "connecting")
    @rule()
    def connect(self) -> None:
        """The attempt succeeds."""
        self.link = "up"
        self.core.connected(self.now_s)
        self.carry_out()

    @precondition(lambda self: self.link != "down")
    @rule(loss=st.sampled_from(Loss), chance=st.floats(0, 1))
    def lose(self, loss: Loss, chance: float) -> None:
        """The connection breaks; what was on the wire may have arrived."""
        self.link = "down"
        if loss in (Loss.CLOSED, Loss.SILENT):
            self.losses += 1
        self.on_the_wire.clear()
        self.core.disconnected(loss, self.now_s, chance)
        if self.core.state is State.WAITING:
            assert self.core.wake_at_s is not None
            assert 0.99 <= self.core.wake_at_s - self.now_s <= 60.01
        self.carry_out()

    @precondition(lambda self: self.on_the_wire)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        """The other side confirms one of them."""
        key = data.draw(st.sampled_from(self.on_the_wire))
        self.on_the_wire.remove(key)
        self.delivered[key_number(key)] += 1
        self.core.published(key)
        self.carry_out()

    @precondition(lambda self: self.loads)
    @rule()
    def load(self) -> None:
        """The buffer answers."""
        self.answer_load()
        self.carry_out()

    def answer_load(self) -> None:
        """What is on disk now, as far as asked."""
        wanted = self.loads.pop(0)
        keys = sorted(key for key in self.disk if wanted.after < key <= wanted.until)[: wanted.limit]
        found: list[Stored] = []
        for key in keys:
            if found and sum(len(stored.message.body) for stored in found) > wanted.limit_bytes:
                break
            found.append(self.disk[key])
        self.core.loaded(wanted.number, found)

    @precondition(lambda self: self.removals)
    @rule()
    def remove(self) -> None:
        """The buffer has removed what it was asked to."""
        keys = self.removals.pop(0)
        for key in keys:
            self.disk.pop(key, None)
        self.core.removed(keys)
        self.carry_out()

    @precondition(lambda self: self.disk)
    @rule(count=st.integers(1, 4))
    def drop_oldest(self, count: int) -> None:
        """The buffer was full and dropped some by itself."""
        keys = sorted(self.disk, key=key_number)[:count]
        for key in keys:
            del self.disk[key]
        self.excused |= {key_number(key) for key in keys}
        self.core.discarded(keys)
        self.on_the_wire = [key for key in self.on_the_wire if key not in keys]
        self.carry_out()

    @precondition(lambda self: self.aside)
    @rule()
    def restore(self) -> None:
        """What was set aside is put back."""
        self.disk.update(self.aside)
        self.aside.clear()
        self.core.rescan()
        self.carry_out()

    @rule(seconds=st.sampled_from([0.1, 5.0, 61.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds
        self.carry_out()

    @rule()
    def hurry(self) -> None:
        """Somebody does not want to wait."""
        self.core.hurry()
        self.carry_out()

    @invariant()
    def no_more_than_a_window_is_under_way(self) -> None:
        """On the wire, or delivered and still in the buffer."""
        if hasattr(self, "core"):
            leaving = [key for keys in self.removals for key in keys]
            delivered = [key for key in leaving if key in self.disk and key_number(key) in self.delivered]
            assert len(self.on_the_wire) + len(delivered) <= self.window

    def teardown(self) -> None:
        """A good connection empties the buffer; every message was delivered, set aside or excused."""
        if not hasattr(self, "core"):
            return
        try:
            self.empty()
        finally:
            self.limit(self.usual)

    def empty(self) -> None:
        """See teardown."""
        for _ in range(5000):
            self.carry_out()
            if self.link == "down":
                self.wait(61.0)
            elif self.link == "connecting":
                self.connect()
            elif self.loads:
                self.load()
            elif self.removals:
                self.remove()
            elif self.on_the_wire:
                key = self.on_the_wire.pop(0)
                self.delivered[key_number(key)] += 1
                self.core.published(key)
            else:
                break
        assert not self.disk, f"never sent: {sorted(self.disk)}"
        aside = {key_number(key) for key in self.aside}
        assert set(self.all) <= set(self.delivered) | aside | self.excused
        assert all(key_lane(key) != SET_ASIDE for key in self.aside)


DeliveryMachine.TestCase.settings = settings(
    max_examples=examples(150), stateful_step_count=60, deadline=None, phases=[Phase.generate, Phase.shrink]
)
TestDelivery = DeliveryMachine.TestCase
