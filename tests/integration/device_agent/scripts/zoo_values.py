"""Returns odd and huge values, by name; every other text is answered by its length."""

import threading


def init():
    pass


def deep(kind):
    value = kind(1)
    for _ in range(100_000):
        value = kind(value)
    return value


class Text(str):
    def __str__(self):
        raise ValueError("no text")


class Table(dict):
    def items(self):
        raise ValueError("no items")


class Endless(list):
    def __iter__(self):
        while True:
            yield 1


class Liar(int):
    def __repr__(self):
        return "not a number"


VALUES = {
    "64 MB": lambda: "x" * (64 << 20),
    "64 MB escaped": lambda: "\u00e9" * (11 << 20),
    "many numbers": lambda: list(range(1_000_000)),
    "deep list": lambda: deep(lambda value: [value]),
    "deep dict": lambda: deep(lambda value: {"a": value}),
    "text that fails": lambda: Text("x"),
    "table that fails": lambda: Table(a=1),
    "number that lies": lambda: Liar(5),
    "itself": lambda: run,
    "lock": threading.Lock,
    "exception": lambda: ValueError("returned"),
    "NotImplemented": lambda: NotImplemented,
    "class": lambda: Text,
    "generator": lambda: (number for number in range(3)),
    "open file": lambda: open("/dev/null"),  # noqa: SIM115, PTH123
    "memoryview": lambda: memoryview(b"x"),
    "big integer": lambda: 10**5000,
}


def run(data):
    return VALUES[data]() if data in VALUES else len(data)
