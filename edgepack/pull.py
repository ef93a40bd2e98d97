"""`edgepack pull`: an image from a registry into an OCI layout, all platforms or one, its digests kept.

Blobs that the layout has already are not fetched again. The layout changes when everything is there: `index.json` is
written last, then what it does not name is removed.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import InputError
from edgepack.files import hash_file, write_file
from edgepack.oci.blob_places import BlobPlaces
from edgepack.oci.descriptor import REFERENCE_NAME, Descriptor
from edgepack.oci.image_tree import ImageTree, read_tree, shown_platform, with_platform
from edgepack.oci.layout import blob_path, finish_layout
from edgepack.oci.registry import Registry
from edgepack.oci.transfer import UNWATCHED, Watch, each_at_once
from edgepack.oci.validate import LayoutContent, PlatformContent

MOST_CONFIG_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did; `digest` is that of the index, or of the one platform that was asked for."""

    image: str
    digest: str
    platforms: tuple[str, ...]
    fetched: int
    fetched_bytes: int
    present: int
    present_bytes: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """As it stands in results."""
        return {
            "image": self.image,
            "digest": self.digest,
            "platforms": list(self.platforms),
            "fetched": self.fetched,
            "fetched_bytes": self.fetched_bytes,
            "present": self.present,
            "present_bytes": self.present_bytes,
            "seconds": self.seconds,
        }


def read_remote_tree(registry: Registry, platform: str | None = None) -> ImageTree:
    """The documents of the image that `registry.reference` names; of one platform alone if it is given.

    Raises:
        InputError: the image has no such platform, or cannot be read here.
        RemoteError: there is no such image, or the registry fails.
    """

    def read(descriptor: Descriptor) -> bytes:
        return registry.manifest(descriptor.digest)[1]

    root, content = registry.manifest(registry.reference.target)
    tree = read_tree(root, content, read)
    tree = with_platform(tree, lambda config: registry.read_blob(config, MOST_CONFIG_BYTES))
    return tree.only(platform) if platform else tree


def pull_image(
    registry: Registry, layout: Path, *, cache: Path, platform: str | None = None, watch: Watch = UNWATCHED
) -> PullReport:
    """Make `layout` hold the image that `registry.reference` names.

    Raises:
        InputError: `layout` is something else than a layout or an empty folder; or as `read_remote_tree`.
        RemoteError: the registry fails, or gives other bytes than it says.
    """
    started = time.monotonic()
    _check_target(layout)
    tree = read_remote_tree(registry, platform)

    def fetch(blob: Descriptor) -> bool:
        path = blob_path(layout, blob.digest)
        if path.is_file() and path.stat().st_size == blob.size and f"sha256:{hash_file(path)}" == blob.digest:
            watch.ended(blob, "present")
            return False
        registry.fetch_blob(blob, path, lambda moved: watch.moved(blob, moved))
        watch.ended(blob, "fetched")
        return True

    watch.planned(tree.blobs)
    fetched = each_at_once(fetch, tree.blobs, registry.stop)
    for digest, content in tree.documents.items():
        write_file(blob_path(layout, digest), content)
    reference = registry.reference
    entry = Descriptor(
        tree.root.media_type, tree.root.digest, tree.root.size, {REFERENCE_NAME: reference.tag}, tree.root.platform
    )
    finish_layout(layout, entry, {*tree.documents, *(blob.digest for blob in tree.blobs)})
    BlobPlaces(cache, reference.registry or "").note((blob.digest for blob in tree.blobs), reference.repository)
    new = [blob.size for blob, is_new in zip(tree.blobs, fetched, strict=True) if is_new]
    whole = sum(blob.size for blob in tree.blobs)
    return PullReport(
        str(reference),
        tree.root.digest,
        tuple(shown_platform(each.descriptor.platform) for each in tree.images),
        len(new),
        sum(new),
        len(tree.blobs) - len(new),
        whole - sum(new),
        round(time.monotonic() - started, 3),
    )


def remote_content(registry: Registry, platform: str | None = None) -> LayoutContent:
    """What a layout of the image would hold, without its layers: for looking at it.

    Raises:
        As `read_remote_tree`.
    """
    tree = read_remote_tree(registry, platform)
    configs = each_at_once(lambda each: registry.read_blob(each.config, MOST_CONFIG_BYTES), tree.images, registry.stop)
    platforms = []
    for manifest, text in zip(tree.images, configs, strict=True):
        try:
            config = json.loads(text)
        except (ValueError, RecursionError):
            config = {}
        known = config if isinstance(config, dict) else {}
        config_blob = manifest.config
        platforms.append(
            PlatformContent(manifest.descriptor, config_blob.digest, known, manifest.layers, config_blob.size)
        )
    return LayoutContent(tree.root, tuple(platforms))


def _check_target(layout: Path) -> None:
    if layout.is_dir() and any(layout.iterdir()) and not (layout / "index.json").is_file():
        others = [path for path in layout.iterdir() if path.name != "blobs" and not path.name.endswith(".part")]
        if others:
            raise InputError(f"{layout} holds other things than an image ({others[0].name}); name a new folder")
    if layout.exists() and not layout.is_dir():
        raise InputError(f"{layout} is no folder; name a new one")
