"""Small images and layouts of them."""

from dataclasses import dataclass
from pathlib import Path

from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import FileEntry
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.image import Image, Layer, RunConfig, assemble_image, assemble_index
from edgepack.oci.layout import write_layout
from edgepack.oci.platform import AMD64, ARM64, Platform

RUN = RunConfig(
    "1000", "/app", ("/usr/bin/python3", "-m", "device_agent"), {"B": "2", "A": "1"}, ("5001/tcp",), ("/data",)
)


@dataclass(frozen=True)
class ImageMaker:
    """Makes layers in `folder` and images of them."""

    folder: Path

    def layer(self, kind: str, content: bytes) -> Layer:
        """A layer of one file."""
        cache = LayerCache(self.folder)
        key = f"{kind}-{content[:40].hex()}-{len(content)}"
        made = cache.find(key) or cache.make(key, lambda: [FileEntry(f"{kind}/file", content)], kind)
        return Layer(kind, "title", made.digest, made.size_bytes, made.diff_id)

    def images(self, *contents: bytes, platforms: tuple[Platform, ...] = (AMD64, ARM64)) -> tuple[Image, ...]:
        """An image for each platform: a base of its own, and a shared layer for each content."""
        shared = tuple(self.layer("script", content) for content in contents)
        return tuple(
            assemble_image(platform, (self.layer("base", str(platform).encode()), *shared), RUN)
            for platform in platforms
        )

    def write(self, layout: Path, images: tuple[Image, ...], name: str = "latest") -> Descriptor:
        """Write a layout of the images."""
        cache = LayerCache(self.folder)
        blobs = {layer.digest: cache.blob_path(layer.digest) for image in images for layer in image.layers}
        return write_layout(layout, images, assemble_index(images, {}), blobs, name)
