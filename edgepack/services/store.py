"""Services on disk: `services/NAME` in the workspace, and who may change it.

    service.json     the record, by rename; it is the first file to come and the last to go
    keys             the access keys, mode 0600, one a line, as the agent reads them
    images/ID/image/ the image layout
    data/            what the service keeps between its lives (its volume, with the process runner)
    instances/ID/    a life: app/ (models and script), log/, process.json, end.json

The folder is for its owner alone. A command that changes a service holds `services/.NAME.lock`, which the kernel
releases when the command is killed.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import remove_tree, write_file
from edgepack.models.naming import nearest
from edgepack.services.access import key_lines
from edgepack.services.record import AccessKeys, name_problems
from edgepack.services.stored import StoredService, encode_service, parse_service

RECORD, KEYS, IMAGES = "service.json", "keys", "images"


class ServiceStore:
    """The services of one workspace; nothing is made on disk before the first `write`."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace.absolute() / "services"

    def place(self, name: str) -> Path:
        """The folder of a service.

        Raises:
            InputError: the name would be another place.
        """
        if name in ("", ".", "..") or set(name) & set("/\0"):
            raise InputError(*name_problems(name))
        return self.folder / name

    def names(self) -> tuple[str, ...]:
        """The services there are, also those whose record is damaged."""
        return tuple(sorted(path.parent.name for path in self.folder.glob(f"[a-z]*/{RECORD}")))

    def read(self, name: str) -> StoredService:
        """One service.

        Raises:
            InputError: there is none; the text names those there are.
            DamagedDataError: its record is damaged.
        """
        path = self.place(name) / RECORD
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            names = self.names()
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}" if names else "there are none"
            raise InputError(f"service {name} is not in {self.folder.parent}: {hint}") from None
        return parse_service(content, str(path))

    def read_if_there(self, name: str) -> StoredService | None:
        """One service, or None."""
        return self.read(name) if (self.place(name) / RECORD).is_file() else None

    def write(self, stored: StoredService) -> None:
        """Keep a record, durable on return."""
        self.place(stored.name).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self.place(stored.name) / RECORD, encode_service(stored), mode=0o600)

    def read_keys(self, name: str) -> AccessKeys | None:
        """The keys of a service, None where it has none.

        Raises:
            DamagedDataError: the file has not two lines.
        """
        path = self.place(name) / KEYS
        try:
            lines = path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return None
        if len(lines) != 2:
            raise DamagedDataError(f"{path}: expected two keys, one a line; write them, or deploy the service again")
        return AccessKeys(*lines)

    def write_keys(self, name: str, keys: AccessKeys | None) -> None:
        """Keep the keys, readable by this user alone; None: keep none."""
        path = self.place(name) / KEYS
        if keys is None:
            path.unlink(missing_ok=True)
        else:
            write_file(path, key_lines(keys), mode=0o600)

    def remove(self, name: str) -> None:
        """Remove all of a service, its record last. To be called with the lock held, which goes when it is released."""
        folder = self.place(name)
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            if path.name != RECORD:
                remove_tree(path)
        (folder / RECORD).unlink(missing_ok=True)
        remove_tree(folder)

    def new_image_folder(self, name: str) -> Path:
        """Where to make an image for a service."""
        return self.place(name) / IMAGES / uuid.uuid4().hex[:12]

    def keep_image(self, name: str, layout: str | None) -> None:
        """Remove all images of a service but the one in `layout` (a path in its folder)."""
        kept = None if layout is None else self.place(name) / layout
        for path in (self.place(name) / IMAGES).glob("*"):
            if kept is None or not kept.is_relative_to(path):
                remove_tree(path)

    @contextlib.contextmanager
    def locked(self, name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the right to change a service; `on_wait` is called once when another command has it."""
        place, path = self.place(name), self._lock_path(name)
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the last service was deleted at this moment, and the folder with it
            try:
                _lock(descriptor, on_wait)
                if not _is_file_of(descriptor, path):
                    continue  # the service was deleted, and its lock with it
                try:
                    yield
                finally:
                    if not place.is_dir():
                        self._remove_lock(name)
                return
            finally:
                os.close(descriptor)

    def is_at_work(self, name: str) -> bool:
        """Whether a command changes the service at this moment."""
        try:
            descriptor = os.open(self._lock_path(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _remove_lock(self, name: str) -> None:
        """Together with the folder of services, if it was the last."""
        self._lock_path(name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _lock_path(self, name: str) -> Path:
        return self.folder / f".{name}.lock"


def _lock(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
