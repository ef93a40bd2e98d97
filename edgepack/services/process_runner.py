"""Services as processes of this machine: the image unpacked, started through its own loader, kept by `keeper`.

What survives: the process leads a session of its own and goes on when the shell, the terminal or the command that
started it are gone. What does not: a reboot. Nothing isolates services from each other or from this machine's files.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.base.root import APP_ROOT, HOME
from edgepack.errors import RemoteError
from edgepack.files import remove_tree, write_file
from edgepack.host_image import UnpackedImage, unpack_beside
from edgepack.services import keeper
from edgepack.services.access import key_lines
from edgepack.services.log_text import last_lines
from edgepack.services.ports import listening_port
from edgepack.services.process_identity import (
    MARK,
    ProcessIdentity,
    is_alive,
    marked,
    read_identity,
    send_signal,
    wait_for_end,
)
from edgepack.services.record import AccessKeys
from edgepack.services.runner import Life, Sight
from edgepack.services.running_script import running_script
from edgepack.services.store import KEYS

if TYPE_CHECKING:
    from edgepack.script_folder import Script

STOP_S = keeper.GRACE_S + 5.0
_KEEPER_STARTS_S = 20.0
_BOOKS_S = 2.0
_POLL_S = 0.01
_FOLLOW_S = 0.2


class ProcessRunner:
    """See `runner.Runner`. `roots` is where images are unpacked to, and compiled modules kept, for all services."""

    def __init__(self, roots: Path, unpack: Callable[[Path, Path, Path], UnpackedImage] = unpack_beside) -> None:
        self._roots = roots
        self._compiled = roots / "compiled"
        self._unpack = unpack

    def check(self) -> None:
        """Processes can always be started."""

    def start(self, life: Life) -> None:
        """Unpack what is not there, and start the keeper, which starts the service."""
        folder = life.folder
        (folder / "log").mkdir(parents=True, exist_ok=True)
        own = folder / "app"
        image = self._unpack(life.layout, self._roots, own)
        environment = {**image.with_variables(life.variables), **_own_variables(life)}
        data = folder / "data" if life.is_trial else life.place / "data"
        data.mkdir(exist_ok=True)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment |= {
            "PYTHONPYCACHEPREFIX": str(self._compiled),
            "HOME": str(data),
            "EDGEPACK_BUFFER_PATH": f"{data}/buffer.db",
            "EDGEPACK_DATA_PATH": f"{data}/data",
        }
        environment = {
            name: re.sub(rf"(^|:)/{HOME}(?=/|$)", rf"\1{data}", value) for name, value in environment.items()
        }
        if life.script is not None:
            environment |= copy_script(life.script, own)
        if life.keys is not None and life.is_trial:
            write_file(folder / KEYS, key_lines(life.keys), mode=0o600)
        start = {"command": list(image.command), "environment": environment, "folder": image.working_folder}
        Path(image.working_folder).mkdir(parents=True, exist_ok=True)
        write_file(folder / "start.json", json.dumps(start).encode(), mode=0o600)
        self._start_keeper(life)

    def _start_keeper(self, life: Life) -> None:
        command = [sys.executable, "-I", "-S", keeper.__file__, str(life.folder)]
        variables = {**os.environ, MARK: mark_of(life.place) + life.id}
        with (life.folder / "log" / "service.log").open("ab") as log:
            done = subprocess.run(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                check=False,
            )
        deadline_s = time.monotonic() + _KEEPER_STARTS_S
        while not (life.folder / "process.json").exists():
            if done.returncode or time.monotonic() > deadline_s:
                text = last_lines(life.folder / "log", 5)
                self.stop(life.place, life.id)
                raise RemoteError(
                    f"no process could be started for service {life.name}: {text.strip() or 'no reason given'}"
                )
            time.sleep(_POLL_S)

    def look(self, place: Path, life: str) -> Sight:
        """By the process's id, start and boot; and what the keeper wrote about its end."""
        folder = place / "instances" / life
        process = _identity(folder, "process")
        if process is not None and is_alive(process):
            return Sight(True, listening_port(process.pid), process.pid)
        keeper_at_work = _identity(folder, "keeper")
        if keeper_at_work is not None:
            wait_for_end(keeper_at_work, _BOOKS_S)  # it is writing how the process has ended
        end = _read_json(folder / "end.json")
        if end is not None:
            return Sight(False, end=_end_text(end), exit_code=end.get("exit_code"))
        if process is None:
            return Sight(False, end="it was never started, or was removed")
        return Sight(
            False,
            end=f"its process ({process.pid}) is gone: it was killed together with its keeper, or this machine was "
            "started anew",
        )

    def stop(self, place: Path, life: str) -> None:
        """SIGTERM to the keeper, which hands it on; after its time, SIGKILL to both."""
        folder = place / "instances" / life
        known = [each for each in (_identity(folder, "keeper"), _identity(folder, "process")) if each is not None]
        for identity in known[:1]:
            send_signal(identity, signal.SIGTERM)
            wait_for_end(identity, STOP_S)
        self._kill(place, lambda mark: mark == life, known)

    def _kill(self, place: Path, is_meant: Callable[[str], bool], known: list[ProcessIdentity]) -> None:
        """Kill what carries the mark of lives that are meant, until nothing does."""
        deadline_s = time.monotonic() + STOP_S
        while True:
            left = [identity for identity in known if is_alive(identity)]
            left += [identity for identity, life in marked(mark_of(place)) if is_meant(life)]
            if not left:
                return
            if time.monotonic() > deadline_s:
                raise RemoteError(f"process {left[0].pid} of {place.name} does not end, though it was killed: end it")
            for identity in left:
                send_signal(identity, signal.SIGKILL)
            for identity in left:
                wait_for_end(identity, 1.0)

    def log(self, place: Path, life: str, lines: int) -> str:
        """From the files that the keeper writes."""
        return last_lines(place / "instances" / life / "log", lines)

    def follow(self, place: Path, life: str, lines: int) -> Iterator[str]:
        """Reads on where the log grows; a rotation is noticed by the file's identity."""
        folder = place / "instances" / life / "log"
        yield from last_lines(folder, lines).splitlines()
        path = folder / "service.log"
        try:
            file = path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        file.seek(0, os.SEEK_END)
        rest = ""
        try:
            while True:
                lives = self.look(place, life).is_alive
                rest += file.read()
                *whole, rest = rest.split("\n")
                yield from whole
                if whole:
                    continue
                if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    rest += file.read()
                    file.close()
                    file = path.open(encoding="utf-8", errors="replace")
                elif not lives:
                    break
                else:
                    time.sleep(_FOLLOW_S)
        finally:
            file.close()
        if rest:
            yield rest

    def put_keys(self, place: Path, life: str, keys: AccessKeys) -> None:
        """Nothing to do: the agent reads the service's own key file, and sees that it has changed."""

    def script(self, place: Path, life: str, into: Path) -> "Script | None":
        """In the life's own folder."""
        folder = place / "instances" / life
        variables = (_read_json(folder / "start.json") or {}).get("environment", {})
        return running_script(folder / "app" / APP_ROOT, variables)

    def sweep(self, place: Path, keep: str | None) -> None:
        """By the mark in the environment, then the folders."""
        self._kill(place, lambda life: life != keep, [])
        for folder in (place / "instances").glob("*"):
            if folder.name != keep:
                self._remove_compiled(folder.resolve())
                remove_tree(folder)

    def _remove_compiled(self, folder: Path) -> None:
        """What Python has compiled of a life's own files: it lies below their path."""
        compiled = Path(f"{self._compiled}{folder}")
        remove_tree(compiled)
        for parent in compiled.parents:
            if parent == self._compiled or not parent.is_relative_to(self._compiled):
                return
            try:
                parent.rmdir()
            except OSError:
                return  # another life's, or nothing was compiled

    def forget(self, place: Path, *, image: bool, volume: bool) -> None:
        """The volume is a folder of the service's; there is no other image than its layout."""
        if volume and (place / "data").exists():
            remove_tree(place / "data")


