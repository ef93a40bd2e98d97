"""What a pickled scikit-learn model says of itself, read from its bytes: nothing in it is loaded or run. Pure."""

import gzip
import lzma
import re
import zlib
from dataclasses import dataclass

_VERSION = re.compile(
    rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c.|X.{4})(\d+\.\d+(?:\.\d+)?(?:\.?(?:rc|dev|post)\d+)?)", re.DOTALL
)
_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PickleFacts:
    """The version of scikit-learn that wrote a file (None: not told), and whether it was trained on named columns."""

    version: str | None = None
    has_column_names: bool = False


def pickle_facts(content: bytes) -> PickleFacts:
    """What the bytes of a pickle or joblib file tell, also of one that joblib compressed with zlib, gzip or xz."""
    content = _plain(content)
    found = _VERSION.search(content)
    return PickleFacts(found[1].decode() if found else None, b"feature_names_in_" in content)


def _plain(content: bytes) -> bytes:
    try:
        if content[:2] == b"\x1f\x8b":
            return gzip.decompress(content)
        if content[:1] == b"\x78":
            return zlib.decompressobj().decompress(content, _MOST_BYTES)
        if content[:6] == b"\xfd7zXZ\x00":
            return lzma.LZMADecompressor().decompress(content, _MOST_BYTES)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return content
    return content
