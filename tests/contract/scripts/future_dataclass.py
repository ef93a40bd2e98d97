"""A dataclass under postponed annotations, and a class that a pickle names."""

from __future__ import annotations

import dataclasses
import pickle


@dataclasses.dataclass
class Point:
    x: int = 1


def init():
    global loaded
    loaded = pickle.loads(pickle.dumps(Point(5)))


def run(data):
    return loaded.x
