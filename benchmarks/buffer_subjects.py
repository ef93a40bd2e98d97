"""What `bench_buffer` compares: the agent's buffer, a bare loop on sqlite3, and persist-queue in its environment."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from device_agent.messages.buffer.buffer_space import PAGE_BYTES, plan_space  # noqa: E402
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer  # noqa: E402
from device_agent.messages.message import Message, message_key  # noqa: E402

MIB = 1024 * 1024
PEER = """
import json, sys, time
from persistqueue import FIFOSQLiteQueue
folder, size, batch, seconds = sys.argv[1], *map(int, sys.argv[2:5])
queue = FIFOSQLiteQueue(folder, auto_commit=batch == 1, multithreading=False)
body, count, started = b"m" * size, 0, time.perf_counter()
while time.perf_counter() < started + seconds:
    for _ in range(batch): queue.put(body)
    queue.task_done()
    for _ in range(batch): queue.get()
    queue.task_done()
    count += batch
print(count / (time.perf_counter() - started))
"""


def message(number: int, size: int) -> Message:
    """What a result on its way looks like."""
    return Message(os.urandom(size), "amlOutput", f"4f1c0c6d1b7e4a9a{number:016x}")


class Agent:
    """The buffer."""

    def __init__(self, folder: Path, max_bytes: int = 256 * MIB, policy: str = "refuse") -> None:
        self.buffer = SqliteBuffer(folder / "agent.db", max_bytes, policy)
        self._keys: list[int] = []

    def step(self, messages: list[Message]) -> None:
        """Append these, and remove those of the step before."""
        stored, _ = self.buffer.apply(messages, self._keys)
        self._keys = [entry.key for entry in stored]

    def close(self) -> None:
        """Close it."""
        self.buffer.close()


class Bare:
    """executemany on the same kind of file."""

    def __init__(self, folder: Path) -> None:
        self._connection = connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for text in (
            f"page_size = {PAGE_BYTES}",
            "auto_vacuum = INCREMENTAL",
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"wal_autocheckpoint = {plan_space(256 * MIB).checkpoint_pages}",
            "secure_delete = OFF",
        ):
            connection.execute(f"PRAGMA {text}").fetchall()
        connection.execute("CREATE TABLE message (key INTEGER PRIMARY KEY, arrival, ttl, head, body)")
        self._number = message_key(5, 0)
        self._keys: list[tuple[int]] = []

    def step(self, messages: list[Message]) -> None:
        """The same."""
        rows = [(self._number + place, 10_000_000, 0, bytes(48), entry.body) for place, entry in enumerate(messages)]
        self._number += len(rows)
        self._connection.execute("BEGIN")
        self._connection.executemany("DELETE FROM message WHERE key = ?", self._keys)
        self._connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")
        self._keys = [(row[0],) for row in rows]

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def run_peer(folder: Path, size: int, batch: int, seconds: float) -> float:
    """Messages a second of persist-queue."""
    python = subprocess.run([ROOT / "scripts" / "peer", "persistqueue"], capture_output=True, text=True, check=True)
    command = [python.stdout.split()[-1], "-c", PEER, str(folder / "peer"), str(size), str(batch), str(round(seconds))]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
