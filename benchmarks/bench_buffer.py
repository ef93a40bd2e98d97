"""`scripts/bench buffer`: the agent's buffer beside a bare SQLite loop and persist-queue, interleaved; medians.

Messages of 200 and 2,000 bytes are appended one by one and in batches of 100, each batch removing the one before it in
the same transaction, all of it synced. Bare: the same pragmas, batches and rows (made before) with executemany.
persist-queue: put, commit, get, commit, with its own settings. Then: bytes written a byte of messages, by the
process (its calls) and to the disk (pages it made dirty); the first opening of 1,000,000 messages, after a close, after
a kill, with an empty page cache; memory; discarding the oldest; and appends while another thread never waits.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buffer_subjects import MIB, ROOT, Agent, Bare, message, run_peer

from device_agent.messages.buffer.buffer_thread import BufferThread
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import Stored

BATCHES, SIZES = (1, 100), (200, 2000)
MILLION = 1_000_000
SUBJECTS = ("agent", "bare", "peer")
WANTED_OF_BARE = 0.6


@dataclass
class Figure:
    """One row: measured values of each subject, and what is wanted of the agent."""

    name: str
    unit: str
    target: str = "-"
    is_met: bool | None = None
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, subject: str, value: float) -> None:
        """One more value."""
        self.values.setdefault(subject, []).append(value)

    def median(self, subject: str) -> float:
        """Of one subject."""
        return statistics.median(self.values[subject])

    def shown(self, subject: str) -> str:
        """Median, minimum and maximum."""
        values = self.values.get(subject)
        if not values:
            return "-"
        digits = 0 if self.median(subject) >= 100 else 2
        low, middle, high = (f"{value:.{digits}f}" for value in (min(values), self.median(subject), max(values)))
        return f"{middle} {self.unit} ({low}..{high})" if len(values) > 1 else f"{middle} {self.unit}"


def written() -> tuple[int, int]:
    """Bytes that this process has written, by its calls and to the disk."""
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(found["wchar"]), int(found["write_bytes"])


def run_steps(subject: Agent | Bare, size: int, batch: int, seconds: float) -> tuple[float, float, float]:
    """Messages a second; bytes by calls and to the disk, a byte of messages."""
    pool = [message(number, size) for number in range(1000)]
    count = 0
    before = written()
    started_s = time.perf_counter()
    while (passed_s := time.perf_counter() - started_s) < seconds:
        place = count % len(pool)
        subject.step(pool[place : place + batch])
        count += batch
    after = written()
    calls, disk = ((after[kind] - before[kind]) / (count * size) for kind in (0, 1))
    return count / passed_s, calls, disk


def measure_steps(folder: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """Speed of all, and bytes written by the agent and the bare loop."""
    for size in SIZES:
        for batch in BATCHES:
            name = f"{size} bytes, batches of {batch}"
            speed = Figure(f"{name}: messages/s", "", f">= {WANTED_OF_BARE} of bare")
            calls = Figure(f"{name}: bytes written a byte, by calls", "x")
            disk = Figure(f"{name}: bytes written a byte, to the disk", "x")
            subjects: dict[str, Agent | Bare] = {}
            with tempfile.TemporaryDirectory(dir=folder) as place:
                subjects = {"agent": Agent(Path(place)), "bare": Bare(Path(place))}
                for number in range(-1, rounds):
                    for subject, it in subjects.items():
                        results = run_steps(it, size, batch, seconds if number >= 0 else 0.3)
                        for figure, value in zip((speed, calls, disk), results, strict=True):
                            if number >= 0:
                                figure.add(subject, value)
                    if number >= 0:
                        speed.add("peer", run_peer(Path(place), size, batch, max(1, seconds)))
                for it in subjects.values():
                    it.close()
            speed.is_met = speed.median("agent") >= WANTED_OF_BARE * speed.median("bare")
            yield from (speed, calls, disk)


def memory_mb() -> float:
    """PSS of this process."""
    found = re.search(r"^Pss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def fill(path: Path, count: int) -> None:
    """In a process of its own: append so many messages, print the growth of memory, end without closing."""
    buffer = SqliteBuffer(path, 2**40)
    before_mb = 0.0
    for start in range(0, count, 500):
        buffer.apply([message(start + number, 200) for number in range(500)])
        if start == 5000:
            before_mb = memory_mb()
    print(memory_mb() - before_mb, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def measure_million(folder: Path, count: int) -> Iterator[Figure]:
    """Memory while filling, and seconds to open."""
    path = folder / "million.db"
    child = subprocess.run([sys.executable, __file__, "--fill", path, str(count)], capture_output=True, check=False)
    memory = Figure(f"memory from 0 to {count:,} messages", "MB", "<= 20")
    memory.add("agent", float(child.stdout))
    memory.is_met = memory.median("agent") <= 20
    yield memory
    kept = folder / "kept.db"
    for name in ("", "-wal"):
        Path(f"{kept}{name}").write_bytes(Path(f"{path}{name}").read_bytes())
    for after, opened in (("a kill", path), ("a kill", kept), ("a close", path), ("a close", kept)):
        cache = "cold" if opened is kept and empty_page_cache() else "warm"
        figure = Figure(f"opening {count:,} messages after {after}, {cache} cache", "s", "< 1")
        started_s = time.perf_counter()
        buffer = SqliteBuffer(opened, 2**40)
        held = buffer.figures().messages
        figure.add("agent", time.perf_counter() - started_s)
        figure.is_met = figure.median("agent") < 1
        buffer.close()
        if held != count:
            raise SystemExit(f"{held} messages of {count} are there")
        yield figure


def empty_page_cache() -> bool:
    """Whether it could be done."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def measure_dropping(folder: Path, count: int) -> Figure:
    """Messages a second while each append discards the oldest."""
    figure = Figure(f"drop_oldest of {count:,} messages, batches of 100: messages/s", "")
    buffer = SqliteBuffer(folder / "full.db", 32 * MIB, "drop_oldest")
    pool = [message(number, 200) for number in range(100)]
    while not buffer.apply(pool).dropped:
        pass
    dropped, started_s = 0, time.perf_counter()
    while dropped < count:
        dropped += len(buffer.apply(pool).dropped)
    figure.add("agent", dropped / (time.perf_counter() - started_s))
    buffer.close()
    return figure


