"""Layouts written, read and checked: what is damaged is always found, and all of it is reported."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import copy_or_link
from edgepack.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, digest_of, encode_document, parse_descriptor
from edgepack.oci.image import Image, Layer, assemble_image, assemble_index
from edgepack.oci.layout import blob_path, read_document, read_index
from edgepack.oci.platform import AMD64, ARM64
from edgepack.oci.unpack import unpack_image
from edgepack.oci.validate import read_layout, verify_layout
from tests.fakes.images import RUN, ImageMaker


@pytest.fixture
def maker(tmp_path: Path) -> ImageMaker:
    return ImageMaker(tmp_path / "cache")


@pytest.fixture
def images(maker: ImageMaker) -> tuple[Image, ...]:
    return maker.images(b"script")


@pytest.fixture
def layout(tmp_path: Path, maker: ImageMaker, images: tuple[Image, ...]) -> Path:
    maker.write(tmp_path / "layout", images)
    return tmp_path / "layout"


def blobs(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs/sha256").iterdir()}


def test_what_is_written_is_read(layout: Path, images: tuple[Image, ...]) -> None:
    content = verify_layout(layout)
    assert content == read_layout(layout)
    assert [platform.name for platform in content.platforms] == ["linux/amd64", "linux/arm64"]
    for platform, image in zip(content.platforms, images, strict=True):
        assert platform.descriptor == image.descriptor()
        assert platform.layers == tuple(layer.descriptor() for layer in image.layers)
        assert platform.config["config"]["Env"] == ["A=1", "B=2"]
        assert [layer["kind"] for layer in platform.document()["layers"]] == ["base", "script"]
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    top = json.loads((layout / "index.json").read_text())
    assert top["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "latest"}


def test_every_blob_is_named_by_its_digest_and_needed(layout: Path, images: tuple[Image, ...]) -> None:
    for name in blobs(layout):
        assert digest_of((layout / "blobs/sha256" / name).read_bytes()) == f"sha256:{name}"
    assert len(blobs(layout)) == 3 + 2 + 2 + 1
    assert [path.name for path in layout.rglob("*.part")] == []


def test_documents_are_what_the_specification_says(images: tuple[Image, ...]) -> None:
    image = images[1]
    config = json.loads(image.config)
    manifest = json.loads(image.manifest)
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]}
    assert len(config["history"]) == len(image.layers)
    assert "created" not in config
    assert manifest["mediaType"] == MANIFEST
    assert manifest["config"] == {"mediaType": CONFIG, "digest": digest_of(image.config), "size": len(image.config)}
    index = json.loads(assemble_index(tuple(reversed(images)), {"b": "2", "a": "1"}))
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    assert assemble_index(images, {}) == assemble_index(tuple(reversed(images)), {})


def test_a_second_image_replaces_the_first(layout: Path, maker: ImageMaker) -> None:
    (layout / "blobs/sha256/.old.part").write_bytes(b"left by a killed process")
    (layout / ".index.json.part").write_bytes(b"left by a killed process")
    before = blobs(layout)
    maker.write(layout, maker.images(b"another script"), "v2")
    verify_layout(layout)
    assert len(blobs(layout)) == 8
    assert len(blobs(layout) & before) == 2
    assert list(layout.rglob("*.part")) == []


def test_writing_again_changes_nothing(layout: Path, maker: ImageMaker, images: tuple[Image, ...]) -> None:
    before = {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    maker.write(layout, images)
    assert {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()} == before


def test_a_damaged_blob_is_replaced(layout: Path, maker: ImageMaker, images: tuple[Image, ...]) -> None:
    blob = blob_path(layout, images[0].layers[0].digest)
    blob.unlink()
    blob.write_bytes(b"damaged")
    maker.write(layout, images)
    verify_layout(layout)


def test_a_blob_is_never_missing_while_it_is_replaced(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    removed: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("os.remove", "os.unlink"):
            removed.append(str(arguments[0]))

    import sys

    watching = True
    sys.addaudithook(watch)
    copy_or_link(source, target)
    watching = False
    assert target.read_bytes() == b"new"
    assert str(target) not in removed
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]  # noqa: PTH208 - names only


def test_copying_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    os.link(tmp_path / "a", tmp_path / "b")
    copy_or_link(tmp_path / "a", tmp_path / "b")
    copy_or_link(tmp_path / "a", tmp_path / "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"x", "b": b"x"}


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def replace(path: Path, content: bytes) -> None:
    """Other bytes under a name, without touching the hard links to the old ones."""
    path.unlink()
    path.write_bytes(content)


def digest_by_role(images: tuple[Image, ...], layout: Path) -> dict[str, str]:
    image = images[0]
    return {
        "layer": image.layers[0].digest,
        "shared layer": image.layers[1].digest,
        "config": digest_of(image.config),
        "manifest": digest_of(image.manifest),
        "index": read_index(layout)[0].digest,
    }


ROLES = ["layer", "shared layer", "config", "manifest", "index"]


@pytest.mark.parametrize("role", ROLES)
def test_any_changed_byte_of_a_blob_is_found(layout: Path, images: tuple[Image, ...], role: str) -> None:
    digest = digest_by_role(images, layout)[role]
    path = blob_path(layout, digest)
    good = path.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 40)):
        replace(path, flipped(good, position))
        with pytest.raises(DamagedDataError, match=digest.removeprefix("sha256:")):
            verify_layout(layout)
    replace(path, good)
    verify_layout(layout)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: replace(path, b""), id="empty"),
        pytest.param(lambda path: replace(path, path.read_bytes()[:-1]), id="cut"),
        pytest.param(lambda path: replace(path, path.read_bytes() + b"\n"), id="longer"),
    ],
)
def test_damaged_blobs(layout: Path, images: tuple[Image, ...], role: str, damage: Callable[[Path], None]) -> None:
    digest = digest_by_role(images, layout)[role]
    damage(blob_path(layout, digest))
    for diff_ids in (True, False):
        with pytest.raises(DamagedDataError, match=digest.removeprefix("sha256:")):
            verify_layout(layout, diff_ids=diff_ids)


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_any_changed_byte_of_the_top_files_is_found(layout: Path, name: str) -> None:
    path = layout / name
    good = path.read_bytes()
    passes = (
        b'"annotations":{"org.opencontainers.image.ref.name":"latest"}',
        b'],"mediaType":',
    )  # nothing proves these
    spans = [(good.find(part), good.find(part) + len(part)) for part in passes]
    for position in range(len(good)):
        if any(start <= position < end for start, end in spans):
            continue
        path.write_bytes(flipped(good, position))
        try:
            verify_layout(layout)
        except (DamagedDataError, InputError):
            continue
        pytest.fail(f"{name}: {path.read_bytes()!r} passed")


def test_all_mismatches_are_reported_together(layout: Path, images: tuple[Image, ...]) -> None:
    digests = [
        digest_of(images[0].manifest),
        digest_of(images[1].config),
        images[1].layers[0].digest,
        images[1].layers[1].digest,
    ]
    blob_path(layout, digests[0]).unlink()
    replace(blob_path(layout, digests[1]), b"{}")
    blob_path(layout, digests[2]).unlink()
    replace(blob_path(layout, digests[3]), b"x")
    (layout / "oci-layout").unlink()
    with pytest.raises(DamagedDataError) as caught:
        verify_layout(layout)
    for digest in digests:
        assert digest.removeprefix("sha256:") in str(caught.value)
    assert "oci-layout" in str(caught.value)


def with_config(maker: ImageMaker, layout: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A layout whose first image has a changed configuration, and all digests as they must then be."""
    first, second = maker.images(b"script")
    config = json.loads(first.config)
    change(config)
    new = encode_document(config)
    manifest = json.loads(first.manifest)
    manifest["config"] = Descriptor(CONFIG, digest_of(new), len(new)).document()
    maker.write(layout, (Image(first.platform, first.layers, new, encode_document(manifest)), second))


