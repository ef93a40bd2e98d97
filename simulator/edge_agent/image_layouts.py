"""Finds the image that a deployment names among the layouts on this machine."""

from collections.abc import Mapping
from pathlib import Path

from edgepack.oci.layout import read_index
from simulator.edge_agent.image_name import parse_image_name

Images = Mapping[str, Path]
"""By the text of an image in the deployment, or by digest (`sha256:...`): the folder of a layout."""


def find_layout(image: str, images: Images) -> Path | None:
    """The layout of an image; a digest that has no entry of its own is looked for in all of them."""
    name = parse_image_name(image)
    for key in (image, name.digest):
        if key and key in images:
            return images[key]
    for layout in dict.fromkeys(images.values()) if name.digest else ():
        index, manifests = read_index(layout)
        if name.digest in (index.digest, *(manifest.digest for manifest in manifests)):
            return layout
    return None


def at_hand(images: Images) -> str:
    """The layouts there are, for a message."""
    return ", ".join(str(layout) for layout in dict.fromkeys(images.values())) or "none"
