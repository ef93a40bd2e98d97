"""Writes to its streams in bad ways, by name; every text is answered as it is."""

import os
import sys
import threading


def init():
    print("from init", end="")


def from_threads():
    threads = [threading.Thread(target=lambda: [print("t" * 100) for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


WAYS = {
    "huge line": lambda: print("x" * (8 << 20)),
    "many lines": lambda: [print(number) for number in range(20_000)],
    "binary": lambda: os.write(1, bytes(range(256)) * 100),
    "partial line": lambda: os.write(1, b"no end"),
    "from threads": from_threads,
    "from a daemon": lambda: threading.Thread(target=lambda: print("late"), daemon=True).start(),
    "huge line on stderr": lambda: print("x" * (8 << 20), file=sys.stderr),
    "surrogates": lambda: print("\ud800"),
    "a line like a log line": lambda: print("2024-01-01 00:00:00,000 I [1] azmlinfsrv - POST /score 200 1.000ms 1"),
    "not a string": lambda: sys.stdout.write(5),
    "close stdout": lambda: sys.stdout.close(),
    "close descriptor 1": lambda: os.close(1),
    "close descriptors 0 to 2": lambda: [os.close(number) for number in range(3)],
    "no stdout": lambda: setattr(sys, "stdout", None),
    "stdout replaced": lambda: setattr(sys, "stdout", open(os.devnull, "w")),  # noqa: SIM115, PTH123
}
MAY_FAIL = {"surrogates", "not a string"}


def run(data):
    if data in WAYS:
        try:
            WAYS[data]()
        except Exception:
            if data not in MAY_FAIL:
                raise
    return data
