"""Copying the files of a new version into the registry's disk: read once, hashed and written in the same
pass.

Staged files lie in a folder of this registration only. They become blobs by rename (see `registry`); a killed
registration leaves its folder behind, whose lock is then free, which is how the next one knows to clear it
away.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgepack.errors import InputError
from edgepack.files import CHUNK_BYTES, full_disk_named
from edgepack.models.record import ModelFile
from edgepack.models.source import FileState, SourceFile, changed_problem, shown

_WORKERS = 4


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A copied file: what the record will say of it, and where the copy lies (durable)."""

    file: ModelFile
    copy: Path


def stage(
    sources: Sequence[SourceFile], folder: Path, on_bytes: Callable[[int], None] = lambda _: None
) -> tuple[StagedFile, ...]:
    """Copy `sources` into `folder`, in their order; the copies are durable on return.

    `on_bytes` is told the bytes of each piece as it is copied, from several threads.

    Raises:
        InputError: files that cannot be read, or that changed while they were copied; all of them.
        RemoteError: the disk is full.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        copies = [
            pool.submit(_stage_one, source, folder / str(number), on_bytes) for number, source in enumerate(sources)
        ]
    InputError.raise_if_any(
        problem for copy in copies if isinstance(error := copy.exception(), InputError) for problem in error.problems
    )
    return tuple(copy.result() for copy in copies)


def _stage_one(source: SourceFile, copy: Path, on_bytes: Callable[[int], None]) -> StagedFile:
    try:
        reader = source.location.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{shown(source.location)}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256()
    size = 0
    with reader, full_disk_named(copy), copy.open("xb", buffering=0) as writer:
        piece = memoryview(bytearray(min(CHUNK_BYTES, source.state.size_bytes + 1)))
        while count := _read(reader.readinto, piece, source):
            digest.update(piece[:count])
            _write_whole(writer.write, piece[:count])
            size += count
            if size > source.state.size_bytes:
                break
            on_bytes(count)
        os.fchmod(writer.fileno(), 0o444)
        os.fsync(writer.fileno())
        if size != source.state.size_bytes or FileState.of(os.fstat(reader.fileno())) != source.state:
            raise InputError(changed_problem(source))
    return StagedFile(ModelFile(source.path, size, digest.hexdigest(), source.executable), copy)


def _read(readinto: Callable[[memoryview], int], piece: memoryview, source: SourceFile) -> int:
    try:
        return readinto(piece)
    except OSError as error:
        raise InputError(f"{shown(source.location)}: cannot be read: {error.strerror}") from error


def _write_whole(write: Callable[[memoryview], int], piece: memoryview) -> None:
    while piece:
        piece = piece[write(piece) :]
