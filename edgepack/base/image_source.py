"""Where an image used as a base comes from: a registry, or a folder. Both give the same, checked by digest."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgepack.base.choice import FolderBase, RegistryBase
from edgepack.errors import DamagedDataError, InputError, RemoteError
from edgepack.files import hash_file, new_file
from edgepack.oci.descriptor import INDEX, Descriptor, digest_of
from edgepack.oci.layout import blob_path, read_index


class ImageSource(Protocol):
    """The part of a registry's client that a base needs."""

    def manifest(self, tag_or_digest: str) -> tuple[Descriptor, bytes]:
        """An index or manifest."""

    def read_blob(self, descriptor: Descriptor, most_bytes: int) -> bytes:
        """A small blob."""

    def fetch_blob(self, descriptor: Descriptor, path: Path) -> None:
        """Write a blob to `path`."""


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """An OCI image layout as a source; it has one image, whatever its name."""

    folder: Path

    def manifest(self, tag_or_digest: str) -> tuple[Descriptor, bytes]:
        """The image's index or manifest; or, by its digest, one that the index names."""
        if not tag_or_digest.startswith("sha256:"):
            entry, _ = read_index(self.folder)
            return entry, self.read_blob(entry, 1 << 23)
        content = self._path(tag_or_digest).read_bytes()
        return self._checked(Descriptor(INDEX, tag_or_digest, len(content)), content)

    def read_blob(self, descriptor: Descriptor, most_bytes: int) -> bytes:
        """A small blob."""
        path = self._path(descriptor.digest)
        if path.stat().st_size > most_bytes:
            raise DamagedDataError(f"{path}: has more than {most_bytes} bytes")
        return self._checked(descriptor, path.read_bytes())[1]

    def fetch_blob(self, descriptor: Descriptor, path: Path) -> None:
        """Copy a blob to `path`, which appears complete and checked."""
        source = self._path(descriptor.digest)
        with source.open("rb") as reader, new_file(path) as writer:
            shutil.copyfileobj(reader, writer.stream)
        if f"sha256:{hash_file(path)}" != descriptor.digest:
            path.unlink()
            raise DamagedDataError(f"{source}: its bytes have another digest; copy the image again")

    def _path(self, digest: str) -> Path:
        path = blob_path(self.folder, digest)
        if not path.is_file():
            raise DamagedDataError(f"{path}: the blob is missing; copy the image again, with all its platforms")
        return path

    def _checked(self, descriptor: Descriptor, content: bytes) -> tuple[Descriptor, bytes]:
        if digest_of(content) != descriptor.digest:
            raise DamagedDataError(f"{self._path(descriptor.digest)}: its bytes have another digest")
        return descriptor, content


class NoNetwork:
    """A registry that may not be asked."""

    def manifest(self, tag_or_digest: str) -> tuple[Descriptor, bytes]:
        """Always fails."""
        raise _offline(tag_or_digest)

    def read_blob(self, descriptor: Descriptor, most_bytes: int) -> bytes:
        """Always fails."""
        raise _offline(descriptor.digest)

    def fetch_blob(self, descriptor: Descriptor, path: Path) -> None:
        """Always fails."""
        raise _offline(descriptor.digest)


def _offline(what: str) -> RemoteError:
    return RemoteError(
        f"base image, {what}: not in the cache, and the network may not be used (--offline); run once without",
        retryable=False,
    )


@contextmanager
def open_source(
    choice: RegistryBase | FolderBase, environment: Mapping[str, str], *, offline: bool, insecure: bool
) -> Iterator[ImageSource]:
    """Yield the source of a base."""
    if isinstance(choice, FolderBase):
        if not choice.folder.is_dir():
            raise InputError(f"base oci:{choice.folder}: there is no such folder")
        yield ImageFolder(choice.folder)
    elif offline:
        yield NoNetwork()
    else:
        from edgepack.oci.registry import Registry

        with Registry(choice.reference, insecure=insecure, environment=environment) as registry:
            yield registry