WRONG_ID = "sha256:" + "5" * 64


def set_first_id(config: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"][0] = WRONG_ID


def set_shared_id(config: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"][1] = WRONG_ID


@pytest.mark.parametrize("change", [set_first_id, set_shared_id])
def test_a_diff_id_that_is_not_that_of_the_content(
    tmp_path: Path, maker: ImageMaker, change: Callable[[dict[str, Any]], None]
) -> None:
    with_config(maker, tmp_path / "layout", change)
    with pytest.raises(DamagedDataError, match=WRONG_ID):
        verify_layout(tmp_path / "layout")
    verify_layout(tmp_path / "layout", diff_ids=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["rootfs"]["diff_ids"].pop(), "linux/amd64: 2 layers, but 1 diff_ids"),
        (lambda config: config["rootfs"]["diff_ids"].append("x"), "linux/amd64: 2 layers, but 3 diff_ids"),
        (lambda config: config.update(rootfs=None), "linux/amd64: 2 layers, but 0 diff_ids"),
        (lambda config: config.update(rootfs={"diff_ids": "x"}), "linux/amd64: 2 layers, but 0 diff_ids"),
        (lambda config: config.update(architecture="arm64"), "linux/arm64: the index calls this image .*amd64"),
        (lambda config: config.pop("os"), "None/amd64: the index calls this image"),
    ],
)
def test_a_configuration_that_does_not_fit(
    tmp_path: Path, maker: ImageMaker, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with_config(maker, tmp_path / "layout", change)
    with pytest.raises(DamagedDataError, match=message):
        verify_layout(tmp_path / "layout")


def test_a_layer_that_is_no_gzip(tmp_path: Path, maker: ImageMaker) -> None:
    content = b"not gzip"
    layer = Layer("base", "x", digest_of(content), len(content), WRONG_ID)
    path = tmp_path / "cache/blobs" / layer.digest.removeprefix("sha256:")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    maker.write(tmp_path / "layout", (assemble_image(AMD64, (layer,), RUN),))
    with pytest.raises(DamagedDataError, match="its content has diff_id none"):
        verify_layout(tmp_path / "layout")
    content = verify_layout(tmp_path / "layout", diff_ids=False)  # type: ignore[assignment]
    with pytest.raises(DamagedDataError, match="this layer cannot be unpacked"):
        unpack_image(tmp_path / "layout", content.platforms[0], tmp_path / "root")  # type: ignore[attr-defined]


def test_a_size_that_is_not_that_of_the_document(layout: Path, images: tuple[Image, ...]) -> None:
    config = images[0].config
    with pytest.raises(DamagedDataError, match=f"{len(config)} bytes instead of 3"):
        read_document(layout, Descriptor(CONFIG, digest_of(config), 3))


def test_no_layout_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no OCI image layout there"):
            verify_layout(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"manifests": []}', '{"manifests": [{}]}', "\xff", "1"])
def test_an_index_file_that_is_none(layout: Path, text: str) -> None:
    (layout / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedDataError, match=r"index\.json"):
        verify_layout(layout)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"mediaType": INDEX, "digest": "sha256:0", "size": 1},
        {"mediaType": INDEX, "digest": "sha256:" + "0" * 64, "size": "1"},
        {"mediaType": 1, "digest": "sha256:" + "0" * 64, "size": 1},
        {"mediaType": INDEX, "digest": "sha256:" + "G" * 64, "size": 1},
        {"mediaType": INDEX, "digest": "sha256:" + "0" * 64, "size": 1, "platform": "linux/amd64"},
        {"mediaType": INDEX, "digest": "sha256:" + "0" * 64, "size": 1, "annotations": ["x"]},
    ],
)
def test_what_is_no_descriptor(document: Any) -> None:
    with pytest.raises(DamagedDataError, match=r"^here: not a descriptor"):
        parse_descriptor(document, "here")


