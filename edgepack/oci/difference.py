"""What differs between two images, and what a device that runs the one has to pull for the other. Pure.

Engines keep layers in one of two ways. By content (containerd, podman, Docker on containerd): a layer that is there is
not pulled again. By place (Docker's own store): a layer is known as what lies on the layers below it, so all above the
first one that differs is pulled. Both counts are given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgepack.oci.validate import LayoutContent, PlatformContent

State = Literal["kept", "moved", "new"]


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """A layer of the new image: is it in the old one, on the same layers (kept) or on others (moved), or not (new)?"""

    kind: str
    title: str
    digest: str
    size_bytes: int
    state: State


@dataclass(frozen=True, slots=True)
class FileChanges:
    """Paths in the layers that only one of the images has."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlatformDifference:
    """One platform's image against its former one. `documents_bytes`: index, manifest and configuration that differ."""

    platform: str
    layers: tuple[LayerDifference, ...]
    gone: tuple[LayerDifference, ...]
    documents_bytes: int
    files: FileChanges | None = None

    @property
    def pull_bytes(self) -> int:
        """What an engine pulls that keeps layers by content."""
        return self.documents_bytes + sum(layer.size_bytes for layer in self.layers if layer.state == "new")

    @property
    def pull_by_place_bytes(self) -> int:
        """What an engine pulls that keeps layers by place."""
        return self.documents_bytes + sum(layer.size_bytes for layer in self.layers if layer.state != "kept")

    def document(self) -> dict[str, Any]:
        """As it stands in results."""
        shown: dict[str, Any] = {
            "pull_bytes": self.pull_bytes,
            "pull_by_place_bytes": self.pull_by_place_bytes,
            "size_bytes": sum(layer.size_bytes for layer in self.layers),
            "layers": [_layer_document(layer) for layer in self.layers],
            "gone": [_layer_document(layer) for layer in self.gone],
        }
        if self.files is not None:
            files = {"added": self.files.added, "removed": self.files.removed, "changed": self.files.changed}
            shown["files"] = {name: list(paths) for name, paths in files.items()}
        return shown


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """Of all platforms that both images have. `index_bytes` is 0 if the images are the same."""

    old: str
    new: str
    platforms: tuple[PlatformDifference, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    index_bytes: int = 0
    upload_bytes: int = 0

    def document(self) -> dict[str, Any]:
        """As it stands in results. `upload_bytes`: what a registry lacks that has the old image."""
        return {
            "old": self.old,
            "new": self.new,
            "index_bytes": self.index_bytes,
            "upload_bytes": self.upload_bytes,
            "platforms": {each.platform: each.document() for each in self.platforms},
            "added": list(self.added),
            "removed": list(self.removed),
        }


def image_difference(
    old: LayoutContent, new: LayoutContent, files: Mapping[str, FileChanges] | None = None
) -> ImageDifference:
    """Compare two images; `files` are the changes inside of layers by platform, if they are known."""
    former = {platform.name: platform for platform in old.platforms}
    present = {platform.name: platform for platform in new.platforms}
    known = {layer.digest for platform in old.platforms for layer in platform.layers}
    uploaded = {
        layer.digest: layer.size for platform in new.platforms for layer in platform.layers if layer.digest not in known
    }
    documents = sum(_documents_bytes(former.get(name), platform) for name, platform in present.items())
    index_bytes = new.index.size if new.index.digest != old.index.digest else 0
    return ImageDifference(
        old.index.digest,
        new.index.digest,
        tuple(
            _platform_difference(former[name], platform, index_bytes, (files or {}).get(name))
            for name, platform in present.items()
            if name in former
        ),
        tuple(name for name in present if name not in former),
        tuple(name for name in former if name not in present),
        index_bytes,
        index_bytes + documents + sum(uploaded.values()),
    )


def differing_layers(old: PlatformContent, new: PlatformContent) -> tuple[list[str], list[str]]:
    """Digests of the layers that only the old, and only the new image has; lowest first."""
    former, present = ([layer.digest for layer in each.layers] for each in (old, new))
    return [one for one in former if one not in present], [one for one in present if one not in former]


def file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> FileChanges:
    """Compare files, given as a text that tells content, kind and mode by path."""
    return FileChanges(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(path for path in old.keys() & new.keys() if old[path] != new[path])),
    )


def _platform_difference(
    old: PlatformContent, new: PlatformContent, index_bytes: int, files: FileChanges | None
) -> PlatformDifference:
    before, after = (each.document()["layers"] for each in (old, new))
    known = [layer["digest"] for layer in before]
    layers: list[LayerDifference] = []
    on_the_same = True
    for number, layer in enumerate(after):
        on_the_same = on_the_same and known[number : number + 1] == [layer["digest"]]
        state: State = "kept" if on_the_same else "moved" if layer["digest"] in known else "new"
        layers.append(_layer_difference(layer, state))
    present = {layer["digest"] for layer in after}
    gone = tuple(_layer_difference(layer, "new") for layer in before if layer["digest"] not in present)
    return PlatformDifference(new.name, tuple(layers), gone, index_bytes + _documents_bytes(old, new), files)


def _layer_difference(layer: Mapping[str, Any], state: State) -> LayerDifference:
    return LayerDifference(layer["kind"], layer["title"], layer["digest"], layer["size_bytes"], state)


def _documents_bytes(old: PlatformContent | None, new: PlatformContent) -> int:
    manifest = new.descriptor.size if old is None or old.descriptor.digest != new.descriptor.digest else 0
    return manifest + (new.config_size if old is None or old.config_digest != new.config_digest else 0)


def _layer_document(layer: LayerDifference) -> dict[str, Any]:
    return {
        "kind": layer.kind,
        "title": layer.title,
        "digest": layer.digest,
        "size_bytes": layer.size_bytes,
        "state": layer.state,
    }
