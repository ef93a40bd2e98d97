"""Leaves things behind, by name, and says how much; every other text is answered as it is."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading

KEPT = []


def init():
    pass


def memory():
    KEPT.append(bytearray(os.urandom(1) * (16 << 20)))
    return sum(map(len, KEPT))


def threads():
    KEPT.extend(threading.Thread(target=threading.Event().wait) for _ in range(20))  # none is a daemon
    for thread in KEPT:
        thread.start()
    return threading.active_count() > 20


def descriptors():
    KEPT.extend(tempfile.TemporaryFile() for _ in range(100))  # noqa: SIM115 - that is the leak
    return len(KEPT)


def fork_that_outlives():
    pid = os.fork()
    if pid == 0:
        signalled = threading.Event()
        signalled.wait()
    return ["pid", pid]


def fork_that_ends():
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_that_returns():
    return "the child" if os.fork() == 0 else "the parent"


def process():
    started = multiprocessing.get_context("fork").Process(target=print, args=("from a process",))
    started.start()
    started.join()
    return started.exitcode


def program():
    return subprocess.run([sys.executable, "-c", "print(5)"], capture_output=True, text=True, check=True).stdout


def program_left():
    KEPT.append(subprocess.Popen(["sleep", "1000"]))
    return ["pid", KEPT[-1].pid]


WAYS = {
    "memory": memory,
    "threads": threads,
    "descriptors": descriptors,
    "fork that outlives": fork_that_outlives,
    "fork that ends": fork_that_ends,
    "fork that returns": fork_that_returns,
    "process": process,
    "program": program,
    "program left": program_left,
}


def run(data):
    return WAYS[data]() if data in WAYS else data
