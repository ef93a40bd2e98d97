"""Hands a built image to a Docker engine, as a `docker save` archive of one platform.

Engines up to 24 do not load an OCI layout; this older form is read by all. Layers go in as they are, compressed, so
the image in the engine has the configuration digest that was built.
"""

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.descriptor import encode_document
from edgepack.oci.layout import blob_path
from edgepack.oci.reference import parse_image_reference
from edgepack.oci.validate import PlatformContent, choose_platform, verify_layout


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image in an engine."""

    name: str
    image_id: str
    platform: str


def load_image(layout: Path, platform: str | None, name: str) -> LoadedImage:
    """Load one platform of the layout into the engine that `DOCKER_HOST` or the default socket reaches.

    Raises:
        InputError: the layout has no such platform, or `name` is no image name.
        RemoteError: no engine answers, or it refuses the image.
        DamagedDataError: the layout is damaged; nothing is sent then.
    """
    import docker
    from docker.errors import DockerException

    verify_layout(layout, diff_ids=False)
    reference = str(parse_image_reference(name))
    try:
        client = docker.from_env(timeout=600)
        own = f"linux/{_architecture(client.version().get('Arch', ''))}"
        content = choose_platform(layout, platform or own)
        with _archive_stream(layout, content, reference) as stream:
            client.images.load(stream)
        image = client.images.get(reference)
    except DockerException as error:
        raise RemoteError(
            f"the Docker engine does not take the image ({error}); is it running, and may you use it? DOCKER_HOST "
            "names another one"
        ) from error
    finally:
        if "client" in locals():
            client.close()
    if image.id != content.config_digest:
        raise RemoteError(f"the engine made image {image.id} of {content.config_digest}", retryable=False)
    return LoadedImage(reference, image.id, content.name)


def write_archive(layout: Path, content: PlatformContent, name: str, file: IO[bytes]) -> None:
    """Write the archive that `docker load` reads: configuration, compressed layers and `manifest.json`."""

    def add(path: str, size: int, stream: IO[bytes]) -> None:
        member = tarfile.TarInfo(path)
        member.size = size
        archive.addfile(member, stream)

    with tarfile.open(fileobj=file, mode="w|", bufsize=CHUNK_BYTES) as archive:
        digests = [content.config_digest, *dict.fromkeys(layer.digest for layer in content.layers)]
        for digest in digests:
            path = blob_path(layout, digest)
            with path.open("rb") as stream:
                add(_member(digest), path.stat().st_size, stream)
        entry: dict[str, Any] = {
            "Config": _member(content.config_digest),
            "RepoTags": [name],
            "Layers": [_member(layer.digest) for layer in content.layers],
        }
        text = b"[" + encode_document(entry) + b"]"
        add("manifest.json", len(text), io.BytesIO(text))


def _member(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _architecture(name: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(name, name)


@contextmanager
def _archive_stream(layout: Path, content: PlatformContent, name: str) -> Iterator[IO[bytes]]:
    """Yield a reader of the archive, which is made while it is read."""
    reading, writing = os.pipe()
    failures: list[OSError] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb") as file:
                write_archive(layout, content, name, file)
        except BrokenPipeError:
            pass  # the engine has stopped reading: its answer says why
        except OSError as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as file:
            yield file
    finally:
        writer.join()
    if failures:
        raise failures[0]
