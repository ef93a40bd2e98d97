"""A wheel as the entries of a layer, without running anything and without a machine of the target's kind.

`installer` reads the wheel and says what an installation consists of; the destination here collects entries instead
of writing files. The wheel's own hash has been checked by whoever fetched it. Source: the binary distribution format
specification of the Python Packaging Authority.
"""

import base64
import configparser
import csv
import hashlib
import posixpath
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, InvalidRecordEntry, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import Scheme, construct_record_file, fix_shebang

from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES
from edgepack.layers.entry import Entry, FileEntry, ZipMember, is_plain_path

PREFIX = "usr/local"
_SHARED_OBJECT = re.compile(r"\.so(\.\d+)*$")
_DAMAGED = (
    InstallerError,
    InvalidRecordEntry,
    zipfile.BadZipFile,
    zlib.error,
    configparser.Error,
    csv.Error,
    struct.error,
    LookupError,
    ValueError,
    AssertionError,
    AttributeError,
    RuntimeError,  # encrypted, or (its subclass NotImplementedError) packed in an unknown way
    EOFError,
    OSError,
)
_LARGE_BYTES = 1024 * 1024  # larger files stay in the wheel until the layer is written


def wheel_entries(wheel: Path, site_folder: str, interpreter: str) -> list[Entry]:
    """What installing `wheel` puts into a root file system.

    `site_folder` is the packages folder of the target (`usr/local/lib/python3.11/dist-packages`), `interpreter` its
    Python (`/usr/bin/python3`), which entry-point scripts name.

    Raises:
        DamagedDataError: the file is no readable wheel.
    """
    destination = _EntryDestination(wheel, site_folder, interpreter)
    try:
        with WheelFile.open(wheel) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # wheels that ship __pycache__: it is left out
            install(source, destination, additional_metadata={"INSTALLER": b"edgepack\n"})
    except _DAMAGED as error:
        raise DamagedDataError(
            f"{wheel.name}: this wheel cannot be unpacked: {error or type(error).__name__}"
        ) from error
    return list(destination.entries.values())


def merged_entries(wheels: Iterable[Iterable[Entry]]) -> list[Entry]:
    """The entries of several wheels together. Of files with one path the last wins, as an installer has it."""
    return list({entry.path: entry for entries in wheels for entry in entries}.values())


def wheel_clashes(wheels: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
    """A sentence for each path that wheels do not agree on; of each: its name, its files' tokens by path."""
    found: dict[str, tuple[str, str]] = {}
    clashes: list[str] = []
    for name, files in wheels:
        for path, token in files.items():
            other, present = found.get(path, (name, token))
            if present != token:
                clashes.append(f"{other} and {name} both bring {path}; that of {name} is used")
            found[path] = (name, token)
    return clashes


class _EntryDestination(WheelDestination):
    """Collects entries; writes nothing."""

    def __init__(self, wheel: Path, site_folder: str, interpreter: str) -> None:
        self._wheel = wheel
        self._folders = {
            "purelib": site_folder,
            "platlib": site_folder,
            "scripts": f"{PREFIX}/bin",
            "data": PREFIX,
            "headers": f"{PREFIX}/include",
        }
        self._interpreter = interpreter
        self.entries: dict[str, Entry] = {}

    def write_script(self, name: str, module: str, attr: str, section: Literal["console", "gui"]) -> RecordEntry:
        """An entry-point script, as the wheel's `entry_points.txt` asks for."""
        script_name, content = Script(name, module, attr, section).generate(self._interpreter, kind="posix")
        return self._add("scripts", script_name, content, executable=True)

    def write_file(self, scheme: str, path: object, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        """A file of the wheel; scripts that say `#!python` get the target's interpreter."""
        name = str(path)
        if scheme == "scripts":
            with fix_shebang(stream, self._interpreter) as fixed:
                return self._add(scheme, name, fixed.read(), executable=True)
        executable = is_executable or bool(_SHARED_OBJECT.search(name))
        content = stream.read(_LARGE_BYTES)
        if len(content) < _LARGE_BYTES or not isinstance(stream, zipfile.ZipExtFile):
            return self._add(scheme, name, content + stream.read(), executable=executable)
        digest, size = hashlib.sha256(content), len(content)
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
        self._keep(scheme, name, ZipMember(self._wheel, stream.name, size), executable=executable)
        return _record(name, digest.digest(), size)

    def finalize_installation(
        self, scheme: str, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Write RECORD, sorted, with paths relative to the packages folder."""

        def prefix(target: Scheme) -> str | None:
            path = posixpath.relpath(self._folders[target], self._folders[scheme])
            return None if path == "." else f"{path}/"

        with construct_record_file(records, prefix) as stream:
            self._add(scheme, record_file_path, stream.read(), executable=False)

    def _add(self, scheme: str, path: str, content: bytes, *, executable: bool) -> RecordEntry:
        self._keep(scheme, path, content, executable=executable)
        return _record(path, hashlib.sha256(content).digest(), len(content))

    def _keep(self, scheme: str, path: str, content: bytes | ZipMember, *, executable: bool) -> None:
        full = f"{self._folders[scheme]}/{path}"
        if not is_plain_path(full):
            raise ValueError(f"its file {path!r} does not lie in the folder it is meant for")
        self.entries[full] = FileEntry(full, content, executable)


def _record(path: str, digest: bytes, size_bytes: int) -> RecordEntry:
    return RecordEntry(path, Hash("sha256", base64.urlsafe_b64encode(digest).decode().rstrip("=")), size_bytes)
