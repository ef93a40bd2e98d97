"""Runs an unpacked image in namespaces of its own, and asks it; a program, started by `processes`.

The image's root is read-only, with an own `/proc`, `/dev`, `/tmp`, empty volumes and a network that is loopback alone;
the module is user 1000, without capabilities. As root this needs no user namespace; as another user, or where root may
not, that user is mapped to 1000. Its first process is a copy of this one, so that a crash of the module is seen at
once, and all of it ends with this program. Source: namespaces(7), user_namespaces(7), mount_namespaces(7).

Reads one JSON document from stdin (see `processes.Order`), writes one to stdout.
"""

import base64
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

from edgepack.trial.ask import ask

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USERS, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 16384, 1 << 18
_FROM_STATVFS = {1: 1, 2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38
_DEVICES = ("null", "zero", "full", "random", "urandom")
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1

_OF_THE_IMAGE = "!"  # begins a problem that is not this machine's

_libc = ctypes.CDLL(None, use_errno=True)


class _NotHere(Exception):
    """Something that this machine does not let us do."""


def main() -> None:
    """Do what the order on stdin says; with `--probe` only see whether there can be namespaces."""
    if sys.argv[1:] == ["--probe"]:
        try:
            _leave_namespaces(1000)
            print("{}")
        except _NotHere as reason:
            print(json.dumps({"not_here": str(reason)}))
        return
    order = json.load(sys.stdin)
    order["log"] = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    try:
        result = _run(order)
    except _NotHere as reason:
        result = {"not_here": str(reason)}
    print(json.dumps(result))


def _run(order: dict[str, Any]) -> dict[str, Any]:
    if order["user"] == 0 and os.geteuid() == 0:  # root of this machine is not kept in by a root folder
        raise _NotHere("the image's user is root, as whom it would run on this machine: that takes a Docker engine")
    user = _leave_namespaces(order["user"])
    _raise_loopback()
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(reading)
        _be_first_process(order, user, writing)
    os.close(writing)
    with os.fdopen(reading) as problems:
        problem = problems.read()  # ends when the module is started, or cannot be
    if problem:
        os.waitpid(first, 0)
        if problem.startswith(_OF_THE_IMAGE):
            return {"answers": [], "problem": problem.removeprefix(_OF_THE_IMAGE)}
        raise _NotHere(problem)
    ended: list[int] = []

    def has_ended() -> bool:
        if not ended:
            pid, status = os.waitpid(first, os.WNOHANG)
            if pid:
                ended.append(os.waitstatus_to_exitcode(status))
        return bool(ended)

    try:
        bodies = [base64.b64decode(body) for body in order["bodies"]]
        result: dict[str, Any] = ask(order["port"], bodies, order["limit_s"], has_ended)
        return {**result, "exit_code": ended[0] if has_ended() else None}
    finally:
        if not ended:
            os.kill(first, signal.SIGKILL)  # and with it, by the kernel, all processes of its namespace
            os.waitpid(first, 0)


def _leave_namespaces(user: int) -> int | None:
    """Get namespaces of our own; returns the user to become, or None where this one is mapped to it already."""
    own = _NEW_MOUNTS | _NEW_UTS | _NEW_IPC | _NEW_PIDS | _NEW_NETWORK
    if os.geteuid() == 0 and _libc.unshare(own) == 0:
        return user
    me, group = os.geteuid(), os.getegid()
    if _libc.unshare(own | _NEW_USERS) != 0:
        raise _NotHere(f"namespaces are not allowed here ({os.strerror(ctypes.get_errno())})")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {me} 1")
        Path("/proc/self/gid_map").write_text(f"{user} {group} 1")
    except OSError as error:
        raise _NotHere(f"namespaces of users are not allowed here ({error.strerror})") from error
    return None


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        try:
            flags = struct.unpack("16sH14x", fcntl.ioctl(control, _GET_FLAGS, request))[1]
            fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))
        except OSError as error:
            raise _NotHere(f"loopback cannot be set up ({error.strerror})") from error


def _be_first_process(order: dict[str, Any], user: int | None, problems: int) -> NoReturn:
    """In the new namespaces: set up the root, start the module, wait for it. Tells `problems` what cannot be done."""
    code = 1
    try:
        _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        _set_up_root(Path(order["root"]), order, user)
        os.chroot(order["root"])
        os.chdir(order["working_folder"])
        module = os.fork()
        if module == 0:
            _become_module(order, user, problems)
        os.close(problems)
        code = _wait_for(module)
    except (_NotHere, OSError) as error:
        os.write(problems, str(error).encode())
    finally:
        os._exit(code)


def _become_module(order: dict[str, Any], user: int | None, problems: int) -> NoReturn:
    """Become the image's entry point; that closes `problems`, where until then is told what goes wrong."""
    try:
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        for stream in (1, 2):
            os.dup2(order["log"], stream)
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        text = f"{_OF_THE_IMAGE}{order['command'][0]} cannot be started ({error.strerror})"
        if error.errno == errno.ENOEXEC:
            text = "programs of that platform do not run here: no emulation is set up"
        os.write(problems, text.encode())
    finally:
        os._exit(126)


def _wait_for(module: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == module:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _set_up_root(root: Path, order: dict[str, Any], user: int | None) -> None:
    owner = f",uid={user},gid={user}" if user is not None else ""
    for folder in ("proc", "sys", "dev", "tmp", *(volume.lstrip("/") for volume in order["volumes"])):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _mount(None, Path("/"), None, _RECURSIVE | _PRIVATE)
    _mount(str(root), root, None, _BIND | _RECURSIVE)
    _mount(None, root, None, _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | _kept_flags(root))
    try:
        _mount("proc", root / "proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    except _NotHere:  # in a container that hides parts of its own
        _mount("/proc", root / "proc", None, _BIND | _RECURSIVE)
    _mount("tmpfs", root / "dev", "tmpfs", _NO_SUID | _NO_EXEC, "mode=755")
    for name in _DEVICES:
        place = root / "dev" / name
        place.touch()
        _mount(f"/dev/{name}", place, None, _BIND)
    (root / "dev" / "shm").mkdir()
    _mount("tmpfs", root / "dev" / "shm", "tmpfs", _NO_SUID | _NO_DEVICES, "mode=1777")
    _mount("tmpfs", root / "tmp", "tmpfs", _NO_SUID | _NO_DEVICES, "mode=1777")
    for volume in order["volumes"]:
        _mount("tmpfs", root / volume.lstrip("/"), "tmpfs", _NO_SUID | _NO_DEVICES, f"mode=755{owner}")
    if order["shows_sys"]:
        _mount("/sys", root / "sys", None, _BIND | _RECURSIVE)


def _kept_flags(path: Path) -> int:
    """The flags of a mount that a user namespace may not take away."""
    found = os.statvfs(path).f_flag
    return sum(flag for bit, flag in _FROM_STATVFS.items() if found & bit and bit != 1)


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    encoded = [text.encode() if text is not None else None for text in (source, str(target), kind)]
    if _libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() or None) != 0:
        raise _NotHere(f"{target.name or '/'} cannot be mounted ({os.strerror(ctypes.get_errno())})")


if __name__ == "__main__":
    main()
