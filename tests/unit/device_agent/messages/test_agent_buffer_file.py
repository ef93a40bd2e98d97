"""Opening the buffer: whose file it is, versions, other processes, what a power cut leaves, and how much it takes."""

import multiprocessing
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from device_agent.errors import SettingsError
from device_agent.messages.buffer import buffer_file
from device_agent.messages.buffer.buffer_clock import BufferClock, Readings
from device_agent.messages.buffer.buffer_space import allowed_bytes, plan_space
from device_agent.messages.buffer.interface import BufferFailure
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import Message, message_key

MIB = 1024 * 1024
EVERYTHING = 0, message_key(16, 0), 100_000, 2**30


def message(number: int, size: int = 50, **more: object) -> Message:
    """A message that tells its number."""
    return Message(b"%d" % number * (size // len(b"%d" % number)), "out", f"id-{number}", **more)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.db"


def numbers(buffer: SqliteBuffer) -> list[int]:
    """Numbers of all messages, by key."""
    return [int(entry.message.message_id[3:]) for entry in buffer.read(*EVERYTHING)]


def numbers_in(path: Path) -> list[int]:
    """The same of a file."""
    buffer = SqliteBuffer(path, MIB)
    found = numbers(buffer)
    buffer.close()
    return found


def test_it_goes_on_where_it_ended(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(number, priority=number % 3) for number in range(9)])
    buffer.set_aside(message_key(1, 2))
    buffer.meta_set("client_id", "x")
    figures = buffer.figures()
    before = buffer.read(*EVERYTHING)
    buffer.close()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["b.db", "b.db-lock"]
    buffer = SqliteBuffer(path, MIB)
    assert buffer.figures()[:2] == figures[:2] == (8, 1)
    assert buffer.read(*EVERYTHING) == before
    assert buffer.meta_get("client_id") == "x"
    assert buffer.apply([message(9)]).stored[0].key == message_key(5, 10)
    buffer.close()


def test_only_its_owner_may_read_it(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(1)])
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
    buffer.close()
    assert modes == {"b.db": 0o600, "b.db-wal": 0o600, "b.db-lock": 0o600}


def copy_while_open(buffer: SqliteBuffer, path: Path, target: Path) -> Path:
    """What a crash would leave."""
    target.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        (target / name).write_bytes((path.parent / name).read_bytes())
    return target / path.name


def test_after_a_crash_messages_are_counted_anew(path: Path, tmp_path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(number) for number in range(9)])
    buffer.close()
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(10, priority=1)], [message_key(5, 3)])
    crashed_path = copy_while_open(buffer, path, tmp_path / "copy")
    buffer.close()
    for _ in range(2):  # after the first the counts are on disk again
        crashed = SqliteBuffer(crashed_path, MIB)
        assert crashed.figures().messages == 9
        assert numbers(crashed) == [10, 0, 1, 3, 4, 5, 6, 7, 8]
        crashed.close()


def test_no_number_comes_twice_not_even_after_a_crash(path: Path, tmp_path: Path) -> None:
    given: list[int] = []
    for turn in range(4):
        buffer = SqliteBuffer(path, MIB)
        key = buffer.apply([message(turn)]).stored[0].key
        buffer.apply([], [key])
        given.append(key)
        if turn % 2:
            buffer.close()
        else:
            path_before, path = path, copy_while_open(buffer, path, tmp_path / f"crash-{turn}")
            buffer.close()
            assert path_before != path
    assert sorted(set(given)) == given


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\0" + bytes(84), os.urandom(5000)])
def test_a_file_that_is_not_ours_is_refused_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"{path.name} is not a buffer of edgepack.*EDGEPACK_BUFFER_PATH"):
        SqliteBuffer(path, MIB)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


def test_a_database_of_another_program_is_refused_untouched(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 7")
    other.execute("CREATE TABLE message (key INTEGER PRIMARY KEY)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="not a buffer of edgepack"):
        SqliteBuffer(path, MIB)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_buffer(path: Path) -> None:
    path.touch()
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(1)])
    buffer.close()
    assert not list(path.parent.glob("*.damaged*"))


