"""Any sequence of calls, for both buffers, against a model that is a dictionary."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from device_agent.messages.buffer.buffer_clock import BufferClock, Readings
from device_agent.messages.buffer.interface import Buffer
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import SET_ASIDE, Message, key_lane, key_number, message_key
from tests.examples import examples
from tests.fakes.memory_buffer import MemoryBuffer

MIB = 1024 * 1024
EVERYTHING = 0, message_key(16, 0), 100_000, 2**30
SIZES = st.sampled_from([0, 30, 300, 1500, 9000])


class BufferMachine(RuleBasedStateMachine):
    """The model: what is there by key, with its deadline. Only a full buffer may refuse or drop."""

    def __init__(self) -> None:
        super().__init__()
        self.boot_s = 100.0
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[int, tuple[float, Message]] = {}
        self.number = 0
        self.policy = "refuse"
        self.buffer = self.open()

    def open(self) -> Buffer:
        """The buffer, also after it was closed."""
        raise NotImplementedError

    @initialize(policy=st.sampled_from(["refuse", "drop_oldest"]))
    def choose(self, policy: str) -> None:
        self.policy = policy
        self.buffer.change_policy(policy)

    @rule(
        appends=st.lists(st.tuples(SIZES, st.integers(0, 2), st.sampled_from([0, 0, 5, 60])), max_size=12),
        part=st.sampled_from([0, 0, 1, 3, 10]),
        start=st.integers(0, 5),
        times=st.integers(1, 6),
    )
    def apply(self, appends: list[tuple[int, int, int]], part: int, start: int, times: int) -> None:
        for _ in range(times):
            removals = sorted(self.model)[start :: 11 - part] if part else []
            now_s = self.buffer.now_s()
            messages = []
            for place, (size, priority, ttl_s) in enumerate(appends):
                name = f"{self.number}/{place}"
                body = (name.encode() * (size // len(name) + 1))[:size]
                messages.append(Message(body, "out", name, priority=priority, ttl_s=ttl_s, origin=name.encode()))
            stored, dropped = self.buffer.apply(messages, removals)
            for key in removals:
                del self.model[key]
            assert [entry.message for entry in stored] == messages[: len(stored)]
            for entry in stored:
                assert key_number(entry.key) > self.number
                assert key_lane(entry.key) == entry.message.priority
                assert abs(entry.deadline_s - (now_s + entry.message.ttl_s if entry.message.ttl_s else 0)) < 0.002
                self.number = key_number(entry.key)
                self.model[entry.key] = entry.deadline_s, entry.message
            oldest = sorted(self.model, key=lambda key: (key_lane(key) != SET_ASIDE, key_number(key)))
            assert sorted(dropped) == sorted(oldest[: len(dropped)])
            for key in dropped:
                del self.model[key]
            if len(stored) < len(messages) or dropped:
                assert self.held_bytes() > 250_000, "full too early"
            assert not dropped or self.policy == "drop_oldest"
            assert len(stored) == len(messages) or self.policy == "refuse"

    def held_bytes(self) -> int:
        """Bytes of all messages with what a row takes."""
        return sum(len(message.body) + 100 for _, message in self.model.values())

    @rule(seconds=st.sampled_from([0.5, 4.0, 30.0]))
    def expire(self, seconds: float) -> None:
        self.boot_s += seconds
        now_s = self.buffer.now_s()
        expected = []
        closed: set[int] = set()
        for key in sorted(self.model):
            if key_lane(key) not in closed:
                if 0 < self.model[key][0] <= now_s:
                    expected.append(key)
                else:
                    closed.add(key_lane(key))
        assert sorted(self.buffer.expire()) == expected
        for key in expected:
            del self.model[key]

    @rule(place=st.integers(0, 1000))
    def set_aside(self, place: int) -> None:
        keys = sorted(self.model)
        if keys:
            key = keys[place % len(keys)]
            self.buffer.set_aside(key)
            self.model[message_key(SET_ASIDE, key_number(key))] = self.model.pop(key)

    @rule()
    def restore(self) -> None:
        aside = [key for key in self.model if key_lane(key) == SET_ASIDE]
        assert self.buffer.restore() == len(aside)
        for key in aside:
            deadline_s, message = self.model.pop(key)
            self.model[message_key(message.priority, key_number(key))] = deadline_s, message

    @rule(after=st.integers(0, 1000), until=st.integers(0, 1000), limit=st.integers(1, 20), limit_bytes=SIZES)
    def read(self, after: int, until: int, limit: int, limit_bytes: int) -> None:
        keys = [0, *sorted(self.model)]
        low, high = keys[after % len(keys)], keys[until % len(keys)]
        expected: list[int] = []
        for key in keys:
            if low < key <= high and len(expected) < limit:
                if expected and sum(len(self.model[one][1].body) for one in expected) >= limit_bytes:
                    break
                expected.append(key)
        found = self.buffer.read(low, high, limit, limit_bytes)
        assert [(entry.key, entry.deadline_s, entry.message) for entry in found] == [
            (key, *self.model[key]) for key in expected
        ]

    @rule(limit=st.integers(1, 30))
    def origins(self, limit: int) -> None:
        newest = sorted(self.model, key=key_number, reverse=True)[:limit]
        messages = [self.model[key][1] for key in newest]
        assert self.buffer.origins(limit) == [(message.origin, message.message_id) for message in messages]

    @rule()
    def tidy(self) -> None:
        for _ in range(20):
            self.boot_s += 1
            if not self.buffer.tidy():
                break

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        figures = self.buffer.figures()
        aside = sum(key_lane(key) == SET_ASIDE for key in self.model)
        assert figures[:2] == (len(self.model) - aside, aside)
        assert figures.size_bytes <= MIB
        assert figures.damaged == 0

    def teardown(self) -> None:
        found = self.buffer.read(*EVERYTHING)
        self.buffer.close()
        shutil.rmtree(self.folder)
        assert {entry.key: (entry.deadline_s, entry.message) for entry in found} == self.model


class SqliteMachine(BufferMachine):
    """The one on disk, which can be closed and opened, and may crash."""

    def open(self) -> Buffer:
        clock = BufferClock(Readings(lambda: self.boot_s, lambda: 0.0, "boot"))
        return SqliteBuffer(self.folder / "b.db", MIB, self.policy, clock)

    @rule()
    def reopen(self) -> None:
        self.buffer.close()
        self.buffer = self.open()

    @rule()
    def crash(self) -> None:
        crashed = Path(tempfile.mkdtemp())
        for name in ("b.db", "b.db-wal"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, crashed / name)
        self.buffer.close()
        shutil.rmtree(self.folder)
        self.folder = crashed
        self.buffer = self.open()


class MemoryMachine(BufferMachine):
    """The one in memory."""

    def open(self) -> Buffer:
        return MemoryBuffer(MIB // 2, self.policy, lambda: self.boot_s)


SqliteMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
MemoryMachine.TestCase.settings = settings(max_examples=examples(20), stateful_step_count=30, deadline=None)
TestSqliteMachine = SqliteMachine.TestCase
TestMemoryMachine = MemoryMachine.TestCase
