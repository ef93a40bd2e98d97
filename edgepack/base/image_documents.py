"""What an image's documents say of it as a base: which manifest is a platform's, its layers, what it sets. Pure.

Docker's media types are taken as OCI's: the bytes of a layer are the same under both names.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.base.base_image import BaseLayer
from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.descriptor import LAYER_GZIP, Descriptor, parse_descriptor
from edgepack.oci.media_types import GZIP_LAYERS, IMAGE_MANIFESTS, LAYER_TAR, LAYER_ZSTD, TAR_LAYERS, ZSTD_LAYERS
from edgepack.oci.platform import Platform

_LAYER_TYPES = {
    **dict.fromkeys(GZIP_LAYERS, LAYER_GZIP),
    **dict.fromkeys(TAR_LAYERS, LAYER_TAR),
    **dict.fromkeys(ZSTD_LAYERS, LAYER_ZSTD),
}
_COMMON_VARIANTS = {"arm64": "v8"}  # what an architecture means without a variant


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What a base sets for programs, and says of itself."""

    layers: tuple[BaseLayer, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]


def read_json(content: bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DamagedDataError: it is none.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(f"{where}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise DamagedDataError(f"{where}: not a JSON object")
    return document


def choose_manifest(index: Mapping[str, Any], platform: Platform, where: str) -> Descriptor:
    """The manifest for `platform` of an index.

    Raises:
        InputError: there is none; names those that there are.
        DamagedDataError: it is no index.
    """
    listed = index.get("manifests")
    if not isinstance(listed, list):
        raise DamagedDataError(f"{where}: the index has no list of manifests")
    found = [parse_descriptor(entry, f"{where}: manifests/{number}") for number, entry in enumerate(listed)]
    images = [each for each in found if each.media_type in IMAGE_MANIFESTS and each.platform]
    for each in images:
        if _is_for(each.platform or {}, platform):
            return each
    names = sorted({_name(each.platform or {}) for each in images} - {"unknown/unknown"})
    raise InputError(
        f"{where}: has no image for {platform}; it has {', '.join(names) or 'none'}: leave the platform out with "
        "--platform, or choose another base"
    )


def read_settings(
    manifest: Mapping[str, Any], config: Mapping[str, Any], platform: Platform, where: str
) -> ImageSettings:
    """The layers and settings of one platform's image.

    Raises:
        InputError: it is for another platform, or a layer cannot be used elsewhere.
        DamagedDataError: the documents contradict each other.
    """
    if not _is_for(config, platform):
        raise InputError(f"{where}: is for {_name(config)}, not for {platform}; choose a base that has it")
    listed, ids = manifest.get("layers"), (config.get("rootfs") or {}).get("diff_ids")
    if not isinstance(listed, list) or not isinstance(ids, list) or len(listed) != len(ids):
        raise DamagedDataError(f"{where}: the manifest's layers and the configuration's diff_ids do not go together")
    layers = []
    for number, (entry, id_) in enumerate(zip(listed, ids, strict=True)):
        layer = parse_descriptor(entry, f"{where}: layers/{number}")
        if layer.media_type not in _LAYER_TYPES:
            raise InputError(f"{where}: layers of type {layer.media_type} cannot be built upon; choose another base")
        layers.append(BaseLayer(_LAYER_TYPES[layer.media_type], layer.digest, layer.size, str(id_)))
    run = config.get("config") or {}
    variables = dict(str(each).partition("=")[::2] for each in run.get("Env") or ())
    labels = {str(name): str(value) for name, value in (run.get("Labels") or {}).items()}
    return ImageSettings(tuple(layers), variables, labels)


def config_descriptor(manifest: Mapping[str, Any], where: str) -> Descriptor:
    """Where the configuration of an image is."""
    return parse_descriptor(manifest.get("config"), f"{where}: config")


def _is_for(document: Mapping[str, Any], platform: Platform) -> bool:
    if (document.get("os"), document.get("architecture")) != (platform.os, platform.architecture):
        return False
    common = _COMMON_VARIANTS.get(platform.architecture, "")
    variant = document.get("variant") or common
    return variant == (platform.variant or common) or (platform.variant == "v7" and not document.get("variant"))


def _name(document: Mapping[str, Any]) -> str:
    variant = [str(document["variant"])] if document.get("variant") else []
    return "/".join((str(document.get("os")), str(document.get("architecture")), *variant))
