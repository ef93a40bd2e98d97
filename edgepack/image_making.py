"""The last step from layers to images: put together here, or given to an engine that makes images of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgepack.oci.image import Image, Layer, assemble_image
from edgepack.plan import BuildPlan, LayerPlan
from edgepack.project import Recipe

MadeLayers = Mapping[str, tuple[Layer, bool]]
"""Layers by key, and whether each came from the cache."""


@dataclass(frozen=True, slots=True)
class MadeImages:
    """Images, the finished file of each of their layers, and whether it was there before; both by digest.

    `builder` is who made them, as in `--builder`.
    """

    images: tuple[Image, ...]
    blobs: Mapping[str, Path]
    cached: Mapping[str, bool]
    builder: str = "oci"


MakeImages = Callable[[Recipe, BuildPlan, MadeLayers, Callable[[str], Path]], MadeImages]
"""From a module's recipe, plan and layers, and where the bytes of a layer's digest are, to its images."""


def assembled_images(
    _recipe: Recipe, plan: BuildPlan, made: MadeLayers, blob_path: Callable[[str], Path]
) -> MadeImages:
    """The images of the plan from the layers as they are."""
    images = tuple(
        assemble_image(image.platform, tuple(_named(layer, made[layer.key][0]) for layer in image.layers), image.run)
        for image in plan.images
    )
    digests = {layer.digest for image in images for layer in image.layers}
    cached = {layer.digest: was_cached for layer, was_cached in made.values()}
    return MadeImages(images, {digest: blob_path(digest) for digest in digests}, cached)


def _named(plan: LayerPlan, layer: Layer) -> Layer:
    """The layer as this image calls it: the same bytes may have another title in an image that is built with it."""
    return replace(layer, kind=plan.kind, title=plan.title)
