"""Checks an OCI image layout from its bytes: every digest, size, diff_id and platform is recomputed.

All mismatches are reported together. The first thing to run on an image of unknown history.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import CHUNK_BYTES, hash_file
from edgepack.oci.descriptor import CONFIG, Descriptor, parse_descriptor
from edgepack.oci.image import step_title
from edgepack.oci.image_tree import is_attestation
from edgepack.oci.layer_reading import open_layer
from edgepack.oci.layout import blob_path, read_document, read_index
from edgepack.oci.media_types import CONFIGS, LAYERS, TAR_LAYERS


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
    config_size: int = 0  # in bytes

    @property
    def name(self) -> str:
        """`os/architecture`, and the variant if there is one."""
        return platform_name(self.config)

    @property
    def diff_ids(self) -> list[str]:
        """The digest of each layer's content, as far as the configuration says."""
        match self.config.get("rootfs"):
            case {"diff_ids": list(ids)}:
                return [str(id_) for id_ in ids]
        return []

    def document(self) -> dict[str, Any]:
        """Digest, size, layers and configuration. Kind and title of a layer are read from the image's history."""
        history = self.config.get("history")
        listed = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
        steps = [step for step in listed if not step.get("empty_layer")]
        run = self.config.get("config")
        layers = []
        for layer, step in zip_longest(self.layers, steps[: len(self.layers)]):
            made_by = str(step.get("created_by", "")) if step else ""
            is_own = made_by.startswith("edgepack ")
            kind, _, title = (
                made_by.removeprefix("edgepack ").partition(": ") if is_own else ("", "", step_title(made_by))
            )
            layers.append({"kind": kind, "title": title, "digest": layer.digest, "size_bytes": layer.size})
        return {
            "digest": self.descriptor.digest,
            "size_bytes": sum(layer.size for layer in self.layers),
            "layers": layers,
            "config": run if isinstance(run, dict) else {},
        }


def platform_name(document: Mapping[str, Any]) -> str:
    """The name of the platform that an image's configuration or an index says."""
    variant = [str(document["variant"])] if document.get("variant") else []
    return "/".join((str(document.get("os")), str(document.get("architecture")), *variant))


def read_layout(layout: Path) -> LayoutContent:
    """Read all documents of a layout, checking their digests; layer blobs are not read.

    Raises:
        DamagedDataError: lists every document that is missing or is not what its digest says.
        InputError: no layout is there.
    """
    content, problems = _read_documents(layout)
    _raise_if_any(layout, problems)
    return content


def choose_platform(layout: Path, platform: str) -> PlatformContent:
    """The image for `platform`.

    Raises:
        InputError: the layout has none; names those it has.
    """
    platforms = {content.name: content for content in read_layout(layout).platforms}
    if platform not in platforms:
        raise InputError(f"{layout} has no image for {platform}; it has {', '.join(platforms)}: choose with --platform")
    return platforms[platform]


def verify_layout(layout: Path, *, diff_ids: bool = True, hash_of: Callable[[Path], str] = hash_file) -> LayoutContent:
    """Recompute every digest of the layout; with `diff_ids` also of each layer's content.

    `hash_of` gives the SHA-256 of a layer's file.

    Raises:
        DamagedDataError: lists every mismatch.
        InputError: no layout is there.
    """
    content, problems = _read_documents(layout)
    wanted: dict[tuple[str, int, str | None], Descriptor] = {}
    for platform in content.platforms:
        ids: list[str | None] = [None] * len(platform.layers)
        if platform.config:
            problems += _platform_problems(platform)
            ids = [*platform.diff_ids, *ids][: len(ids)]
        wanted.update({(layer.digest, layer.size, id_): layer for layer, id_ in zip(platform.layers, ids, strict=True)})
    with ThreadPoolExecutor() as pool:
        for found in pool.map(
            lambda pair: list(_layer_problems(layout, pair[1], pair[0][2] if diff_ids else None, hash_of)),
            wanted.items(),
        ):
            problems.extend(found)
    _raise_if_any(layout, problems)
    return content


def _raise_if_any(layout: Path, problems: list[str]) -> None:
    if problems:
        listing = "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems))
        raise DamagedDataError(f"{layout}: the image is damaged; build it again:\n{listing}")


