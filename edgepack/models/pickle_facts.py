"""What a pickled scikit-learn model says of itself, read from its bytes: nothing in it is loaded or run. Pure."""

import bz2
import lzma
import mmap
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgepack.models.record import ModelFile

PICKLE_ENDINGS = (".joblib", ".pkl", ".pickle", ".sav")
COLUMN_NAMES = "sklearn.column_names"  # the property that a registered model has: true or false

_VERSION = re.compile(
    rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c.|X.{4})(\d+\.\d+(?:\.\d+)?(?:\.?(?:rc|dev|post)\d+)?)", re.DOTALL
)
_NAMES = re.compile(rb"feature_names_in_")
_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PickleFacts:
    """The version of scikit-learn that wrote a file (None: not told), and whether it was trained on named columns."""

    version: str | None = None
    has_column_names: bool = False


def pickles_of(files: Iterable[ModelFile]) -> list[ModelFile]:
    """The files of a model that may be a pickled one."""
    return [file for file in files if file.path.endswith(PICKLE_ENDINGS)]


def pickle_facts(content: bytes | mmap.mmap) -> PickleFacts:
    """What the bytes of a pickle or joblib file tell, also of one that joblib compressed (but with lz4)."""
    plain = _plain(content)
    found = _VERSION.search(plain)
    return PickleFacts(found[1].decode() if found else None, _NAMES.search(plain) is not None)


def recorded_facts(version: str | None, properties: Mapping[str, str]) -> PickleFacts | None:
    """What was kept at registration; None where nothing was, as by former versions."""
    named = properties.get(COLUMN_NAMES)
    return None if version is None or named is None else PickleFacts(version, named == "true")


def _plain(content: bytes | mmap.mmap) -> bytes | mmap.mmap:
    try:
        if content[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(content, _MOST_BYTES)
        if content[:1] == b"\x78":
            return zlib.decompressobj().decompress(content, _MOST_BYTES)
        if content[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(content, _MOST_BYTES)
        if content[:6] == b"\xfd7zXZ\x00" or content[:3] == b"]\x00\x00":
            return lzma.LZMADecompressor().decompress(content, _MOST_BYTES)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return content
    return content
