"""The tar inside a layer, whatever its compression."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from edgepack.errors import DamagedDataError
from edgepack.layers.packing import Compression, damage_kinds, unpacked
from edgepack.oci.media_types import GZIP_LAYERS, TAR_LAYERS, ZSTD_LAYERS


@contextmanager
def open_layer(blob: Path, media_type: str) -> Iterator[IO[bytes]]:
    """Yield a reader of the tar in `blob`. Whatever of `damage_kinds` the block raises is told as damage.

    Raises:
        DamagedDataError: the blob is not what its media type says, or of one that is not known here.
        InputError: it is compressed with zstd, which this Python has not.
    """
    try:
        with blob.open("rb") as file, _plain(file, media_type, blob) as plain:
            yield plain
    except damage_kinds() as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedDataError(f"{blob}: this layer cannot be unpacked ({error})") from error


@contextmanager
def _plain(file: IO[bytes], media_type: str, blob: Path) -> Iterator[IO[bytes]]:
    if media_type in GZIP_LAYERS:
        opened = unpacked(file, Compression.GZIP)
    elif media_type in ZSTD_LAYERS:
        opened = unpacked(file, Compression.ZSTD)
    elif media_type in TAR_LAYERS:
        opened = nullcontext(file)  # type: ignore[assignment]
    else:
        raise DamagedDataError(f"{blob}: layers of type {media_type} are not known here")
    with opened as plain:
        yield plain
