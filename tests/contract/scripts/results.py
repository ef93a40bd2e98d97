"""Returns, by name, every kind of value."""

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid

import numpy as np
import pandas as pd
from flask import Response


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    pass


@dataclasses.dataclass
class Point:
    x: int = 1


async def coroutine():
    return 1


def recursive():
    value = []
    value.append(value)
    return value


DAY = datetime.date(2024, 5, 6)
MOMENT = datetime.datetime(2024, 5, 6, 7, 8, 9, 10)
VALUES = {
    "dict": lambda: {"b": 1, "a": [True, None, 1.5], "é": "ü\u2028😀"},
    "list": lambda: [1, "two", [3]],
    "int": lambda: 5,
    "big int": lambda: 2**70,
    "float": lambda: 1.0,
    "small float": lambda: 1e-07,
    "str": lambda: 'a "quoted" é',
    "bool": lambda: True,
    "empty string": lambda: "",
    "json string": lambda: '{"a": 1}',
    "None": lambda: None,
    "zero": lambda: 0,
    "empty dict": lambda: {},
    "tuple": lambda: ("body", 418),
    "number keys": lambda: {1: "a", None: "b", False: "c", 1.5: "d"},
    "subclass": lambda: [Level.HIGH, Text("x")],
    "surrogate": lambda: "\ud800",
    "numpy.float64": lambda: np.float64(2.5),
    "nan": lambda: math.nan,
    "infinities": lambda: {"a": [math.inf, {"b": -math.inf}]},
    "nan key": lambda: {math.nan: 1},
    "nan in numpy.float64": lambda: [np.float64("nan")],
    "numpy.float32": lambda: np.float32(0.5),
    "numpy.int64": lambda: np.int64(5),
    "numpy.bool": lambda: np.bool_(True),
    "numpy.str": lambda: np.str_("x"),
    "array": lambda: np.array([[1, 2], [3, 4]]),
    "float array": lambda: {"a": np.array([0.5, math.nan])},
    "numpy.datetime64": lambda: np.datetime64("2024-05-06"),
    "date": lambda: DAY,
    "datetime": lambda: [MOMENT, MOMENT.replace(tzinfo=datetime.UTC)],
    "time": lambda: datetime.time(1, 2, 3),
    "timestamp": lambda: pd.Timestamp(MOMENT),
    "bytes": lambda: b"x",
    "bytearray": lambda: bytearray(b"x"),
    "set": lambda: {1},
    "generator": lambda: (number for number in range(2)),
    "data frame": lambda: pd.DataFrame({"a": [1]}),
    "series": lambda: pd.Series([1]),
    "Decimal": lambda: decimal.Decimal("1.5"),
    "UUID": lambda: uuid.UUID(int=1),
    "path": lambda: pathlib.PurePath("x"),
    "tuple keys": lambda: {(1, 2): 3},
    "numpy.complex128": lambda: np.complex128(1),
    "complex": lambda: 1j,
    "timedelta": lambda: datetime.timedelta(1),
    "dataclass": Point,
    "function": lambda: coroutine,
    "recursive": recursive,
    "flask response": lambda: Response("made by flask", status=202, mimetype="text/plain"),
    "flask failure": lambda: Response("failed", status=503),
}


def init():
    pass


def run(data):
    return VALUES[data]()
