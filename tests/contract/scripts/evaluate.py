"""Answers with the value of a Python expression: what a script sees of its process."""

import importlib.util  # noqa: F401 - for the expressions
import os
import sys  # noqa: F401 - for the expressions

ANSWERS = {}
INITS = []


def init():
    INITS.append(os.getpid())


def run(data):
    return eval(data)  # noqa: S307 - the expressions are the cases' own
