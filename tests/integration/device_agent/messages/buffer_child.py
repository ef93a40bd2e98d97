"""Drives a buffer in a process of its own, and says on stdout what it is about to do and what has returned.

    python buffer_child.py PATH MAX_BYTES SEED STEPS [POLICY]

Lines: `a N N ...` before an append of messages with these numbers, `A STORED DROPPED` (keys) after it; `r KEY ...`
before a removal, `R` after it; `V` when space was given back; `F SENTENCE` when a call has failed; `E SENTENCE` when
the buffer cannot be opened; `X` when all is done and the buffer is closed. What a message holds follows from its number
alone. Each line is one write.
"""

import hashlib
import os
import random
import sys
import time

from device_agent.errors import SettingsError
from device_agent.messages.buffer.buffer_clock import BufferClock, Readings
from device_agent.messages.buffer.interface import BufferFailure
from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import Message, message_key

LARGE_FROM = 3_000_000


def numbered_message(number: int) -> Message:
    """The message with this number: 20 to 6000 bytes, ten times that from 3,000,000 on; three priorities."""
    digest = hashlib.sha256(b"%d" % number).digest()
    size = 20 + digest[0] * (1 if digest[1] < 200 else 20) * (10 if number >= LARGE_FROM else 1)
    body = (digest * (size // 32 + 1))[:size]
    return Message(body, "out", f"id-{number}", priority=digest[2] % 3, origin=digest[:4])


def say(*words: object) -> None:
    """One line."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def hurried_clock() -> BufferClock:
    """A thousand times as fast: upkeep is due at once."""
    return BufferClock(Readings(lambda: time.monotonic() * 1000, lambda: time.monotonic() * 1000, "boot"))


def main() -> None:
    """Append, remove, vacuum, close and open again."""
    path, max_bytes, seed, steps = sys.argv[1], *map(int, sys.argv[2:5])
    policy = sys.argv[5] if len(sys.argv) > 5 else "refuse"
    choice = random.Random(seed)  # noqa: S311
    buffer = SqliteBuffer(path, max_bytes, policy, hurried_clock())
    keys = [stored.key for stored in buffer.read(0, message_key(10, 0), 100_000, 2**30)]
    number = seed * 1_000_000
    for _ in range(steps):
        kind = choice.choices(("append", "remove", "both", "idle", "reopen"), (50, 15, 30, 3, 1))[0]
        removals: list[int] = []
        if kind in ("remove", "both") and keys:
            start = choice.choice((0, choice.randrange(len(keys))))
            removals = keys[start : start + choice.choice((1, 3, 20, 200))]
            gone = set(removals)
            keys = [key for key in keys if key not in gone]
            say("r", *removals)
        elif kind == "idle":
            removals, keys = keys, []
            say("r", *removals)
        try:
            if kind in ("append", "both"):
                count = choice.choice((1, 1, 2, 10, 40))
                numbers = range(number, number + count)
                number += count
                say("a", *numbers)
                stored, dropped = buffer.apply([numbered_message(one) for one in numbers], removals)
                gone = set(dropped)
                keys = [key for key in [*keys, *(entry.key for entry in stored)] if key not in gone]
                say("A", ",".join(str(entry.key) for entry in stored), ",".join(map(str, dropped)))
            elif kind == "remove":
                buffer.apply([], removals)
            elif kind == "idle":
                buffer.apply([], removals)
                while buffer.tidy():
                    say("V")
            else:
                buffer.close()
                buffer = SqliteBuffer(path, max_bytes, policy, hurried_clock())
            if removals:
                say("R")
        except BufferFailure as failure:
            say("F", str(failure))
    buffer.close()
    say("X")


if __name__ == "__main__":
    try:
        main()
    except SettingsError as error:
        say("E", error)
        sys.exit(2)
