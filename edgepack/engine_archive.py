"""Images on their way into a Docker engine and out of it, in the archives of `docker load` and `docker save`.

Engines up to 24 do not load an OCI layout; this older form is read by all. Layers go in as they are, compressed. What
comes out holds layers uncompressed or not, depending on the engine; from 25 on there is an OCI layout beside it.
"""

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.descriptor import digest_of, encode_document


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
            with path.open("rb") as stream:
                add(_member(digest), path.stat().st_size, stream)
        entry: dict[str, Any] = {
            "Config": config,
            "RepoTags": [name],
            "Layers": [_member(digest) for digest, _ in image.layers],
        }
        text = b"[" + encode_document(entry) + b"]"
        add("manifest.json", len(text), io.BytesIO(text))


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


@contextmanager
def saved_image(archive: IO[bytes]) -> Iterator[tuple[bytes, Sequence[Callable[[], IO[bytes]]]]]:
    """Read what `docker save` gave for one image: the bytes of its configuration, and an opener of each layer.

    Raises:
        RemoteError: it is no such archive.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:

            def reader(name: str) -> IO[bytes]:
                stream = tar.extractfile(name)
                if stream is None:
                    raise KeyError(name)
                return stream

            with reader("manifest.json") as manifest:
                (entry,) = json.load(manifest)
            with reader(entry["Config"]) as config:
                content = config.read()
            yield content, [lambda name=name: reader(name) for name in entry["Layers"]]  # type: ignore[misc]
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise RemoteError(f"what the Docker engine saved is no image archive ({error!r})", retryable=False) from error