def test_a_newer_version_is_refused_and_an_older_one_upgraded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(1)])
    buffer.close()
    more = (*buffer_file.UPGRADES, ("CREATE TABLE more (x)", "INSERT INTO more VALUES (42)"))
    with monkeypatch.context() as context:
        context.setattr(buffer_file, "UPGRADES", more)
        buffer = SqliteBuffer(path, MIB)
        assert numbers(buffer) == [1]
        buffer.close()
        SqliteBuffer(path, MIB).close()  # an upgrade happens once
    with sqlite3.connect(path) as looked:
        assert looked.execute("SELECT * FROM more").fetchall() == [(42,)]
    looked.close()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"newer agent \(version 2, this one knows 1\)"):
        SqliteBuffer(path, MIB)
    assert path.read_bytes() == before


def test_an_upgrade_that_fails_leaves_the_version_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteBuffer(path, MIB).close()
    more = (*buffer_file.UPGRADES, ("CREATE TABLE more (x)", "INSERT INTO nowhere VALUES (42)"))
    monkeypatch.setattr(buffer_file, "UPGRADES", more)
    with sqlite3.connect(path) as connection:
        with pytest.raises(sqlite3.OperationalError):
            buffer_file.upgrade(connection, path)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone() == (0,)
    connection.close()


