"""Changes its process under the agent's feet, by name; every text is answered as it is."""

import asyncio
import builtins
import faulthandler
import gc
import json
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading


def init():
    pass


def close_all():
    os.closerange(3, 4096)


def shadow_modules():
    for name in ("json", "logging", "socket", "traceback", "time"):
        sys.modules[name] = None


def break_json():
    json.dumps = json.JSONEncoder.encode = None


WAYS = {
    "working directory": lambda: os.chdir("/"),
    "environment": os.environ.clear,
    "signal handlers": lambda: [
        signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    ],
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 3600),
    "wakeup descriptor": lambda: signal.set_wakeup_fd(-1),
    "logging": lambda: logging.disable(logging.CRITICAL),
    "log handlers": lambda: logging.getLogger().handlers.clear(),
    "recursion limit": lambda: sys.setrecursionlimit(80),
    "garbage collection": gc.disable,
    "faulthandler": faulthandler.disable,
    "import path": sys.path.clear,
    "modules": shadow_modules,
    "print": lambda: setattr(builtins, "print", None),
    "json": break_json,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "umask": lambda: os.umask(0o777),
    "session": os.setsid,
    "niceness": lambda: os.nice(5),
    "default timeout": lambda: socket.setdefaulttimeout(0.001),
    "trace function": lambda: sys.settrace(lambda *_: None),
    "excepthook": lambda: setattr(sys, "excepthook", None),
    "thread name": lambda: setattr(threading.current_thread(), "name", "own"),
    "event loop": lambda: asyncio.new_event_loop().close(),
    "file limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)),
    "close all": close_all,
}


def run(data):
    if data in WAYS:
        WAYS[data]()
    return data
