"""A generated script in front of the author's: its init() is used, its run() is not."""

import types

driver_module = types.ModuleType("author")
CALLS = []


def author_init():
    CALLS.append("the author's init")


def author_run(data):
    return [*CALLS, "the author's run", data]


driver_module.init = author_init
driver_module.run = author_run
driver_module.__file__ = "author.py"


def init():
    CALLS.append("the driver's init")


def run(data):
    return "the driver's run"
