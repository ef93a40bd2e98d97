"""What Python packages say of their licences, read from their wheels once and kept in the cache by hash."""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from edgepack.download import Downloader, Remote
from edgepack.errors import RemoteError
from edgepack.files import write_file
from edgepack.ingredients import Licence
from edgepack.resolve.lock import Wheel

_FILE = "licences.json"
_MOST_CHARACTERS = 120  # some put the whole text of their licence there


def wheel_licences(
    wheels: Iterable[Wheel], downloader: Downloader, cache: Path, warn: Callable[[str], None]
) -> Mapping[str, Licence]:
    """The licences of `wheels` by SHA-256; a wheel that tells none has an empty one.

    A wheel that is no longer on this machine is fetched again; where that cannot be, a warning says so.
    """
    path = cache / _FILE
    known = _read(path)
    wanted = {wheel.sha256: wheel for wheel in wheels}
    found = {sha256: known[sha256] for sha256 in wanted if sha256 in known}
    missing = [wheel for sha256, wheel in wanted.items() if sha256 not in found]
    unknown = []
    for wheel in missing:
        try:
            file = downloader.fetch(Remote(wheel.url, wheel.filename, wheel.sha256, wheel.size_bytes))
        except RemoteError:
            unknown.append(wheel.filename)
            continue
        found[wheel.sha256] = licence_of(file)
    if unknown:
        warn(f"no licence in the bill of materials for {', '.join(unknown)}: not on this machine, and not to be had")
    if missing:
        merged = {**known, **found}
        document = {key: [each.expression, list(each.names)] for key, each in sorted(merged.items())}
        write_file(path, json.dumps(document).encode())
    return found


def licence_of(wheel: Path) -> Licence:
    """What the metadata of a wheel says: an SPDX expression, else the licence's name, else its classifiers."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.count("/") == 1]
            name = next(name for name in names if name.endswith(".dist-info/METADATA"))
            fields = BytesHeaderParser().parsebytes(archive.read(name))
    except (OSError, zipfile.BadZipFile, zlib.error, StopIteration, RuntimeError, ValueError, EOFError):
        return Licence()
    expression = str(fields.get("License-Expression") or "").strip()
    if expression:
        return Licence(expression)
    name = str(fields.get("License") or "").strip()
    if name and "\n" not in name and len(name) <= _MOST_CHARACTERS and name.upper() != "UNKNOWN":
        return Licence(None, (name,))
    classifiers = [str(text) for text in fields.get_all("Classifier") or ()]
    parts = [text.split(" :: ") for text in classifiers if text.startswith("License :: ")]
    return Licence(None, tuple(dict.fromkeys(each[-1] for each in parts if each[-1] != "OSI Approved")))


def _read(path: Path) -> dict[str, Licence]:
    """What is known; nothing where the file cannot be read, since it can be made again."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: _licence(value) for key, value in document.items()} if _is_sound(document) else {}


def _licence(value: Any) -> Licence:
    return Licence(value[0], tuple(value[1]))


def _is_sound(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    for value in document.values():
        match value:
            case [None | str(), list(names)] if all(isinstance(name, str) for name in names):
                continue
        return False
    return True