def test_two_buffers_on_one_file_are_refused(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    with pytest.raises(SettingsError, match="used by another process"):
        SqliteBuffer(path, MIB)
    buffer.apply([message(1)])
    buffer.close()
    SqliteBuffer(path, MIB).close()


def _try_to_open(path: Path) -> str:
    try:
        SqliteBuffer(path, MIB)
    except SettingsError as error:
        return str(error)
    return ""


def test_two_processes_on_one_file_are_refused(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "used by another process" in pool.apply(_try_to_open, (path,))
        buffer.close()
        assert pool.apply(_try_to_open, (path,)) == ""


def test_a_file_that_another_program_has_open_is_refused(path: Path) -> None:
    SqliteBuffer(path, MIB).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SettingsError, match="open in another program"):
        SqliteBuffer(path, MIB)
    other.close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no folder .*missing: create it, or mount a volume"):
        SqliteBuffer(tmp_path / "missing" / "b.db", MIB)


def test_a_folder_that_cannot_be_written_is_named(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be used.*folder that it can write to"):
        SqliteBuffer("/proc/self/b.db", MIB)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # a socket's name has at most 107 characters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{place}/{path.name}")
    os.close(place)


def make_link_to_fifo(path: Path) -> None:
    target = path.parent / "elsewhere" / "fifo"
    target.parent.mkdir()
    os.mkfifo(target)
    path.symlink_to(target)


@pytest.mark.parametrize("make", [make_fifo, make_socket, make_link_to_fifo, Path.mkdir])
@pytest.mark.parametrize("has_ready", [False, True])
def test_what_is_no_regular_file_is_refused_untouched(
    path: Path, make: Callable[[Path], None], has_ready: bool
) -> None:
    make(path)
    target = path.resolve()
    if has_ready:
        SqliteBuffer(target.with_name("other.db"), MIB).close()
        target.with_name("other.db").rename(target.with_name(f"{target.name}.ready"))
    before = sorted(path.parent.rglob("*")), target.stat()
    with pytest.raises(SettingsError, match=r"EDGEPACK_BUFFER_PATH.*no regular file, and is left alone: name a file"):
        SqliteBuffer(path, MIB)
    assert (sorted(path.parent.rglob("*")), target.stat()) == before


def test_it_is_not_replaced_either_when_it_comes_while_the_buffer_is_open(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer._let_go()  # as after a disk error
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BufferFailure, match="no regular file"):
        buffer.apply([message(1)])
    assert path.is_fifo()
    buffer.close()


def test_a_link_to_a_file_or_to_nothing_is_followed(path: Path) -> None:
    target = path.with_name("target.db")
    path.symlink_to(target)
    for number in range(2):
        buffer = SqliteBuffer(path, MIB)
        buffer.apply([message(number)])
        buffer.close()
    assert path.is_symlink()
    assert target.is_file()
    assert numbers_in(target) == [0, 1]


def test_links_in_a_circle_are_refused(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(SettingsError, match="leads nowhere"):
        SqliteBuffer(path, MIB)


def test_what_was_ready_takes_its_place_after_a_power_cut(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    buffer.apply([message(1)])
    buffer.close()
    path.rename(path.with_name("b.db.ready"))
    path.write_bytes(b"damaged")
    path.with_name("b.db-wal").write_bytes(b"log of the damaged one")
    path.with_name("b.db.new").write_bytes(b"half made")
    buffer = SqliteBuffer(path, MIB)
    assert numbers(buffer) == [1]
    buffer.close()
    aside = [entry for entry in path.parent.glob("b.db.damaged-*") if not entry.name.endswith("-wal")]
    assert [entry.read_bytes() for entry in aside] == [b"damaged"]


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
@pytest.mark.parametrize("size", [50, 700, 5000, 15_000])
def test_the_bound_holds_at_every_moment_and_the_room_is_used(path: Path, policy: str, size: int) -> None:
    buffer = SqliteBuffer(path, MIB, policy)
    number, most_bytes, held_bytes = 0, 0, 0
    for step in range(120):
        count = max(1, 20_000 // size)
        some = [message(number + more, size, priority=more % 3) for more in range(count)]
        removals = buffer.read(0, message_key(16, 0), 1000, 2**20)[:: step % 7 + 1] if step % 20 == 19 else []
        buffer.apply(some, [entry.key for entry in removals])
        number += count
        most_bytes = max(most_bytes, buffer.figures().size_bytes)
        held_bytes = max(held_bytes, buffer.figures().messages * size)
    buffer.close()
    assert most_bytes <= MIB
    assert held_bytes > MIB * 0.35


def test_a_file_that_is_over_a_new_bound_shrinks(path: Path) -> None:
    clock_s = [0.0]
    clock = BufferClock(Readings(lambda: clock_s[0], lambda: clock_s[0], "boot"))
    buffer = SqliteBuffer(path, 8 * MIB)
    while buffer.apply([message(number, 2000) for number in range(100)]).stored:
        pass
    buffer.close()
    buffer = SqliteBuffer(path, 2 * MIB, clock=clock)
    assert buffer.figures().size_bytes > 5 * MIB
    assert buffer.apply([message(1)]).stored == []
    keys = [entry.key for entry in buffer.read(*EVERYTHING)]
    buffer.apply([], keys[100:])
    while buffer.tidy():
        pass
    assert buffer.figures().size_bytes <= 2 * MIB
    assert buffer.apply([message(1)]).stored
    buffer.close()


def test_space_is_given_back_in_small_steps(path: Path) -> None:
    clock_s = [0.0]
    clock = BufferClock(Readings(lambda: clock_s[0], lambda: clock_s[0], "boot"))
    buffer = SqliteBuffer(path, 64 * MIB, clock=clock)
    keys = [entry.key for _ in range(40) for entry in buffer.apply([message(n, 2000) for n in range(100)]).stored]
    full_bytes = path.stat().st_size
    buffer.apply([], keys[:-50])
    clock_s[0] += 10
    steps = 0
    while buffer.tidy():
        steps += 1
    assert steps > 10
    assert full_bytes > 7 * MIB
    assert path.stat().st_size < 2 * MIB
    assert len(numbers(buffer)) == 50
    buffer.close()


def test_the_parts_of_the_bound_add_up() -> None:
    for max_bytes in (2**20, 2**20 + 4097, 2**24, 2**28, 2**40):
        space = plan_space(max_bytes)
        log_bytes = space.log_bytes + max_bytes // 16
        assert space.database_pages * 1024 + log_bytes <= max_bytes
        assert space.largest_bytes > 10_000


def test_it_plans_with_what_the_volume_has(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free_bytes = [20 * MIB]
    real = os.statvfs(path.parent)

    def statvfs(folder: Path) -> os.statvfs_result:
        assert folder == path.parent
        blocks = [4096, 4096, 1000, free_bytes[0] // 4096 * 2, free_bytes[0] // 4096]
        return os.statvfs_result([*blocks, *real[5:]])

    monkeypatch.setattr(os, "statvfs", statvfs)
    buffer = SqliteBuffer(path, 10 * MIB)
    assert not caplog.records
    most_bytes = buffer.largest_bytes
    while buffer.apply([message(number, 2000) for number in range(100)]).stored:
        pass
    own_bytes = buffer.figures().size_bytes
    free_bytes[0] = 2 * MIB
    for _ in range(3):
        buffer._let_go()  # as after a disk error
        assert buffer.figures().messages > 1000
    assert buffer.largest_bytes < most_bytes
    buffer.close()
    (record,) = caplog.records
    assert f"EDGEPACK_BUFFER_MAX_BYTES is {10 * MIB}, but" in record.getMessage()
    assert re.search(r"has (\d+) bytes .* at most (\d+) of them: free some space", record.getMessage())
    assert 6 * MIB < own_bytes < 10 * MIB
    free_bytes[0] = 20 * MIB
    buffer = SqliteBuffer(path, 10 * MIB)
    assert buffer.largest_bytes == most_bytes
    buffer.close()


def test_what_a_volume_allows() -> None:
    assert allowed_bytes(10 * MIB, None) == 10 * MIB
    assert allowed_bytes(10 * MIB, 100 * MIB) == 10 * MIB
    assert allowed_bytes(10 * MIB, 10 * MIB) == 9 * MIB
    assert allowed_bytes(10 * MIB, 0) == MIB


def test_a_volume_that_does_not_say_its_size_is_no_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result([4096, 4096, *[0] * 8]))
    buffer = SqliteBuffer(path, 10 * MIB)
    assert buffer.largest_bytes == plan_space(10 * MIB).largest_bytes
    buffer.close()


def test_counts_are_known_while_the_disk_fails(path: Path) -> None:
    buffer = SqliteBuffer(path, MIB)
    stored = buffer.apply([message(number) for number in range(5)]).stored
    buffer.set_aside(stored[0].key)
    buffer._let_go()  # as after a disk error
    path.rename(path.with_name("gone"))
    path.mkdir()
    with pytest.raises(BufferFailure):
        buffer.figures()
    assert buffer.known_figures()[:2] == (4, 1)
    path.rmdir()
    path.with_name("gone").rename(path)
    assert buffer.figures()[:2] == (4, 1)
    buffer.close()


def test_the_clock_is_saved_now_and_then_and_when_the_wall_clock_is_set(path: Path) -> None:
    clock_s = [0.0, 1e9]

    def clock(boot: str) -> BufferClock:
        return BufferClock(Readings(lambda: clock_s[0], lambda: clock_s[1], boot))

    buffer = SqliteBuffer(path, MIB, clock=clock("1"))
    buffer.apply([message(1, ttl_s=3600)])
    clock_s[0] += 100
    clock_s[1] += 10 * 86400  # set right: it had been ten days behind
    buffer.tidy()
    crashed = SqliteBuffer(copy_while_open(buffer, path, path.parent / "copy"), MIB, clock=clock("2"))
    assert crashed.now_s() == 100
    assert crashed.expire() == []
    crashed.close()
    clock_s[0] += 61
    clock_s[1] += 61
    buffer.apply([message(2)])
    clock_s[0] += 3
    clock_s[1] += 86400
    crashed = SqliteBuffer(copy_while_open(buffer, path, path.parent / "copy2"), MIB, clock=clock("2"))
    assert crashed.now_s() == 161 + 86400
    assert crashed.expire() == [message_key(5, 1)]
    crashed.close()
    buffer.close()
