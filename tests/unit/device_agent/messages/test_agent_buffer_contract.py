"""What every buffer does, one body for the one on SQLite and the one in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_agent.messages.buffer.buffer_clock import BufferClock, Readings
from device_agent.messages.buffer.interface import Buffer
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import SET_ASIDE, SPARE, Message, key_lane, key_number, message_key
from tests.fakes.memory_buffer import MemoryBuffer

ALL = message_key(SPARE + 1, 0)
MIB = 1024 * 1024
Make = Callable[..., Buffer]


class Time:
    """Seconds since boot and of the wall clock, moved by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def message(number: int, **more: object) -> Message:
    """A small message that tells its number."""
    return Message(**{"body": b"%d" % number, "output": "amlOutput", "message_id": f"id-{number}", **more})  # type: ignore[arg-type]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path, time: Time) -> Iterator[Make]:
    """Makes a buffer; `max_bytes` and `policy` as for both."""
    made: list[Buffer] = []

    def make(max_bytes: int = 16 * MIB, policy: str = "refuse") -> Buffer:
        if request.param == "memory":
            made.append(MemoryBuffer(max_bytes, policy, time))
        else:
            clock = BufferClock(Readings(time, time, "boot"))
            made.append(SqliteBuffer(tmp_path / f"{len(made)}.db", max_bytes, policy, clock))
        return made[-1]

    yield make
    for buffer in made:
        buffer.close()


def test_what_was_appended_is_read_in_order(make: Make) -> None:
    buffer = make()
    applied = buffer.apply([message(number) for number in range(5)])
    assert [stored.message for stored in applied.stored] == [message(number) for number in range(5)]
    assert applied.dropped == []
    assert buffer.read(0, ALL, 100, MIB) == applied.stored
    assert [key_number(stored.key) for stored in applied.stored] == [1, 2, 3, 4, 5]


def test_every_field_comes_back(make: Make) -> None:
    odd = Message(
        body=bytes(range(256)) * 20,
        output="sensors/ä\0\ud800",
        message_id="",
        correlation_id="c" * 300,
        properties=(("a", "1"), ("a", ""), ("ö" * 200, "\n\0")),
        content_type="",
        content_encoding="gzip",
        priority=9,
        ttl_s=2**32 - 1,
        origin=b"\0origin\xff",
    )
    plain = Message(b"", "", "", content_type="application/json", content_encoding="latin-1", priority=0)
    buffer = make()
    buffer.apply([odd, plain])
    assert [stored.message for stored in buffer.read(0, ALL, 10, MIB)] == [plain, odd]


def test_lanes_come_by_priority(make: Make) -> None:
    buffer = make()
    for priority in (5, 0, 9, 5, 0):
        buffer.apply([message(priority, priority=priority)])
    found = [(stored.message.priority, key_number(stored.key)) for stored in buffer.read(0, ALL, 10, MIB)]
    assert found == [(0, 2), (0, 5), (5, 1), (5, 4), (9, 3)]


def test_read_keeps_its_limits(make: Make) -> None:
    buffer = make()
    stored = buffer.apply([message(number, body=bytes(1000)) for number in range(10)]).stored
    keys = [entry.key for entry in stored]
    assert [entry.key for entry in buffer.read(keys[2], keys[5], 100, MIB)] == keys[3:6]
    assert [entry.key for entry in buffer.read(0, ALL, 3, MIB)] == keys[:3]
    assert [entry.key for entry in buffer.read(0, ALL, 100, 2500)] == keys[:3]
    assert [entry.key for entry in buffer.read(0, ALL, 100, 1)] == keys[:1]
    assert buffer.read(keys[-1], ALL, 100, MIB) == []


@pytest.mark.parametrize("kept", [(0, 1, 2), (9,), (), (1, 3, 5, 7), (4, 9)])
def test_removed_messages_are_gone_and_unknown_keys_do_no_harm(make: Make, kept: tuple[int, ...]) -> None:
    buffer = make()
    keys = [entry.key for entry in buffer.apply([message(number) for number in range(10)]).stored]
    unknown = [0, message_key(5, 4000), message_key(0, 1), message_key(11, 3), message_key(SET_ASIDE, 2)]
    buffer.apply([], [*(key for place, key in enumerate(keys) if place not in kept), *unknown])
    assert [entry.key for entry in buffer.read(0, ALL, 100, MIB)] == [keys[place] for place in kept]
    assert buffer.figures().messages == len(kept)


