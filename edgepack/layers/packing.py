"""Compressed sections of a layer: each is a gzip member or a zstd frame of its own, and a layer is several in a row.

A section's bytes depend on nothing before it, so the sections of a package can be kept and put into any layer. Content
that does not shrink goes into deflate blocks that are stored, written here: how zlib cuts them is no part of its
promise. Sources: RFC 1951, RFC 1952, RFC 8878.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Protocol, cast

from edgepack.errors import InputError

LEVEL = 6
ZSTD_LEVEL = 9
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no time, no name, system unknown
_STORED_BYTES = 65535  # the longest block
_SAMPLES, _SAMPLE_BYTES = 16, 64 * 1024
_WORTH_PACKING = 0.98


class Compression(StrEnum):
    """How the layers of an image are compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"


class Target(Protocol):
    """Where compressed bytes go."""

    def write(self, content: bytes, /) -> int:
        """Take some bytes."""


class Source(Protocol):
    """Where compressed bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""


class _GzipSection:
    def __init__(self, target: Target, *, stored: bool) -> None:
        self._target = target
        self._stored = stored
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._checksum = self._size = 0
        target.write(_HEADER)

    def write(self, content: bytes) -> None:
        self._checksum = zlib.crc32(content, self._checksum)
        self._size += len(content)
        if not self._stored:
            self._target.write(self._deflate.compress(content))
            return
        for start in range(0, len(content), _STORED_BYTES):
            self._target.write(_stored_block(content[start : start + _STORED_BYTES]))

    def close(self) -> None:
        self._target.write(_stored_block(b"", last=True) if self._stored else self._deflate.flush())
        self._target.write(self._checksum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))


def _stored_block(content: bytes, *, last: bool = False) -> bytes:
    size = len(content)
    return bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + content


class _ZstdSection:
    def __init__(self, target: Target) -> None:
        zstd = load_zstd()
        self._target = target
        parameter = zstd.CompressionParameter
        options = {parameter.compression_level: ZSTD_LEVEL, parameter.checksum_flag: 1}
        self._compressor = zstd.ZstdCompressor(options=options)

    def write(self, content: bytes) -> None:
        self._target.write(self._compressor.compress(content))

    def close(self) -> None:
        self._target.write(self._compressor.flush(self._compressor.FLUSH_FRAME))


@contextmanager
def section(
    target: Target, compression: Compression, *, stored: bool = False
) -> Iterator["_GzipSection | _ZstdSection"]:
    """Yield a writer of one section of `target`. `stored`: do not try to make it smaller (gzip only).

    Raises:
        InputError: this Python has no zstd.
    """
    packed = _ZstdSection(target) if compression is Compression.ZSTD else _GzipSection(target, stored=stored)
    yield packed
    packed.close()


@contextmanager
def unpacked(file: Source, compression: Compression) -> Iterator[IO[bytes]]:
    """Yield a reader of all sections of `file`. Damage shows as one of the errors `damage_kinds` names."""
    if compression is Compression.ZSTD:
        with load_zstd().ZstdFile(file) as reader:
            yield reader
    else:
        import gzip

        with gzip.GzipFile(fileobj=cast("IO[bytes]", file), mode="rb") as packed:
            yield cast("IO[bytes]", packed)


def damage_kinds(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What reading damaged sections raises, and `more`."""
    kinds: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, *more)
    try:
        return (*kinds, load_zstd().ZstdError)
    except InputError:
        return kinds


def load_zstd() -> Any:
    """The zstd module: Python's own from 3.14 on, else backports.zstd.

    Raises:
        InputError: neither is there.
    """
    try:
        import compression.zstd as found  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            from backports import zstd as found  # type: ignore[no-redef, unused-ignore]
        except ImportError:
            raise InputError(
                "zstd is not installed: `pip install 'edgepack[zstd]'`, or leave layers compressed with gzip"
            ) from None
    return found


def is_worth_packing(path: Path) -> bool:
    """Does a file get smaller by compression? Told from samples all over it, by its content alone."""
    size = path.stat().st_size
    step = max(size // _SAMPLES, _SAMPLE_BYTES)
    taken = packed = 0
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            sample = file.read(_SAMPLE_BYTES)
            taken += len(sample)
            packed += len(zlib.compress(sample, LEVEL))
    return packed < taken * _WORTH_PACKING
