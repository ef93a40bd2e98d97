"""Where the registry's files lie, and how several processes, some of them killed, share that folder.

    models/lock                           held while records or blobs change
    models/records/NAME/VERSION.json      one record a version
    models/records/NAME/highest-deleted   so that a deleted version's number is never given again
    models/blobs/sha256/HEX               one file a content, shared among versions
    models/staging/TOKEN/                 copies in the making, and a lock held while their process lives

Rules: blobs and records change only under the lock; a blob is in place before the first record that names it,
and leaves after the last. A change begins by making its staging folder and ends by removing it: a staging
folder whose lock is free tells that a process died in the middle, and the next change then clears up after
it.
"""

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import exclusive, full_disk_named, sync_folder, write_file
from edgepack.models.record import ModelRecord, encode_record, parse_record

_RECORD = re.compile(r"([1-9][0-9]*)\.json", re.ASCII)


class ModelStorage:
    """The folder `models` of one workspace. Reading needs no lock; who changes something says so in the
    docstring.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._records = root / "records"
        self._blobs = root / "blobs" / "sha256"
        self._staging = root / "staging"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry's lock; waits for the present holder.

        Raises:
            InputError: the workspace cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / "lock").touch()
        except OSError as error:
            raise InputError(
                f"the workspace {self.root.parent} cannot be written ({error.strerror}): choose another with "
                "--workspace or EDGEPACK_WORKSPACE"
            ) from error
        with exclusive(self.root / "lock"):
            yield

    @contextmanager
    def change(self) -> Iterator[Path]:
        """Yield the staging folder of one change, removed at the end; clears up after killed processes first.

        Takes the lock for a moment: call it without holding the lock.
        """
        with full_disk_named(self._staging), self._own_folder() as folder:
            yield folder

    @contextmanager
    def _own_folder(self) -> Iterator[Path]:
        with self.locked():
            self._clear_dead()
            self._staging.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self._staging))
            alive = (folder / "alive").open("w")
            fcntl.flock(alive, fcntl.LOCK_EX)
        with alive:
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def names(self) -> tuple[str, ...]:
        """The names that have at least one version, sorted."""
        return tuple(name for name in _names_in(self._records) if self.versions(name))

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of `name`, ascending; empty when there are none."""
        found = (_RECORD.fullmatch(file) for file in _names_in(self._records / name))
        return tuple(sorted(int(match[1]) for match in found if match))

    def record_path(self, name: str, version: int) -> Path:
        """Where a record is or would be."""
        return self._records / name / f"{version}.json"

    def blob_path(self, sha256: str) -> Path:
        """Where a content is or would be."""
        return self._blobs / sha256

    def read(self, name: str, version: int) -> ModelRecord:
        """Read one record.

        Raises:
            FileNotFoundError: there is none.
            DamagedDataError: it is not what was written.
        """
        path = self.record_path(name, version)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DamagedDataError(f"{path}: the model's record cannot be read: {error.strerror}") from error
        record = parse_record(content, str(path))
        if (record.name, record.version) != (name, version):
            raise DamagedDataError(f"{path}: holds the record of {record.id}: restore the file from a backup")
        return record

    def next_version(self, name: str) -> int:
        """The number of the next version: above all that exist or were deleted. Call under the lock."""
        return max((self._highest_deleted(name), *self.versions(name))) + 1

    def write(self, record: ModelRecord) -> None:
        """Write or replace a record; durable on return. Call under the lock."""
        path = self.record_path(record.name, record.version)
        new_name = not path.parent.exists()
        write_file(path, encode_record(record))
        if new_name:
            sync_folder(self._records)
            sync_folder(self.root)

    def keep(self, copy: Path, sha256: str) -> None:
        """Move a staged copy to its place; one that is there already is replaced, which also repairs it.

        Call under the lock, then `sync_blobs`.
        """
        self._blobs.mkdir(parents=True, exist_ok=True)
        copy.replace(self.blob_path(sha256))

    def sync_blobs(self) -> None:
        """Make the places of kept blobs durable."""
        for folder in (self._blobs, self._blobs.parent, self.root):
            sync_folder(folder)

    def remove(self, name: str, version: int) -> None:
        """Remove a record, never to give its number again; durable on return. Call under the lock."""
        highest = max(self._highest_deleted(name), version)
        write_file(self._records / name / "highest-deleted", f"{highest}\n".encode())
        self.record_path(name, version).unlink()
        sync_folder(self._records / name)

    def collect(self) -> int:
        """Remove the blobs that no record names; returns the bytes freed. Call under the lock.

        Nothing is removed while a record is damaged, because its blobs are not known.
        """
        needed: set[str] = set()
        for name in self.names():
            for version in self.versions(name):
                try:
                    record = self.read(name, version)
                except DamagedDataError:
                    return 0
                needed.update(file.sha256 for file in record.stored_files)
        freed = 0
        for blob in _names_in(self._blobs):
            if blob not in needed:
                path = self._blobs / blob
                freed += path.stat().st_size
                path.unlink()
        return freed

    def unneeded(self) -> tuple[str, ...]:
        """The names of dead staging folders, for checks: empty when nothing was killed since the last
        change.
        """
        return tuple(name for name in _names_in(self._staging) if _is_dead(self._staging / name))

    def _highest_deleted(self, name: str) -> int:
        path = self._records / name / "highest-deleted"
        try:
            return int(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except ValueError as error:
            raise DamagedDataError(
                f"{path}: is damaged: write into it the highest version of {name} that was ever deleted"
            ) from error

    def _clear_dead(self) -> None:
        dead = self.unneeded()
        if not dead:
            return
        for part in self._records.glob("*/.*.part"):
            part.unlink()
        self.collect()
        for name in dead:
            shutil.rmtree(self._staging / name, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    """Whether the process that made a staging folder is gone. Call under the lock."""
    with suppress(FileNotFoundError), (folder / "alive").open("r") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
