"""Checks an OCI image layout from its bytes: every digest, size, diff_id and platform is recomputed.

All mismatches are reported together. The first thing to run on an image of unknown history.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.files import CHUNK_BYTES, hash_file
from edgepack.oci.descriptor import CONFIG, LAYER_GZIP, Descriptor, parse_descriptor
from edgepack.oci.layout import blob_path, read_document, read_index


@dataclass(frozen=True, slots=True)
class LayoutContent:
    """What a layout holds: one entry a platform, each with its documents and layer descriptors."""

    index: Descriptor
    platforms: tuple["PlatformContent", ...]


@dataclass(frozen=True, slots=True)
class PlatformContent:
    """One platform's image as stored."""

    descriptor: Descriptor
    config_digest: str
    config: dict[str, Any]
    layers: tuple[Descriptor, ...]

    @property
    def name(self) -> str:
        """`os/architecture`."""
        return f"{self.config.get('os')}/{self.config.get('architecture')}"

    def document(self) -> dict[str, Any]:
        """Digest, size, layers and configuration. Kind and title of a layer are read from the image's history."""
        history = self.config.get("history") or []
        layers = []
        for number, layer in enumerate(self.layers):
            made_by = str(history[number].get("created_by", "")) if number < len(history) else ""
            kind, _, title = made_by.removeprefix("edgepack ").partition(": ")
            layers.append({"kind": kind, "title": title, "digest": layer.digest, "size_bytes": layer.size})
        return {
            "digest": self.descriptor.digest,
            "size_bytes": sum(layer.size for layer in self.layers),
            "layers": layers,
            "config": self.config.get("config") or {},
        }


def read_layout(layout: Path) -> LayoutContent:
    """Read all documents of a layout, checking their digests; layer blobs are not read."""
    index, manifests = read_index(layout)
    return LayoutContent(index, tuple(_read_platform(layout, manifest) for manifest in manifests))


def verify_layout(layout: Path, *, diff_ids: bool = True) -> LayoutContent:
    """Recompute every digest of the layout; with `diff_ids` also of each layer's content.

    Raises:
        DamagedDataError: lists every mismatch.
        InputError: no layout is there.
    """
    content = read_layout(layout)
    wanted: dict[str, tuple[Descriptor, str]] = {}
    problems: list[str] = []
    for platform in content.platforms:
        ids = platform.config.get("rootfs", {}).get("diff_ids", [])
        if len(ids) != len(platform.layers):
            problems.append(f"{platform.name}: {len(platform.layers)} layers, but {len(ids)} diff_ids")
        expected = platform.descriptor.platform
        if expected and f"{expected.get('os')}/{expected.get('architecture')}" != platform.name:
            problems.append(f"{platform.name}: the index calls this image {expected}")
        wanted.update({layer.digest: (layer, id_) for layer, id_ in zip(platform.layers, ids, strict=False)})
    with ThreadPoolExecutor() as pool:
        for found in pool.map(
            lambda pair: list(_layer_problems(layout, pair[0], pair[1] if diff_ids else None)), wanted.values()
        ):
            problems.extend(found)
    if problems:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        raise DamagedDataError(f"{layout}: the image is damaged; build it again:\n{listing}")
    return content


def _read_platform(layout: Path, descriptor: Descriptor) -> PlatformContent:
    manifest = read_document(layout, descriptor)
    where = str(blob_path(layout, descriptor.digest))
    config = parse_descriptor(manifest.get("config"), f"{where}: config")
    if config.media_type != CONFIG:
        raise DamagedDataError(f"{where}: config has media type {config.media_type}, expected {CONFIG}")
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        raise DamagedDataError(f"{where}: no list of layers")
    return PlatformContent(
        descriptor,
        config.digest,
        read_document(layout, config),
        tuple(parse_descriptor(layer, f"{where}: layers/{number}") for number, layer in enumerate(layers)),
    )


def _layer_problems(layout: Path, layer: Descriptor, diff_id: str | None) -> Iterator[str]:
    path = blob_path(layout, layer.digest)
    if not path.is_file():
        yield f"{layer.digest}: the layer is missing"
        return
    if path.stat().st_size != layer.size:
        yield f"{layer.digest}: {path.stat().st_size} bytes instead of {layer.size}"
        return
    if f"sha256:{hash_file(path)}" != layer.digest:
        yield f"{layer.digest}: its bytes have digest sha256:{hash_file(path)}"
        return
    if diff_id is not None and layer.media_type == LAYER_GZIP:
        found = _diff_id(path)
        if found != diff_id:
            yield f"{layer.digest}: its content has diff_id {found}, the configuration says {diff_id}"


def _diff_id(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error) as error:
        return f"none ({error})"
    return f"sha256:{digest.hexdigest()}"