def test_removals_come_before_appends(make: Make) -> None:
    buffer = make()
    first = buffer.apply([message(1)]).stored[0]
    second = buffer.apply([message(2)], [first.key]).stored[0]
    assert buffer.read(0, ALL, 100, MIB) == [second]
    assert key_number(second.key) == 2


def test_expiry_takes_the_front_of_each_lane(make: Make, time: Time) -> None:
    buffer = make()
    ttls = [(5, 10), (5, 10), (5, 0), (5, 10), (2, 20), (2, 10), (7, 5)]
    applied = buffer.apply([message(number, priority=lane, ttl_s=ttl) for number, (lane, ttl) in enumerate(ttls)])
    start_s = buffer.now_s()
    assert [stored.deadline_s - start_s for stored in applied.stored] == [10, 10, -start_s, 10, 20, 10, 5]
    assert buffer.expire() == []
    time.s += 9.9
    assert [key_number(key) for key in buffer.expire()] == [7]
    time.s += 0.2
    assert sorted(key_number(key) for key in buffer.expire()) == [1, 2]
    assert buffer.expire() == []
    time.s += 10
    assert sorted(key_number(key) for key in buffer.expire()) == [5, 6]
    assert [key_number(stored.key) for stored in buffer.read(0, ALL, 10, MIB)] == [3, 4]


def test_what_is_set_aside_is_kept_and_comes_back(make: Make) -> None:
    buffer = make()
    keys = [entry.key for entry in buffer.apply([message(number, priority=number % 3) for number in range(6)]).stored]
    before = buffer.read(0, ALL, 10, MIB)
    for key in (keys[1], keys[4], message_key(3, 99)):
        buffer.set_aside(key)
    assert [entry.key for entry in buffer.read(0, ALL, 10, MIB)] == sorted(set(keys) - {keys[1], keys[4]})
    assert buffer.figures()[:2] == (4, 2)
    assert buffer.restore() == 2
    assert buffer.read(0, ALL, 10, MIB) == before
    assert buffer.figures()[:2] == (6, 0)
    assert buffer.restore() == 0


def test_messages_set_aside_expire_too(make: Make, time: Time) -> None:
    buffer = make()
    key = buffer.apply([message(1, ttl_s=5)]).stored[0].key
    buffer.set_aside(key)
    time.s += 5
    assert buffer.expire() == [message_key(SET_ASIDE, 1)]
    assert buffer.figures()[:2] == (0, 0)


def test_origins_of_the_newest(make: Make) -> None:
    buffer = make()
    for number in range(6):
        buffer.apply([message(number, priority=5 - number, origin=b"" if number == 4 else b"o%d" % number)])
    buffer.set_aside(message_key(2, 4))
    assert buffer.origins(3) == [(b"o5", "id-5"), (b"o3", "id-3")]
    assert len(buffer.origins(100)) == 5


def test_figures_tell_age_and_number(make: Make, time: Time) -> None:
    buffer = make()
    assert buffer.figures()[:2] == (0, 0)
    assert buffer.figures().oldest_s == 0
    first = buffer.apply([message(1, priority=9)]).stored[0]
    time.s += 7
    buffer.apply([message(2, priority=0)])
    time.s += 3
    assert buffer.figures().oldest_s == pytest.approx(10, abs=0.01)
    buffer.apply([], [first.key])
    assert buffer.figures().oldest_s == pytest.approx(3, abs=0.01)
    assert buffer.figures().size_bytes > 0


def test_full_refuses_what_does_not_fit_and_takes_it_when_there_is_room(make: Make) -> None:
    buffer = make(MIB)
    sent = 0
    while applied := buffer.apply([message(sent + more, body=bytes(1500)) for more in range(20)]).stored:
        assert [entry.message.message_id for entry in applied] == [f"id-{sent + more}" for more in range(len(applied))]
        sent += len(applied)
        assert sent < 1000
    assert buffer.figures().messages == sent > 200
    assert buffer.figures().size_bytes <= MIB
    keys = [entry.key for entry in buffer.read(0, ALL, 100, 10 * MIB)]
    assert len(buffer.apply([message(number, body=bytes(1500)) for number in range(50)], keys).stored) == 50
    assert [entry.key for entry in buffer.read(0, ALL, 1, MIB)] > keys[-1:]


