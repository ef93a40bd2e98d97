"""Answers with the number that it is sent, and fails as it is told."""

import ctypes
import json
import os


def init():
    pass


def hang():
    while True:
        pass


FAULTS = {
    "os._exit": lambda: os._exit(1),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "hang": hang,
    "raise": lambda: 1 // 0,
}


def run(data):
    request = json.loads(data)
    if "fault" in request:
        FAULTS[request["fault"]]()
    return {"number": request["number"], "length": len(data)}
