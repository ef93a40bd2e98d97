"""Images on their way into a Docker engine and out of it, in the archives of `docker load` and `docker save`.

Engines up to 24 do not load an OCI layout; this older form is read by all. Layers go in as they are, compressed. What
comes out holds layers uncompressed or not, depending on the engine; from 25 on there is an OCI layout beside it.
"""

import io
import json
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.descriptor import digest_of, encode_document
from edgepack.oci.layer_reading import open_layer
from edgepack.oci.media_types import LAYER_ZSTD

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image for one platform: the bytes of its configuration, and its layers, lowest first, as (digest, file)."""

    config: bytes
    layers: tuple[tuple[str, Path], ...]


def write_archive(image: EngineImage, name: str, file: IO[bytes]) -> None:
    """Write the archive that `docker load` reads: configuration, compressed layers and `manifest.json`."""

    def add(path: str, size: int, stream: IO[bytes]) -> None:
        member = tarfile.TarInfo(path)
        member.size = size
        archive.addfile(member, stream)

    with tarfile.open(fileobj=file, mode="w|", bufsize=CHUNK_BYTES) as archive:
        config = _member(digest_of(image.config))
        add(config, len(image.config), io.BytesIO(image.config))
        for digest, path in dict(image.layers).items():
            with _readable(path) as stream:
                add(_member(digest), os.fstat(stream.fileno()).st_size, stream)
        entry: dict[str, Any] = {
            "Config": config,
            "RepoTags": [name],
            "Layers": [_member(digest) for digest, _ in image.layers],
        }
        text = b"[" + encode_document(entry) + b"]"
        add("manifest.json", len(text), io.BytesIO(text))


@contextmanager
def _readable(layer: Path) -> Iterator[IO[bytes]]:
    """Yield the layer as any engine reads it: older ones do not know zstd, so that is unpacked before."""
    with layer.open("rb") as file:
        if file.read(len(_ZSTD_MAGIC)) != _ZSTD_MAGIC:
            file.seek(0)
            yield file
            return
    with open_layer(layer, LAYER_ZSTD) as plain, tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(plain, unpacked, CHUNK_BYTES)
        unpacked.seek(0)
        yield unpacked


def _member(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


@contextmanager
def streamed(write: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """Yield a reader of what `write` writes, which runs in a thread while it is read.

    An error of `write` is raised at the end of the block.
    """
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb") as file:
                write(file)
        except BrokenPipeError:
            pass  # the engine has stopped reading: its answer says why
        except (OSError, tarfile.TarError) as error:
            failures.append(error)

    writer = threading.Thread(target=run)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as file:
            yield file
    finally:
        writer.join()
    if failures:
        raise failures[0]


def read_saved(archive: Path) -> tuple[bytes, tuple[str, ...]]:
    """Of what `docker save` gave for one image: the bytes of its configuration, and the names of its layers.

    Raises:
        RemoteError: it is no such archive.
    """
    with open_saved(archive, "manifest.json") as manifest:
        content = manifest.read()
    match json.loads(content):
        case [{"Config": str(config), "Layers": list(layers)}]:
            with open_saved(archive, config) as file:
                return file.read(), tuple(map(str, layers))
    raise RemoteError("the Docker engine saved something else than one image", retryable=False)


@contextmanager
def open_saved(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """Yield a reader of one file of such an archive."""
    try:
        with tarfile.open(archive, "r:") as tar, tar.extractfile(name) or io.BytesIO() as stream:
            yield stream
    except (tarfile.TarError, KeyError) as error:
        raise RemoteError(f"what the Docker engine saved cannot be read ({error})", retryable=False) from error
