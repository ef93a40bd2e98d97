"""Compressed sections of a layer: each is a zstd frame or some gzip members, and a layer is several in a row.

A section's bytes depend on nothing before it, so the sections of a package can be kept and put into any layer. Of
gzip it is a member for every 4 MiB, so that all processors can compress what is large, such as TensorFlow. Content that
does not shrink goes into deflate blocks that are stored, written here: how zlib cuts them is no part of its promise.
Sources: RFC 1951, RFC 1952, RFC 8878.
"""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Protocol, cast

from edgepack.errors import InputError

LEVEL = 6
ZSTD_LEVEL = 9
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no time, no name, system unknown
_PIECE_BYTES = 4 * 1024 * 1024  # of content; the bytes of large layers depend on it
_MOST_THREADS = 8  # of one section: each has a piece in memory, and there may be as many sections as processors
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


Write = Callable[[bytes], object]
"""Takes some bytes of the content."""


class Source(Protocol):
    """Where compressed bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""


@contextmanager
def section(target: Target, compression: Compression, *, stored: bool = False) -> Iterator[Write]:
    """Yield what writes one section of `target`. `stored`: do not try to make it smaller (gzip only).

    Raises:
        InputError: this Python has no zstd.
    """
    make = _zstd_section if compression is Compression.ZSTD else _stored_section if stored else _gzip_section
    with make(target) as write:
        yield write


@contextmanager
def _gzip_section(target: Target) -> Iterator[Write]:
    """A member for every piece of the content; several are compressed at a time."""
    piece = bytearray()
    members: deque[Future[bytes]] = deque()
    threads = min(os.cpu_count() or 1, _MOST_THREADS)

    def write(content: bytes) -> None:
        nonlocal piece
        piece += content
        while len(piece) > _PIECE_BYTES:
            members.append(pool.submit(_gzip_member, bytes(piece[:_PIECE_BYTES])))
            del piece[:_PIECE_BYTES]
            if len(members) > threads:
                target.write(members.popleft().result())

    with ThreadPoolExecutor(threads) as pool:  # a thread starts when there is work for it
        yield write
        for member in members:
            target.write(member.result())
    target.write(_gzip_member(bytes(piece)))


def _gzip_member(content: bytes) -> bytes:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _HEADER + deflate.compress(content) + deflate.flush() + _trailer(zlib.crc32(content), len(content))


def _trailer(checksum: int, size: int) -> bytes:
    return checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


@contextmanager
def _stored_section(target: Target) -> Iterator[Write]:
    """One gzip member, all of whose blocks are stored."""
    checksum = size = 0

    def write(content: bytes) -> None:
        nonlocal checksum, size
        checksum = zlib.crc32(content, checksum)
        size += len(content)
        for start in range(0, len(content), _STORED_BYTES):
            target.write(_stored_block(content[start : start + _STORED_BYTES]))

    target.write(_HEADER)
    yield write
    target.write(_stored_block(b"", last=True) + _trailer(checksum, size))


def _stored_block(content: bytes, *, last: bool = False) -> bytes:
    size = len(content)
    return bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + content


@contextmanager
def _zstd_section(target: Target) -> Iterator[Write]:
    """One frame."""
    zstd = load_zstd()
    parameter = zstd.CompressionParameter
    options = {parameter.compression_level: ZSTD_LEVEL, parameter.checksum_flag: 1}
    compressor = zstd.ZstdCompressor(options=options)
    yield lambda content: target.write(compressor.compress(content))
    target.write(compressor.flush(compressor.FLUSH_FRAME))


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
