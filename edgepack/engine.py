"""Hands a built image to a Docker engine, one platform at a time.

The image in the engine has the configuration and the content that were built, whatever the engine calls its ID.
"""

from dataclasses import dataclass
from pathlib import Path

from edgepack.engine_archive import EngineImage, streamed, write_archive
from edgepack.engine_connection import engine
from edgepack.errors import RemoteError
from edgepack.oci.layout import blob_path
from edgepack.oci.reference import parse_image_reference
from edgepack.oci.validate import PlatformContent, choose_platform, verify_layout


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image in an engine."""

    name: str
    image_id: str
    platform: str


def load_image(layout: Path, platform: str | None, name: str) -> LoadedImage:
    """Load one platform of the layout into the engine that `DOCKER_HOST` or the default socket reaches.

    Raises:
        InputError: the layout has no such platform, or `name` is no image name.
        RemoteError: no engine answers, or it refuses the image.
        DamagedDataError: the layout is damaged; nothing is sent then.
    """
    verify_layout(layout, diff_ids=False)
    reference = str(parse_image_reference(name))
    with engine() as found:
        content = choose_platform(layout, platform or found.platform)
        image = stored_image(layout, content)
        with streamed(lambda file: write_archive(image, reference, file)) as stream:
            found.client.images.load(stream)
        loaded = found.client.images.get(reference)
    # an engine that keeps images in containerd calls them by their manifest, which it makes itself
    if loaded.attrs["RootFS"]["Layers"] != content.diff_ids:
        raise RemoteError(
            f"the engine made image {loaded.id} of {content.config_digest}, with other layers", retryable=False
        )
    return LoadedImage(reference, loaded.id, content.name)


def stored_image(layout: Path, content: PlatformContent) -> EngineImage:
    """A platform's image as it lies in a layout."""
    layers = tuple((layer.digest, blob_path(layout, layer.digest)) for layer in content.layers)
    return EngineImage(blob_path(layout, content.config_digest).read_bytes(), layers)
