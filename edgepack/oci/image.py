"""Images as values: layers and a configuration in, manifest, configuration and index documents out.

Pure. The documents follow the OCI image specification 1.1. They carry no time, so the same content has the same
digest whenever and wherever it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.oci.descriptor import (
    CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    digest_of,
    encode_document,
)
from edgepack.oci.platform import Platform

NO_OPERATION = "/bin/sh -c #(nop) "  # how engines mark a step that is no command


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer: `digest` and `size_bytes` of the compressed blob, `diff_id` of the tar inside."""

    kind: str
    title: str
    digest: str
    size_bytes: int
    diff_id: str
    media_type: str = LAYER_GZIP

    def descriptor(self) -> Descriptor:
        """How a manifest points at this layer."""
        return Descriptor(self.media_type, self.digest, self.size_bytes)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What the engine is to run: the `config` object of the image configuration."""

    user: str
    working_folder: str
    entry_point: tuple[str, ...]
    environment: Mapping[str, str]
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The `config` object; environment and labels sorted by name."""
        return {
            "User": self.user,
            "WorkingDir": self.working_folder,
            "Entrypoint": list(self.entry_point),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "ExposedPorts": {port: {} for port in self.ports},
            "Volumes": {volume: {} for volume in self.volumes},
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": "SIGTERM",
        }


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform: its documents as the exact bytes to store and push."""

    platform: Platform
    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes

    def descriptor(self) -> Descriptor:
        """How an index points at this image."""
        return Descriptor(MANIFEST, digest_of(self.manifest), len(self.manifest), platform=self.platform.document())


def assemble_image(platform: Platform, layers: tuple[Layer, ...], run: RunConfig) -> Image:
    """Put layers (lowest first) and configuration together."""
    config = encode_document(
        {
            **platform.document(),
            "config": run.document(),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": f"edgepack {layer.kind}: {layer.title}"} for layer in layers],
        }
    )
    return image_of(config, platform, layers)


def image_of(config: bytes, platform: Platform, layers: tuple[Layer, ...]) -> Image:
    """The image that has this configuration, byte for byte."""
    manifest = encode_document(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Descriptor(CONFIG, digest_of(config), len(config)).document(),
            "layers": [layer.descriptor().document() for layer in layers],
        }
    )
    return Image(platform, layers, config, manifest)


def assemble_index(images: tuple[Image, ...], annotations: Mapping[str, str]) -> bytes:
    """The multi-platform index of `images`, sorted by platform; runnable platforms only."""
    ordered = sorted(images, key=lambda image: str(image.platform))
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [image.descriptor().document() for image in ordered],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return encode_document(document)


def step_title(created_by: str) -> str:
    """What a step of an image's history did, as `created_by` has it from an engine, on one short line."""
    text = " ".join(created_by.removeprefix(NO_OPERATION).removeprefix("/bin/sh -c ").split())
    return text if len(text) <= 60 else f"{text[:59]}…"
