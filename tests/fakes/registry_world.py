"""A layout to push, a client without patience, and what a registry must hold in the end."""

import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from edgepack.oci.descriptor import Descriptor
from edgepack.oci.image_tree import ImageTree, read_tree
from edgepack.oci.layout import blob_path, read_blob, read_index
from edgepack.oci.reference import parse_remote_reference
from edgepack.oci.registry import Registry
from edgepack.oci.registry_backoff import Clock
from tests.fakes.fake_registry import FakeRegistry
from tests.fakes.images import ImageMaker

PIECE_BYTES = 1000
_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
REPOSITORY = "team/digits"


def write_image(folder: Path, *contents: bytes) -> Path:
    """A layout of two platforms in `folder`; by default with a layer that takes several pieces, and a small one."""
    maker = ImageMaker(folder / "made")
    maker.write(folder / "image", maker.images(*(contents or (os.urandom(3300), b"script"))), "1.0")
    return folder / "image"


def client(
    fake: FakeRegistry,
    repository: str = REPOSITORY,
    *,
    target: str = ":1.0",
    environment: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _text: None,
    **options: Any,
) -> Registry:
    """A client that waits for nothing, and sends small pieces."""
    options = {"piece_bytes": PIECE_BYTES, "writes": True, "clock": Clock(pause=lambda _s: None), **options}
    options.setdefault("transport", httpx.HTTPTransport(verify=_TRUST))  # reading all roots for each client takes long
    reference = parse_remote_reference(f"{fake.host}/{repository}{target}")
    return Registry(reference, environment=environment or {"HOME": "/nonexistent"}, say=say, **options)


def tree_of(layout: Path) -> ImageTree:
    """The documents of a layout."""
    root, _ = read_index(layout)

    def read(descriptor: Descriptor) -> bytes:
        return read_blob(layout, descriptor)

    return read_tree(root, read(root), read)


def assert_stored(fake: FakeRegistry, layout: Path, repository: str = REPOSITORY, tag: str = "1.0") -> None:
    """The registry has the image under its tag, byte for byte, and nothing that is not what its name says."""
    own, tree = fake.repository(repository), tree_of(layout)
    assert own.tags[tag] == tree.root.digest
    for digest, content in tree.documents.items():
        assert own.manifests[digest][1] == content
    for blob in tree.blobs:
        assert own.blobs[blob.digest] == blob_path(layout, blob.digest).read_bytes()