def copy_script(script: "Script", own: Path) -> dict[str, str]:
    """Put a fresh copy of the script in place of the image's; returns the variables by which the agent finds it."""
    from edgepack.project import script_location  # with all that reads projects: only where it is needed

    folder, variables = script_location(script, APP_ROOT)
    target = own / folder
    if script.source_name is not None and target.exists():
        remove_tree(target)
    for name, path, executable in script.files:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755 if executable else 0o644)
    return variables


def _own_variables(life: Life) -> dict[str, str]:
    """What is set for a service whatever its image says."""
    host = f"[{life.host}]" if ":" in life.host else life.host
    variables = {
        "EDGEPACK_HTTP": f"{host}:{life.port or 0}",
        "SEPERATE_HEALTH_ENDPOINT": "false",
        "SERVICE_NAME": life.name,
        MARK: mark_of(life.place) + life.id,
    }
    if life.keys is not None:
        variables["EDGEPACK_HTTP_KEY_FILE"] = str((life.folder if life.is_trial else life.place) / KEYS)
    if life.is_trial:
        variables["EDGEPACK_TRANSPORT"] = "none"
    return variables


def mark_of(place: Path) -> str:
    """What marks the processes of a service: its place on this machine, so that no record is needed to find them."""
    return hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:24] + "/"


def _identity(folder: Path, of: str) -> ProcessIdentity | None:
    return read_identity((_read_json(folder / "process.json") or {}).get(of))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _end_text(end: dict[str, Any]) -> str:
    number = end.get("signal")
    if number is None:
        return f"its process ended with exit code {end.get('exit_code')}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    why = ", by somebody or by the kernel for lack of memory" if number == signal.SIGKILL else ""
    return f"its process was killed by signal {number} ({name}){why}"
