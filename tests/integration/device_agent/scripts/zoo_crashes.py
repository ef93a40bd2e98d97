"""Ends its process or fails, by name; every other text is answered as it is."""

import ctypes
import os
import resource
import signal
import sys
import threading


def init():
    pass


def recurse():
    return recurse()


def recurse_in_c():
    value = []
    for _ in range(200_000):
        value = [value]
    return repr(value)


def run_out_of_memory():
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115, PTH123
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
    try:
        return bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def exit_in_a_thread():
    thread = threading.Thread(target=os._exit, args=(5,))
    thread.start()
    thread.join()


class Nasty(Exception):
    def __str__(self):
        os._exit(6)


def nasty():
    raise Nasty


WAYS = {
    "segfault": lambda: ctypes.string_at(0),
    "os._exit": lambda: os._exit(0),
    "abort": os.abort,
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGPIPE": lambda: (signal.signal(signal.SIGPIPE, signal.SIG_DFL), os.kill(os.getpid(), signal.SIGPIPE)),
    "exit in a thread": exit_in_a_thread,
    "exception that exits": nasty,
    "sys.exit": lambda: sys.exit(0),
    "KeyboardInterrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "recursion": recurse,
    "recursion in C": recurse_in_c,
    "out of memory": run_out_of_memory,
}


def run(data):
    if data in WAYS:
        WAYS[data]()
    return data