def _read_documents(layout: Path) -> tuple[LayoutContent, list[str]]:
    """What can be read, and what is wrong with the rest. A platform whose configuration is damaged has an empty one."""
    index, manifests = read_index(layout)
    problems = _version_problems(layout)
    platforms = [_read_platform(layout, manifest, problems) for manifest in manifests if not is_attestation(manifest)]
    problems += [
        problem for each in manifests if is_attestation(each) for problem in _attestation_problems(layout, each)
    ]
    return LayoutContent(index, tuple(platform for platform in platforms if platform is not None)), problems


def _version_problems(layout: Path) -> list[str]:
    path = layout / "oci-layout"
    try:
        if json.loads(path.read_bytes())["imageLayoutVersion"] == "1.0.0":
            return []
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return [f"{path}: is missing or does not say that this is an image layout of version 1.0.0"]


def _read_platform(layout: Path, descriptor: Descriptor, problems: list[str]) -> PlatformContent | None:
    where = str(blob_path(layout, descriptor.digest))
    try:
        manifest = read_document(layout, descriptor)
        config = parse_descriptor(manifest.get("config"), f"{where}: config")
        if config.media_type not in CONFIGS:
            raise DamagedDataError(f"{where}: config has media type {config.media_type}, expected {CONFIG}")
        listed = manifest.get("layers")
        if not isinstance(listed, list):
            raise DamagedDataError(f"{where}: no list of layers")
        layers = tuple(parse_descriptor(layer, f"{where}: layers/{number}") for number, layer in enumerate(listed))
    except DamagedDataError as error:
        problems.append(str(error))
        return None
    try:
        document = read_document(layout, config)
    except DamagedDataError as error:
        problems.append(str(error))
        document = {}
    return PlatformContent(descriptor, config.digest, document, layers, config.size)


def _attestation_problems(layout: Path, descriptor: Descriptor) -> Iterator[str]:
    """What is wrong with a manifest about an image (of BuildKit) that stands in the index beside it."""
    try:
        manifest = read_document(layout, descriptor)
        listed = manifest.get("layers")
        for number, blob in enumerate([manifest.get("config"), *(listed if isinstance(listed, list) else ())]):
            read_document(layout, parse_descriptor(blob, f"{descriptor.digest}: blob {number}"))
    except DamagedDataError as error:
        yield str(error)


def _platform_problems(platform: PlatformContent) -> Iterator[str]:
    if len(platform.diff_ids) != len(platform.layers):
        yield f"{platform.name}: {len(platform.layers)} layers, but {len(platform.diff_ids)} diff_ids"
    expected = platform.descriptor.platform
    if expected and not _agree(expected, platform.config):
        yield f"{platform.name}: the index calls this image {expected}"


def _agree(platform: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether an index and a configuration may mean the same platform: many images name the variant in one of them."""
    variants = {str(each["variant"]) for each in (platform, config) if each.get("variant")}
    return len(variants) < 2 and all(platform.get(key) == config.get(key) for key in ("os", "architecture"))


def _layer_problems(
    layout: Path, layer: Descriptor, diff_id: str | None, hash_of: Callable[[Path], str]
) -> Iterator[str]:
    path = blob_path(layout, layer.digest)
    if not path.is_file():
        yield f"{layer.digest}: the layer is missing"
        return
    if path.stat().st_size != layer.size:
        yield f"{layer.digest}: {path.stat().st_size} bytes instead of {layer.size}"
        return
    found = f"sha256:{hash_of(path)}"
    if found != layer.digest:
        yield f"{layer.digest}: its bytes have digest {found}"
        return
    if layer.media_type not in LAYERS:
        yield f"{layer.digest}: layers of type {layer.media_type} are not known here"
    elif diff_id is not None:
        found = layer.digest if layer.media_type in TAR_LAYERS else _diff_id(path, layer.media_type)
        if found != diff_id:
            yield f"{layer.digest}: its content has diff_id {found}, the configuration says {diff_id}"


def _diff_id(path: Path, media_type: str) -> str:
    digest = hashlib.sha256()
    try:
        with open_layer(path, media_type) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, DamagedDataError) as error:
        return f"none ({error})"
    return f"sha256:{digest.hexdigest()}"
