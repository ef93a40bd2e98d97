"""The layers of an image used as a base: in the cache, or fetched by digest from where the base comes from."""

import os
from collections.abc import Callable

from edgepack.base.choice import FolderBase, RegistryBase
from edgepack.base.image_lock import fetch_layers, has_layer
from edgepack.base.image_source import open_source
from edgepack.download import Downloader
from edgepack.oci.image import Layer
from edgepack.plan import BuildPlan, ImageLayerContent, LayerPlan


def pull_layers(
    plan: BuildPlan, downloader: Downloader, say: Callable[[str], None], *, insecure: bool = False
) -> dict[str, tuple[Layer, bool]]:
    """The layers of the plan that come from base images, by key, and whether each was in the cache.

    Raises:
        RemoteError: one is not in the cache and cannot be had.
        DamagedDataError: the folder that has it holds other bytes.
    """
    made: dict[str, tuple[Layer, bool]] = {}
    missing: dict[RegistryBase | FolderBase, list[LayerPlan]] = {}
    for layer in {layer.key: layer for image in plan.images for layer in image.layers}.values():
        if isinstance(layer.content, ImageLayerContent):
            base = layer.content.layer
            is_here = has_layer(base, downloader.blob_path)
            made[layer.key] = (
                Layer(layer.kind, layer.title, base.digest, base.size_bytes, base.diff_id, base.media_type),
                is_here,
            )
            if not is_here:
                missing.setdefault(layer.content.choice, []).append(layer)
    for choice, layers in missing.items():
        say(f"Fetching {len(layers)} layers of the base ...")
        wanted = [layer.content.layer for layer in layers if isinstance(layer.content, ImageLayerContent)]
        with open_source(choice, os.environ, offline=downloader.offline, insecure=insecure) as source:
            fetch_layers(wanted, source, downloader.blob_path)
    return made
