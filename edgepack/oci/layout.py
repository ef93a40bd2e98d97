"""An OCI image layout on disk: `oci-layout`, `index.json`, `blobs/sha256/HEX`.

Written so that a reader never sees half of it: blobs first, then the documents that name them, `index.json` last,
each by rename. Blobs that the new index does not name are removed after it is in place.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import copy_or_link, write_file
from edgepack.oci.descriptor import (
    INDEX,
    REFERENCE_NAME,
    Descriptor,
    digest_of,
    encode_document,
    parse_descriptor,
)
from edgepack.oci.image import Image
from edgepack.oci.media_types import IMAGE_MANIFESTS, INDEXES

_HEX = re.compile(r"[0-9a-f]{64}")


def blob_path(layout: Path, digest: str) -> Path:
    """Where the blob of `digest` (`sha256:HEX`) is kept."""
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def write_layout(
    layout: Path, images: Iterable[Image], index: bytes, blobs: Mapping[str, Path], name: str
) -> Descriptor:
    """Write `images` and their `index` as the one entry `name` of the layout, durable on return.

    `blobs` says for each layer digest which finished file holds its bytes; the file is linked, not copied, if
    possible. Returns the index's descriptor.
    """
    wanted: set[str] = set()

    def keep(content: bytes) -> Descriptor:
        digest = digest_of(content)
        wanted.add(digest)
        write_file(blob_path(layout, digest), content)
        return Descriptor(INDEX, digest, len(content), {REFERENCE_NAME: name})

    for image in images:
        for layer in image.layers:
            wanted.add(layer.digest)
            target = blob_path(layout, layer.digest)
            if not (target.exists() and target.samefile(blobs[layer.digest])):
                copy_or_link(blobs[layer.digest], target)
        keep(image.config)
        keep(image.manifest)
    descriptor = keep(index)
    finish_layout(layout, descriptor, wanted)
    return descriptor


def finish_layout(layout: Path, entry: Descriptor, wanted: set[str]) -> None:
    """Make `entry` what the layout holds, its blobs being there; then remove all but `wanted`, by digest."""
    write_file(layout / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    write_file(
        layout / "index.json",
        encode_document({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.document()]}),
    )
    _remove_others(layout, wanted)


def read_blob(layout: Path, descriptor: Descriptor) -> bytes:
    """The bytes of a small blob.

    Raises:
        DamagedDataError: it is missing, or its digest or size is another.
    """
    path = blob_path(layout, descriptor.digest)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedDataError(f"{path}: the blob is missing; build the image again") from error
    if digest_of(content) != descriptor.digest:
        raise DamagedDataError(f"{path}: its bytes have digest {digest_of(content)}; build the image again")
    if len(content) != descriptor.size:
        raise DamagedDataError(f"{path}: {len(content)} bytes instead of {descriptor.size}; build the image again")
    return content


def read_document(layout: Path, descriptor: Descriptor) -> dict[str, Any]:
    """The JSON document that `descriptor` points at.

    Raises:
        DamagedDataError: it is missing, its digest or size is another, or it is no JSON object.
    """
    return _json_object(read_blob(layout, descriptor), blob_path(layout, descriptor.digest))


def read_index(layout: Path) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """The image index of the layout and the descriptors of its platforms' manifests.

    Raises:
        InputError: `layout` is no OCI image layout.
        DamagedDataError: it is one, but damaged.
    """
    path = layout / "index.json"
    if not path.is_file():
        modules = sorted(str(found.parent.parent) for found in layout.glob("*/image/index.json"))
        hint = f"there are images in {', '.join(modules)}" if modules else "give the folder `dist/image`"
        raise InputError(f"{layout}: no OCI image layout there (no index.json); {hint}")
    top = _json_object(path.read_bytes(), path)
    if top.get("schemaVersion") != 2 or top.get("mediaType", INDEX) != INDEX:
        raise DamagedDataError(f"{path}: not an image index of schema version 2; build the image again")
    entries = top.get("manifests")
    if not isinstance(entries, list) or len(entries) != 1:
        raise DamagedDataError(f"{path}: expected exactly one entry in `manifests`")
    index = parse_descriptor(entries[0], f"{path}: manifests/0")
    if index.media_type in IMAGE_MANIFESTS:
        return index, (index,)
    if index.media_type not in INDEXES:
        raise DamagedDataError(f"{path}: the entry has media type {index.media_type}, expected {INDEX}")
    children = read_document(layout, index).get("manifests")
    if not isinstance(children, list) or not children:
        raise DamagedDataError(f"{blob_path(layout, index.digest)}: the index names no manifest")
    return index, tuple(
        parse_descriptor(child, f"{index.digest}: manifests/{number}") for number, child in enumerate(children)
    )


def _json_object(content: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise DamagedDataError(f"{path}: not JSON ({error}); build the image again") from error
    if not isinstance(document, dict):
        raise DamagedDataError(f"{path}: not a JSON object; build the image again")
    return document


def _remove_others(layout: Path, wanted: set[str]) -> None:
    for path in (*layout.iterdir(), *(layout / "blobs" / "sha256").iterdir()):
        leftover = path.name.startswith(".") and path.name.endswith(".part")
        if leftover or (_HEX.fullmatch(path.name) and f"sha256:{path.name}" not in wanted):
            path.unlink(missing_ok=True)