class Nobody:
    """Listens to the buffer's thread."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


async def append_in_flight(folder: Path, seconds: float) -> float:
    """Appends a second through the thread, 100 in flight, on this loop."""
    loop = asyncio.get_running_loop()
    thread = BufferThread(SqliteBuffer(folder / "thread.db", 256 * MIB), loop, Nobody())
    pool = [message(number, 200) for number in range(1000)]
    finished = asyncio.Event()
    count, end_s = 0, loop.time() + seconds

    def done(outcome: Any) -> None:
        nonlocal count
        if not isinstance(outcome, Stored):
            raise SystemExit(f"not stored: {outcome}")
        count += 1
        thread.remove([outcome.key])
        if loop.time() < end_s:
            thread.append(pool[count % 1000], done)
        else:
            finished.set()

    for number in range(100):
        thread.append(pool[number], done)
    await finished.wait()
    await thread.close()
    return count / seconds


def measure_thread(folder: Path, rounds: int, seconds: float) -> Iterator[Figure]:
    """Appends through the thread, alone and beside a thread that never gives up the interpreter by itself."""
    for interval_ms in (None, 5.0, 0.5):
        beside = f"beside a busy thread, switching every {interval_ms} ms" if interval_ms else "alone"
        figure = Figure(f"thread, 200 bytes, 100 in flight, {beside}: messages/s", "")
        for _ in range(rounds):
            is_over = threading.Event()
            busy = threading.Thread(target=lambda over=is_over: [None for _ in iter(over.is_set, True)])
            before_s = sys.getswitchinterval()
            if interval_ms:
                sys.setswitchinterval(interval_ms / 1000)
                busy.start()
            with tempfile.TemporaryDirectory(dir=folder) as place:
                figure.add("agent", asyncio.run(append_in_flight(Path(place), seconds)))
            is_over.set()
            if interval_ms:
                busy.join()
            sys.setswitchinterval(before_s)
        yield figure


def print_table(figures: list[Figure]) -> None:
    """Medians with minimum and maximum."""
    print(f"{'subject':<92}{'agent':<28}{'bare limit':<28}{'peer':<24}target")
    for figure in figures:
        agent, bare, peer = map(figure.shown, SUBJECTS)
        met = {None: "", True: " met", False: " MISSED"}[figure.is_met]
        print(f"{figure.name:<92}{agent:<28}{bare:<28}{peer:<24}{figure.target}{met}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds and 100,000 messages: a rough look")
    parser.add_argument("--fill", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        fill(Path(arguments.fill[0]), int(arguments.fill[1]))
    rounds, seconds, count = (2, 0.5, 100_000) if arguments.quick else (5, 2.0, MILLION)
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-", dir=ROOT / "build") as text:
        folder = Path(text)
        figures = [*measure_steps(folder, rounds, seconds), *measure_million(folder, count)]
        figures += [measure_dropping(folder, 100_000), *measure_thread(folder, rounds, seconds)]
    print_table(figures)
    all_met = all(figure.is_met is not False for figure in figures)
    print("all targets are met" if all_met else "not all targets are met")
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "edgepack": importlib.metadata.version("edgepack"),
        "peer": (ROOT / "benchmarks" / "peers" / "persistqueue.in").read_text().split()[-1],
        "quick": arguments.quick,
        "figures": [vars(figure) for figure in figures],
    }
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    (results / f"buffer-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
