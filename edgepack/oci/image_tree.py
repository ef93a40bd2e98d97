"""An image as a tree of documents: an index, its manifests, and the blobs that they name. From a layout or a registry.

Entries of an index without a platform to run on (`unknown/unknown`: attestations of BuildKit) are part of the tree, so
that a copy is whole, but no platforms. Layers that may be kept elsewhere than in the registry are refused.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.descriptor import Descriptor, parse_descriptor
from edgepack.oci.media_types import IMAGE_MANIFESTS, INDEXES, is_foreign

_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One manifest: its exact bytes, its configuration and its layers (lowest first)."""

    descriptor: Descriptor
    content: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class ImageTree:
    """`root` is the index, or the only manifest; `content` are its exact bytes."""

    root: Descriptor
    content: bytes
    manifests: tuple[ImageManifest, ...]

    @property
    def is_index(self) -> bool:
        """Whether there is an index, or a manifest alone."""
        return self.root.media_type in INDEXES

    @property
    def images(self) -> tuple[ImageManifest, ...]:
        """The manifests that can be run."""
        return tuple(each for each in self.manifests if not is_attestation(each.descriptor))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Configurations and layers of all manifests, each digest once, the largest first."""
        found = {blob.digest: blob for each in self.manifests for blob in (each.config, *each.layers)}
        return tuple(sorted(found.values(), key=lambda blob: (-blob.size, blob.digest)))

    @property
    def documents(self) -> dict[str, bytes]:
        """Index and manifests by digest."""
        return {self.root.digest: self.content, **{each.descriptor.digest: each.content for each in self.manifests}}

    def only(self, platform: str) -> "ImageTree":
        """The image for one platform (`linux/arm64`, `linux/arm/v7`), without the index.

        Raises:
            InputError: there is none; names those there are.
        """
        found = [each for each in self.images if fits(platform, each.descriptor.platform)]
        if not found:
            names = [shown_platform(each.descriptor.platform) for each in self.images]
            raise InputError(f"the image has nothing for {platform}; it has {', '.join(names) or 'no platforms'}")
        return ImageTree(found[0].descriptor, found[0].content, (found[0],))


def read_tree(root: Descriptor, content: bytes, read: Callable[[Descriptor], bytes]) -> ImageTree:
    """The tree below an index or manifest; `read` gives the bytes of a manifest, checked.

    Raises:
        DamagedDataError: a document is not what its media type says.
        InputError: the image has layers that are kept elsewhere, or indexes within its index.
    """
    if root.media_type not in INDEXES:
        return ImageTree(root, content, (_manifest(root, content),))
    entries = _document(content, root.digest).get("manifests")
    if not isinstance(entries, list) or not entries:
        raise DamagedDataError(f"{root.digest}: the index names no manifest")
    children = [parse_descriptor(entry, f"{root.digest}: manifests/{place}") for place, entry in enumerate(entries)]
    for child in children:
        if child.media_type not in IMAGE_MANIFESTS:
            raise InputError(f"{root.digest}: its entry {child.digest} is {child.media_type}, which is no image")
    unique = {child.digest: child for child in children}
    return ImageTree(root, content, tuple(_manifest(child, read(child)) for child in unique.values()))


def is_attestation(descriptor: Descriptor) -> bool:
    """Whether an index's entry is about an image instead of being one."""
    platform = descriptor.platform or {}
    is_unknown = platform.get("os") == "unknown" and platform.get("architecture") == "unknown"
    return is_unknown or _ATTESTATION in descriptor.annotations


def shown_platform(platform: Mapping[str, Any] | None) -> str:
    """`os/architecture[/variant]` of a platform object, or of an image's configuration."""
    known = platform or {}
    return "/".join(str(known[key]) for key in ("os", "architecture", "variant") if known.get(key)) or "unknown"


def fits(wanted: str, platform: Mapping[str, Any] | None) -> bool:
    """Whether a platform object is the one wanted; arm64 is arm64/v8, and arm is arm/v7."""
    return platform is not None and _usual(wanted) == _usual(shown_platform(platform))


def _usual(name: str) -> str:
    return {"linux/arm64/v8": "linux/arm64", "linux/arm": "linux/arm/v7"}.get(name, name)


def with_platform(tree: ImageTree, read: Callable[[Descriptor], bytes]) -> ImageTree:
    """The tree of a manifest alone, with the platform that its configuration names; an index's as it is."""
    if tree.is_index:
        return tree
    (only,) = tree.manifests
    config = _document(read(only.config), only.config.digest)
    platform = {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
    manifest = replace(only, descriptor=replace(only.descriptor, platform=platform))
    return replace(tree, root=manifest.descriptor, manifests=(manifest,))


def _manifest(descriptor: Descriptor, content: bytes) -> ImageManifest:
    where = descriptor.digest
    document = _document(content, where)
    config = parse_descriptor(document.get("config"), f"{where}: config")
    listed = document.get("layers")
    if not isinstance(listed, list):
        raise DamagedDataError(f"{where}: no list of layers")
    layers = tuple(parse_descriptor(layer, f"{where}: layers/{place}") for place, layer in enumerate(listed))
    elsewhere = [layer.digest for layer in layers if is_foreign(layer.media_type)]
    if elsewhere:
        raise InputError(
            f"{where}: its layer {elsewhere[0]} is a foreign one, which is not kept in the registry but by its maker "
            "(images of Windows have such layers); such images cannot be copied"
        )
    return ImageManifest(descriptor, content, config, layers)


def _document(content: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(f"{where}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise DamagedDataError(f"{where}: not a JSON object")
    return document
