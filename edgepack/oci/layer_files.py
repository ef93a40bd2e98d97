"""The files of some layers of an image, as short texts by path that tell one content from another."""

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path

from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.layer_reading import open_layer

_TYPES = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link"}


def read_layer_files(layers: Iterable[tuple[Path, str]]) -> dict[str, str]:
    """What each path is in the layers, lowest first, given as (blob, media type). Of two with one path, the upper one.

    Raises:
        DamagedDataError: a layer cannot be read.
        InputError: it is compressed with zstd, which this Python has not.
    """
    found: dict[str, str] = {}
    for blob, media_type in layers:
        try:
            with open_layer(blob, media_type) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
                for member in archive:
                    name = member.name.removeprefix("./").rstrip("/")
                    if not member.isdir():
                        found[name] = _token(archive, member)
        except tarfile.TarError as error:
            raise DamagedDataError(f"{blob}: this layer cannot be read ({error})") from error
    return found


def _token(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    owner = f"{member.uid}:{member.gid} {member.mode:o}"
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        return f"{_TYPES.get(member.type, 'device')} {member.linkname} {owner}"
    digest = hashlib.sha256()
    with file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return f"{digest.hexdigest()} {owner}"
