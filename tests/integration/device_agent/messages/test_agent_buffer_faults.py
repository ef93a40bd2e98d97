"""The disk fails at any call, is full, or the process is killed: what was reported as stored is there, and no more."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.messages.buffer.interface import BufferFailure
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import message_key
from tests.integration.device_agent.messages.buffer_child import numbered_message
from tests.integration.device_agent.messages.buffer_promise import Promise
from tests.integration.device_agent.messages.disk_recording import environment

MIB = 1024 * 1024
CHILD = Path(__file__).with_name("buffer_child.py")
STEPS = 40
EVERYTHING = 0, message_key(16, 0), 100_000, 2**30
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is needed to inject faults")


def check_file(path: Path, promise: Promise) -> None:
    """Compare what is in the buffer with what was promised."""
    buffer = SqliteBuffer(path, MIB)
    try:
        found = {entry.key: entry.message for entry in buffer.read(*EVERYTHING)}
        assert buffer.figures().messages == len(found)
        promise.check(found)
        present = {int(message.message_id[3:]) for message in found.values()}
        assert not present & promise.failed, "what was reported as failed is there"
    finally:
        buffer.close()


@needs_strace
@pytest.mark.parametrize(
    ("calls", "error", "first", "most"),
    [
        ("pwrite64", "ENOSPC", 1, 700),
        ("pwrite64", "EIO", 1, 700),
        ("fdatasync,fsync", "EIO", 1, 60),
        ("ftruncate", "EIO", 1, 4),
        ("pread64", "EIO", 8, 40),  # the first few are of Python's start
    ],
)
def test_a_failing_call_is_reported_and_costs_nothing_that_was_stored(
    tmp_path: Path, calls: str, error: str, first: int, most: int
) -> None:
    choice = random.Random(calls)  # noqa: S311
    injected = reported = 0
    for turn, at in enumerate(
        sorted({first, first + 1, first + 2, *(choice.randrange(first, most) for _ in range(5))})
    ):
        when = f"{at}..{at + 12}" if turn % 2 else str(at)
        folder = tmp_path / f"{at}"
        folder.mkdir()
        options = ["-f", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]
        command = [sys.executable, str(CHILD), str(folder / "b.db"), str(MIB), "1", str(STEPS)]
        child = subprocess.run(
            ["strace", "-o", str(folder / "trace"), *options, *command],
            capture_output=True,
            timeout=60,
            env=environment(),
            check=False,
        )
        promise = Promise()
        promise.hear(child.stdout)
        last = (child.stdout or child.stderr).splitlines()[-1].decode()
        assert (child.returncode, last[:1]) in ((0, "X"), (2, "E")), child.stderr.decode()
        assert "b.db" in last or last == "X"
        injected += (folder / "trace").read_text().count("(INJECTED)")
        reported += len(promise.failures) + (last != "X")
        assert all(sentence.endswith("works") or "free some space" in sentence for sentence in promise.failures)
        check_file(folder / "b.db", promise)
    assert injected >= 3
    assert reported > 0 or calls in ("ftruncate", "pread64")


def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_back(tmp_path: Path) -> None:
    choice = random.Random(5)  # noqa: S311
    path = tmp_path / "b.db"
    promise = Promise()
    for seed in range(1, 16):
        command = [sys.executable, str(CHILD), str(path), str(MIB), str(seed), "100000", "drop_oldest"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), bufsize=0) as child:
            assert child.stdout is not None
            said = b""
            wanted = choice.randrange(1, 15_000)
            while len(said) < wanted:
                more = child.stdout.read(choice.randrange(1, 500))
                assert more, "the child has ended"
                said += more
            child.kill()
            while more := child.stdout.read(65536):
                said += more
        promise.hear(said)
        promise.crash()
        check_file(path, promise)
    assert len(promise.begun) > 1000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if mounting.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounting.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_reported_and_room_is_used_again(small_disk: Path) -> None:
    path = small_disk / "b.db"
    buffer = SqliteBuffer(path, 64 * MIB)
    ballast = small_disk / "ballast"  # of another program, after the buffer has been opened
    ballast.write_bytes(bytes(3 * MIB // 2))
    stored = []
    number = 0
    failures: list[str] = []
    while len(failures) < 3:
        try:
            stored += buffer.apply([numbered_message(number + more) for more in range(20)]).stored
        except BufferFailure as failure:
            failures.append(str(failure))
        number += 20
    assert all("free some space" in failure for failure in failures)
    assert len(stored) > 200
    assert buffer.read(*EVERYTHING) == sorted(stored)
    ballast.unlink()
    stored += buffer.apply([numbered_message(number)]).stored
    gone = [entry.key for entry in stored[:-100]]
    buffer.apply([], gone)
    assert buffer.read(*EVERYTHING) == sorted(stored[-100:])
    buffer.close()
    buffer = SqliteBuffer(path, 64 * MIB)
    assert buffer.read(*EVERYTHING) == sorted(stored[-100:])
    buffer.close()


def test_a_volume_smaller_than_the_buffer_is_never_filled(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = small_disk / "b.db"
    number = 0
    for turn in range(3):
        buffer = SqliteBuffer(path, 64 * MIB)
        stored = buffer.read(*EVERYTHING)
        while True:
            some = [numbered_message(number + more) for more in range(20)]
            number += 20
            now = buffer.apply(some).stored
            stored += now
            if len(now) < len(some):
                break
        assert buffer.figures().messages == len(stored) > 500
        if turn < 2:
            for start in range(0, len(stored), 64):  # a window
                buffer.apply([], [entry.key for entry in stored[start : start + 64]])
            assert buffer.figures().messages == 0
            assert buffer.apply([numbered_message(number)]).stored
        buffer.close()
    assert len([record for record in caplog.records if "free some space" in record.getMessage()]) == 3
