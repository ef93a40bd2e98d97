"""Stored files read back: checked against their hashes, and copied out of the registry."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import CHUNK_BYTES, new_file
from edgepack.models.record import ModelFile

_REPAIR = "register the model again from its source, or restore the workspace from a backup"


def blob_problem(file: ModelFile, blob: Path) -> str | None:
    """Recompute the hash of a stored file; None when it is whole, else what is wrong, in one sentence."""
    try:
        with blob.open("rb") as reader:
            found = hashlib.file_digest(reader, "sha256").hexdigest()
    except OSError as error:
        return f"{file.path}: its content {blob} cannot be read ({error.strerror}): {_REPAIR}"
    if found == file.sha256:
        return None
    return f"{file.path}: its content {blob} is damaged (SHA-256 is {found}, recorded {file.sha256}): {_REPAIR}"


def copy_out(blobs: Mapping[str, tuple[ModelFile, Path]], target: Path, *, exist_ok: bool) -> None:
    """Write each stored file as `target`/NAME, each checked while it is copied, all or nothing a file.

    Raises:
        InputError: files that exist (without `exist_ok`), or a folder stands where a file belongs; nothing is
            written then. Or the target cannot be written.
        DamagedDataError: a stored file is not what was registered; that file does not appear.
    """
    InputError.raise_if_any(
        problem for path in blobs if (problem := _target_problem(target, path, exist_ok)) is not None
    )
    for path, (file, blob) in blobs.items():
        try:
            _copy(file, blob, target / path)
        except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise InputError(f"{target / path}: cannot be written ({error.strerror}): choose another folder") from error


def _copy(file: ModelFile, blob: Path, place: Path) -> None:
    try:
        reader = blob.open("rb")
    except FileNotFoundError as error:
        raise DamagedDataError(f"{file.path}: its content {blob} is missing: {_REPAIR}") from error
    digest = hashlib.sha256()
    with reader, new_file(place, mode=0o755 if file.executable else 0o644) as writer:
        while piece := reader.read(CHUNK_BYTES):
            digest.update(piece)
            writer.write(piece)
        if digest.hexdigest() != file.sha256:
            raise DamagedDataError(f"{file.path}: its content {blob} is damaged: {_REPAIR}")


def _target_problem(target: Path, path: str, exist_ok: bool) -> str | None:
    place = target / path
    if place.is_dir():
        return f"{place} is a folder, and a file is to be written there: choose another target folder"
    if os.path.lexists(place) and not exist_ok:
        return f"{place} exists: choose another target folder, or allow replacing it (--overwrite)"
    return None
