"""Which manifest of an index is a platform's, and what an image sets."""

from typing import Any

import pytest

from edgepack.base.base_image import BaseLayer
from edgepack.base.image_documents import choose_manifest, read_json, read_settings
from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.descriptor import LAYER_GZIP, MANIFEST
from edgepack.oci.media_types import LAYER_TAR, LAYER_ZSTD
from edgepack.oci.platform import AMD64, ARM64, ARM_V7, Platform

DIGESTS = [f"sha256:{digit * 64}" for digit in "0123456789"]


def entry(digest: str, media_type: str = MANIFEST, **platform: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": 1, "platform": {"os": "linux", **platform}}


INDEX = {
    "manifests": [
        entry(DIGESTS[0], architecture="amd64"),
        entry(DIGESTS[1], architecture="arm", variant="v5"),
        entry(DIGESTS[2], architecture="arm", variant="v7"),
        entry(DIGESTS[3], architecture="arm64", variant="v8"),
        entry(DIGESTS[4], os="unknown", architecture="unknown"),
        entry(DIGESTS[5], os="windows", architecture="amd64"),
    ]
}


@pytest.mark.parametrize(("platform", "digest"), [(AMD64, 0), (ARM_V7, 2), (ARM64, 3)])
def test_the_manifest_of_a_platform(platform: Platform, digest: int) -> None:
    assert choose_manifest(INDEX, platform, "base x").digest == DIGESTS[digest]


def test_arm_without_a_variant_is_taken_and_another_variant_is_not() -> None:
    plain = {"manifests": [entry(DIGESTS[0], architecture="arm"), entry(DIGESTS[1], architecture="arm64")]}
    assert choose_manifest(plain, ARM_V7, "x").digest == DIGESTS[0]
    assert choose_manifest(plain, ARM64, "x").digest == DIGESTS[1]
    old = {"manifests": [entry(DIGESTS[0], architecture="arm", variant="v6")]}
    with pytest.raises(InputError, match="has no image for linux/arm/v7; it has linux/arm/v6"):
        choose_manifest(old, ARM_V7, "x")


def test_a_platform_that_is_missing_names_those_that_are_there() -> None:
    index = {"manifests": [each for each in INDEX["manifests"] if each["digest"] not in DIGESTS[3:4]]}
    with pytest.raises(InputError) as caught:
        choose_manifest(index, ARM64, "base x for linux/arm64")
    text = str(caught.value)
    assert text.startswith("base x for linux/arm64: has no image for linux/arm64; it has linux/amd64, linux/arm/v5,")
    assert "unknown" not in text


@pytest.mark.parametrize("index", [{}, {"manifests": 5}, {"manifests": [5]}, {"manifests": [{"digest": "sha256:1"}]}])
def test_what_is_no_index(index: dict[str, Any]) -> None:
    with pytest.raises(DamagedDataError):
        choose_manifest(index, AMD64, "x")


def documents(*media_types: str, **config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    layers = [
        {"mediaType": media_type, "digest": DIGESTS[number], "size": number}
        for number, media_type in enumerate(media_types)
    ]
    ids = DIGESTS[5 : 5 + len(layers)]
    return {"layers": layers}, {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ids}, **config}


def test_dockers_media_types_are_taken_as_ocis() -> None:
    docker = "application/vnd.docker.image.rootfs.diff.tar"
    manifest, config = documents(f"{docker}.gzip", docker, f"{docker}.zstd", LAYER_GZIP, LAYER_ZSTD)
    found = read_settings(manifest, config, AMD64, "x")
    kinds = [layer.media_type for layer in found.layers]
    assert kinds == [LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, LAYER_GZIP, LAYER_ZSTD]
    assert found.layers[1] == BaseLayer(LAYER_TAR, DIGESTS[1], 1, DIGESTS[6])


def test_environment_and_labels() -> None:
    run = {"Env": ["A=1", "B=x=y", "EMPTY="], "Labels": {"l": "1"}}
    found = read_settings(*documents(LAYER_GZIP, config=run), AMD64, "x")
    assert found.environment == {"A": "1", "B": "x=y", "EMPTY": ""}
    assert found.labels == {"l": "1"}
    assert read_settings(*documents(config={"Env": None, "Labels": None}), AMD64, "x").environment == {}


def test_an_image_of_another_platform() -> None:
    with pytest.raises(InputError, match="is for linux/amd64, not for linux/arm64"):
        read_settings(*documents(LAYER_GZIP), ARM64, "x")


def test_a_layer_that_is_kept_elsewhere() -> None:
    with pytest.raises(InputError, match="foreign"):
        read_settings(*documents("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), AMD64, "x")


def test_documents_that_contradict_each_other() -> None:
    manifest, config = documents(LAYER_GZIP)
    others: list[dict[str, Any]] = [{}, {"diff_ids": []}, {"diff_ids": "x"}]
    for other in others:
        with pytest.raises(DamagedDataError, match="do not go together"):
            read_settings(manifest, {**config, "rootfs": other}, AMD64, "x")


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_document(text: bytes) -> None:
    with pytest.raises(DamagedDataError):
        read_json(text, "x")
