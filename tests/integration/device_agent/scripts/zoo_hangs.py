"""Never returns, by name; every other text is answered as it is."""

import contextlib
import signal
import threading
import time


def init():
    pass


def sleep():
    threading.Event().wait()


def swallow():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(60)


def block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    sleep()


def ignore_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sleep()


def spin():
    while True:
        pass


def stop():
    signal.raise_signal(signal.SIGSTOP)


def hold_the_lock():
    sum(1 for _ in iter(int, 1))


def deadlock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


WAYS = {
    "spin": spin,
    "sleep": sleep,
    "swallow": swallow,
    "block signals": block_signals,
    "ignore signals": ignore_signals,
    "stop": stop,
    "hold the lock": hold_the_lock,
    "deadlock": deadlock,
}


def run(data):
    if data in WAYS:
        WAYS[data]()
    return data
