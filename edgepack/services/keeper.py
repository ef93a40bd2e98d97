"""A script: `keeper.py FOLDER` runs a command in the background, keeps its output, notes how it ended.

`start.json` in FOLDER says what to run: `command`, `environment`, `folder`. It detaches from whoever called it (a
session of its own, no terminal), writes `process.json` once the command runs, appends what that prints to
`log/service.log` (rotated), and when it has ended kills all that it has left behind and writes `end.json`. SIGTERM is
handed on. If the keeper itself is killed, the kernel kills the command. It stands alone (standard library only, no
imports of this project), so that it is light and starts fast.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

LOG_BYTES = 4 * 1024 * 1024
LOG_FILES = 4
GRACE_S = 15.0
_PIECE_BYTES = 65536
_LONGEST_LINE_BYTES = 1024 * 1024
_LAST_OUTPUT_S = 1.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class RotatingLog:
    """`path`, then `path.1` (the one before) up to `path.3`. A file ends with a whole line where lines are short."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._size = 0
        self._open()

    def write(self, piece: bytes) -> None:
        """Append; what cannot be written (a full disk) is lost, and the command goes on."""
        room = LOG_BYTES - self._size
        if room < len(piece):
            cut = piece.find(b"\n", max(0, room)) + 1
            if room < -_LONGEST_LINE_BYTES and not cut:  # such as a progress bar, which never ends its line
                self._rotate()
            elif cut:
                self._append(piece[:cut])
                self._rotate()
                piece = piece[cut:]
        self._append(piece)

    def close(self) -> None:
        """Write no more."""
        os.close(self._descriptor)

    def _append(self, piece: bytes) -> None:
        with contextlib.suppress(OSError):
            self._size += os.write(self._descriptor, piece)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(LOG_FILES - 1, 0, -1):
                older = f"{self._path}.{number - 1}" if number > 1 else self._path
                with contextlib.suppress(FileNotFoundError):
                    os.replace(older, f"{self._path}.{number}")
            former = self._descriptor
            self._open()
            os.close(former)


def main(folder: str) -> None:
    """Detach, run the command, keep its books."""
    with open(os.path.join(folder, "start.json"), encoding="utf-8") as file:
        start = json.load(file)
    if os.fork():
        os._exit(0)
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = RotatingLog(os.path.join(folder, "log", "service.log"))
    reading, writing = os.pipe()
    waking = _wake_on_signals()
    start["keeper"] = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(start, reading, writing)
    os.close(writing)
    _write(folder, "process.json", {"keeper": _identity(os.getpid()), "process": _identity(pid)})
    os.chdir("/")
    code = _keep(pid, reading, waking, log)
    _kill_all()
    end = {"exit_code": code if code >= 0 else None, "signal": -code if code < 0 else None, "ended_s": time.time()}
    _write(folder, "end.json", end)


def _become(start: dict[str, Any], reading: int, writing: int) -> NoReturn:
    """In the child: the command, bound to the keeper's life."""
    command = start["command"]
    try:
        keeper = start["keeper"]
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)
        os.chdir(start["folder"])
        if os.getppid() == keeper:
            os.execve(command[0], command, start["environment"])  # noqa: S606 - the command is the service's
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _wake_on_signals() -> int:
    """The descriptor from which signals can be read, one byte each."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading


def _keep(pid: int, output: int, waking: int, log: RotatingLog) -> int:
    """Copy output until the process has ended; returns its exit code, or minus the signal that ended it."""
    code: int | None = None
    deadline_s = kill_s = float("inf")
    is_open = True
    while code is None or (is_open and time.monotonic() < deadline_s):
        rest_s = min(deadline_s, kill_s) - time.monotonic()
        wanted = [waking, output] if is_open else [waking]
        ready, _, _ = select.select(wanted, [], [], None if rest_s == float("inf") else max(0.0, rest_s))
        if waking in ready:
            numbers = os.read(waking, 512)
            if code is None and (signal.SIGTERM in numbers or signal.SIGINT in numbers):
                kill_s = min(kill_s, time.monotonic() + GRACE_S)
                os.kill(pid, signal.SIGTERM)
        if output in ready:
            piece = os.read(output, _PIECE_BYTES)
            is_open = bool(piece)
            log.write(piece)
        if code is None and time.monotonic() > kill_s:
            os.kill(pid, signal.SIGKILL)
            kill_s = float("inf")
        if code is None:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                deadline_s = time.monotonic() + _LAST_OUTPUT_S
    return code


def _kill_all() -> None:
    """Kill and collect what the command has left: all of it is a child of the keeper's now."""
    while True:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
                children = [int(child) for child in file.read().split()]
        except OSError:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _identity(pid: int) -> dict[str, object]:
    """As `process_identity` reads it."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        text = file.read()
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    return {"pid": pid, "start_ticks": int(text[text.rfind(b")") + 2 :].split()[19]), "boot_id": boot}


def _write(folder: str, name: str, document: object) -> None:
    """A file that appears whole. A folder that is gone is nobody's any more."""
    temporary = os.path.join(folder, f".{name}.part")
    with contextlib.suppress(OSError):
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, os.path.join(folder, name))


if __name__ == "__main__":
    main(sys.argv[1])