def test_an_image_of_one_platform_without_an_index(layout: Path, images: tuple[Image, ...]) -> None:
    descriptor = Descriptor(MANIFEST, digest_of(images[1].manifest), len(images[1].manifest))
    (layout / "index.json").write_bytes(encode_document({"schemaVersion": 2, "manifests": [descriptor.document()]}))
    assert [platform.name for platform in verify_layout(layout).platforms] == ["linux/arm64"]


def test_unpacking(layout: Path, tmp_path: Path) -> None:
    platform = next(one for one in read_layout(layout).platforms if one.name == str(ARM64))
    root = unpack_image(layout, platform, tmp_path / "roots")
    assert (root / "base/file").read_text() == "linux/arm64"
    assert (root / "script/file").read_text() == "script"
    (root / "mark").touch()
    assert unpack_image(layout, platform, tmp_path / "roots") == root
    assert (root / "mark").exists()
    assert len(list((tmp_path / "roots").iterdir())) == 1


def test_a_blob_that_holds_several_gzip_members(tmp_path: Path, maker: ImageMaker) -> None:
    content = gzip.compress(b"a" * 600, mtime=0) + gzip.compress(b"b" * 424, mtime=0)
    layer = Layer("base", "x", digest_of(content), len(content), digest_of(b"a" * 600 + b"b" * 424))
    path = tmp_path / "cache/blobs" / layer.digest.removeprefix("sha256:")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    maker.write(tmp_path / "layout", (assemble_image(AMD64, (layer,), RUN),))
    verify_layout(tmp_path / "layout")