def test_it_says_whether_half_of_it_stays_free_also_after_it_was_full(make: Make) -> None:
    buffer = make(MIB)
    assert buffer.is_half_free([])
    assert not buffer.is_half_free([message(1, body=bytes(MIB * 3 // 4))])
    keys: list[int] = []
    while applied := buffer.apply([message(len(keys), body=bytes(1500))]).stored:
        keys += [entry.key for entry in applied]
    assert not buffer.is_half_free([])
    buffer.apply([], keys[: len(keys) // 4])
    assert not buffer.is_half_free([])
    buffer.apply([], keys[len(keys) // 4 :])
    assert buffer.is_half_free([message(1, body=bytes(1500))])


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
def test_what_is_spare_makes_room_first_and_takes_none(make: Make, policy: str) -> None:
    buffer = make(max_bytes=MIB, policy=policy)
    first = buffer.apply([message(0, body=bytes(1000))]).stored
    number = 1
    while spare := buffer.apply([message(number, body=bytes(10_000), priority=SPARE)]).stored:
        first += spare
        number += 1
    kept, dropped = buffer.apply([message(number, body=bytes(10_000))])
    assert (len(kept), [key_lane(key) for key in dropped]) == (1, [SPARE] * len(dropped))
    assert dropped == [stored.key for stored in first[1 : 1 + len(dropped)]]
    assert [each.message.priority for each in buffer.read(0, ALL, 10_000, 10**9)][:2] == [5, 5]


def test_drop_oldest_discards_in_order_those_set_aside_first(make: Make) -> None:
    buffer = make(MIB, "drop_oldest")
    dropped: list[int] = []
    first = [
        entry.key for entry in buffer.apply([message(n, priority=n % 3, body=bytes(1500)) for n in range(30)]).stored
    ]
    aside = sorted(first, key=key_number)[10:12]
    for key in aside:
        buffer.set_aside(key)
    count = 30
    while len(dropped) < 50:
        applied = buffer.apply([message(count + more, priority=more % 3, body=bytes(1500)) for more in range(10)])
        assert len(applied.stored) == 10
        dropped += applied.dropped
        count += 10
    assert [key_lane(key) for key in dropped[:2]] == [SET_ASIDE] * 2
    expected = [number for number in range(1, len(dropped) + 1) if number not in (11, 12)]
    assert [key_number(key) for key in dropped[2:]] == expected
    assert buffer.figures().messages == count - len(dropped)
    left = sorted(key_number(entry.key) for entry in buffer.read(0, ALL, 10_000, 10 * MIB))
    assert left == list(range(len(dropped) + 1, count + 1))


def test_the_largest_message_fits_and_a_larger_one_never_does(make: Make) -> None:
    for policy in ("refuse", "drop_oldest"):
        buffer = make(MIB, policy)
        assert len(buffer.apply([message(1, body=bytes(buffer.largest_bytes - 200))]).stored) == 1
        applied = buffer.apply([message(2, body=bytes(2 * MIB)), message(3)])
        assert applied.stored == []
        assert applied.dropped == []
        assert len(buffer.apply([message(4)]).stored) == 1


def test_policy_changes_while_it_runs(make: Make) -> None:
    buffer = make(MIB)
    while buffer.apply([message(number, body=bytes(3000)) for number in range(10)]).stored:
        pass
    buffer.change_policy("drop_oldest")
    applied = buffer.apply([message(1, body=bytes(3000))])
    assert len(applied.stored) == 1
    assert applied.dropped
    buffer.change_policy("refuse")
    while buffer.apply([message(number, body=bytes(3000)) for number in range(10)]).stored:
        pass


def test_meta_keeps_small_texts(make: Make) -> None:
    buffer = make()
    assert buffer.meta_get("client_id") is None
    buffer.meta_set("client_id", "first")
    buffer.meta_set("client_id", "edgepack-ä")
    assert buffer.meta_get("client_id") == "edgepack-ä"


def test_upkeep_and_probe_change_nothing(make: Make, time: Time) -> None:
    buffer = make()
    stored = buffer.apply([message(number) for number in range(10)]).stored
    while buffer.tidy():
        time.s += 1
    buffer.probe()
    assert buffer.read(0, ALL, 100, MIB) == stored


def test_closing_twice_is_allowed(make: Make) -> None:
    buffer = make()
    buffer.close()
    buffer.close()
