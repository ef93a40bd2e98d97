"""Writes to every stream and logger, by name."""

import logging
import os
import pathlib
import sys


def init():
    print("from init")


WAYS = {
    "print": lambda: print("printed", "twice", sep="-"),
    "print lines": lambda: print("first\nsecond"),
    "print without end": lambda: print("endless", end=""),
    "print to stderr": lambda: print("printed to stderr", file=sys.stderr),
    "print to a file": lambda: print_to_file(),
    "write": lambda: sys.stdout.write("written\n"),
    "os.write": lambda: os.write(1, b"raw bytes\n"),
    "root info": lambda: logging.info("root info"),
    "root warning": lambda: logging.warning("root warning"),
    "own warning": lambda: logging.getLogger("own").warning("own warning"),
    "server info": lambda: logging.getLogger("azmlinfsrv").info("server info"),
    "server debug": lambda: logging.getLogger("azmlinfsrv").debug("server debug"),
    "raise": lambda: 1 // 0,
    "unserialisable": lambda: {1},
}


def print_to_file():
    with pathlib.Path("printed.txt").open("w") as file:
        print("to a file", file=file)


def run(data):
    result = WAYS[data]()
    return result if data == "unserialisable" else None
