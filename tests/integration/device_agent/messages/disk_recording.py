"""What a process wrote, recorded with strace, and what a disk may have kept of it when the power went.

A write is kept when its file was synced after it. Of later writes any may be kept, whole, in part (pieces of 512 bytes)
or not at all, in any order. Names (made, renamed, removed) are kept in their order, at least up to the last sync of
the folder.
"""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SECTOR = 512
_CALLS = "openat,open,creat,close,pwrite64,write,ftruncate,fdatasync,fsync,unlink,unlinkat,rename,renameat,renameat2"
_LINE = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+= (-?\d+)")
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class DiskFile:
    """Its bytes that are safe, and what was done since: (place, bytes), or (length, None) for a new length."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        """All that was done is safe."""
        for change in self.pending:
            _apply(self.safe, *change)
        self.pending.clear()

    def cut(self, choice: random.Random | None, keeps_all: bool = False) -> bytes:
        """What is there after a power cut: nothing that is pending, all of it, or a choice."""
        found = bytearray(self.safe)
        for place, content in self.pending:
            if keeps_all:
                _apply(found, place, content)
            elif choice is not None:
                if content is None or len(content) <= _SECTOR:
                    if choice.random() < 0.5:
                        _apply(found, place, content)
                    continue
                kind = choice.random()
                for start in range(0, len(content), _SECTOR) if kind < 0.7 else ():
                    if kind < 0.4 or choice.random() < 0.5:
                        _apply(found, place + start, content[start : start + _SECTOR])
        return bytes(found)


class Disk:
    """Follows a recording, call by call. Only files below `folder` count; what was written to stdout is in `said`."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._open: dict[int, tuple[str, DiskFile | None]] = {}
        self._names: dict[str, DiskFile] = {}
        self._safe_names: dict[str, DiskFile] = {}
        self._since: list[dict[str, DiskFile]] = []
        self.said = b""

    def follow(self, recording: Path) -> Iterator[str]:
        """Do what the recording says; gives the name of every call that matters, after it."""
        with recording.open() as lines:
            for line in lines:
                found = _LINE.match(line)
                if found is not None and int(found[3]) >= 0 and self._do(found[1], found[2], int(found[3])):
                    yield found[1]

    def images(self, choice: random.Random) -> Iterator[dict[str, bytes]]:
        """Some of the possible contents of the folder after a power cut now."""
        names = self._names
        yield {name: file.cut(None) for name, file in self._safe_names.items()}
        yield {name: file.cut(None, keeps_all=True) for name, file in names.items()}
        some = choice.choice([self._safe_names, *self._since])
        yield {name: file.cut(choice) for name, file in some.items()}

    def _do(self, call: str, arguments: str, result: int) -> bool:
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _HEX.findall(arguments)]
        if call in ("openat", "open", "creat"):
            return self._open_file(texts[0].decode(), arguments, result)
        if call in ("rename", "renameat", "renameat2", "unlink", "unlinkat"):
            return self._rename([text.decode() for text in texts])
        descriptor = int(re.match(r"\d+", arguments)[0])  # type: ignore[index]
        if call == "write" and descriptor == 1:
            self.said += texts[0]
            return True
        if descriptor not in self._open:
            return False
        _, file = self._open[descriptor]
        if call == "close":
            del self._open[descriptor]
            return False
        if file is None:
            if call in ("fsync", "fdatasync"):
                self._safe_names = dict(self._names)
                self._since.clear()
            return True
        if call == "pwrite64":
            assert len(texts[0]) == result
            file.pending.append((int(arguments.rpartition(", ")[2]), texts[0]))
        elif call == "ftruncate":
            file.pending.append((int(arguments.rpartition(", ")[2]), None))
        elif call in ("fsync", "fdatasync"):
            file.sync()
        else:
            raise AssertionError(f"{call} on a file is not expected")
        return True

    def _open_file(self, path: str, arguments: str, descriptor: int) -> bool:
        if not path.startswith(self._folder):
            self._open.pop(descriptor, None)
            return False
        if "O_DIRECTORY" in arguments or path == self._folder:
            self._open[descriptor] = path, None
            return False
        is_new = path not in self._names
        if is_new:
            self._names[path] = DiskFile()
            self._since.append(dict(self._names))
        self._open[descriptor] = path, self._names[path]
        return is_new

    def _rename(self, paths: list[str]) -> bool:
        if not paths[0].startswith(self._folder):
            return False
        file = self._names.pop(paths[0])
        if len(paths) == 2:
            self._names[paths[1]] = file
        self._since.append(dict(self._names))
        return True


def record(command: list[str], recording: Path) -> None:
    """Run a command of this Python and record what it writes."""
    options = ["-f", "-e", f"trace={_CALLS}", "-e", "signal=none", "-xx", "-s", "4194304", "-o", str(recording)]
    subprocess.run(
        ["strace", *options, sys.executable, *command],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=100,
        env=environment(),
    )


def environment() -> dict[str, str]:
    """In which a child finds the packages."""
    root = Path(__file__).parents[4]
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


def _apply(content: bytearray, place: int, written: bytes | None) -> None:
    if written is None:
        if place < len(content):
            del content[place:]
        else:
            content.extend(bytes(place - len(content)))
        return
    if place > len(content):
        content.extend(bytes(place - len(content)))
    content[place : place + len(written)] = written
