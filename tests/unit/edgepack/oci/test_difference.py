"""What a device pulls for a new image, by both kinds of engines, and which files differ."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.layers.packing import Compression
from edgepack.oci.descriptor import LAYER_GZIP
from edgepack.oci.difference import FileChanges, differing_layers, file_changes, image_difference
from edgepack.oci.image import Image
from edgepack.oci.layer_files import read_layer_files
from edgepack.oci.media_types import LAYER_ZSTD
from edgepack.oci.platform import AMD64, ARM64
from edgepack.oci.validate import LayoutContent, read_layout
from tests.fakes.images import ImageMaker


@pytest.fixture
def maker(tmp_path: Path) -> ImageMaker:
    return ImageMaker(tmp_path / "cache")


def content(maker: ImageMaker, name: str, images: tuple[Image, ...]) -> LayoutContent:
    layout = maker.folder.parent / name
    maker.write(layout, images)
    return read_layout(layout)


def test_the_same_image_needs_nothing(maker: ImageMaker) -> None:
    one, other = (content(maker, name, maker.images(b"a", b"b")) for name in "xy")
    found = image_difference(one, other)
    assert (found.index_bytes, found.upload_bytes, found.added, found.removed) == (0, 0, (), ())
    for platform in found.platforms:
        assert (platform.pull_bytes, platform.pull_by_place_bytes, platform.gone) == (0, 0, ())
        assert {layer.state for layer in platform.layers} == {"kept"}


def test_a_layer_in_the_middle(maker: ImageMaker) -> None:
    old = content(maker, "old", maker.images(b"model", b"script" * 50))
    new = content(maker, "new", maker.images(b"other model", b"script" * 50))
    found = image_difference(old, new)
    platform = found.platforms[0]
    base, model, script = platform.layers
    assert [layer.state for layer in platform.layers] == ["kept", "new", "moved"]
    assert [layer.digest for layer in platform.gone] == [old.platforms[0].layers[1].digest]
    manifest, config = new.platforms[0].descriptor.size, new.platforms[0].config_size
    assert config > 100
    assert platform.pull_bytes == model.size_bytes + manifest + config + new.index.size
    assert platform.pull_by_place_bytes == platform.pull_bytes + script.size_bytes
    assert platform.document()["size_bytes"] == base.size_bytes + model.size_bytes + script.size_bytes
    documents = sum(each.descriptor.size + each.config_size for each in new.platforms)
    assert found.upload_bytes == model.size_bytes + documents + new.index.size  # the layer once for both platforms


def test_platforms_that_come_and_go(maker: ImageMaker) -> None:
    amd64, arm64 = (content(maker, str(each.slug), maker.images(b"a", platforms=(each,))) for each in (AMD64, ARM64))
    found = image_difference(amd64, arm64)
    assert (found.platforms, found.added, found.removed) == ((), ("linux/arm64",), ("linux/amd64",))
    new = arm64.platforms[0]
    base = new.layers[0].size
    assert found.upload_bytes == base + new.descriptor.size + new.config_size + arm64.index.size


def test_another_order_is_other_places(maker: ImageMaker) -> None:
    old, new = (
        content(maker, "".join(map(str, order)), maker.images(*order)) for order in ((b"a", b"b"), (b"b", b"a"))
    )
    platform = image_difference(old, new).platforms[0]
    assert [layer.state for layer in platform.layers] == ["kept", "moved", "moved"]
    assert platform.gone == ()
    assert differing_layers(old.platforms[0], new.platforms[0]) == ([], [])


def test_the_document_is_plain(maker: ImageMaker) -> None:
    old, new = (content(maker, name, maker.images(name.encode())) for name in ("a", "b"))
    changes = FileChanges(("x",), ("y",), ("z",))
    document = image_difference(old, new, {"linux/arm64": changes}).document()
    assert document["platforms"]["linux/arm64"]["files"] == {"added": ["x"], "removed": ["y"], "changed": ["z"]}
    assert "files" not in document["platforms"]["linux/amd64"]
    assert document["old"] == old.index.digest
    assert document["new"] == new.index.digest


ENTRIES: list[Entry] = [
    FileEntry("a/same", b"1"),
    FileEntry("a/content", b"1"),
    FileEntry("a/mode", b"1"),
    FileEntry("a/gone", b"1"),
    LinkEntry("a/link", "same"),
    FolderEntry("a/folder", 0o700),
]
OTHERS: list[Entry] = [
    FileEntry("a/same", b"1"),
    FileEntry("a/content", b"2"),
    FileEntry("a/mode", b"1", executable=True),
    LinkEntry("a/link", "content"),
    FileEntry("a/new", b""),
]


@pytest.mark.parametrize("compression", Compression)
def test_files_of_layers(tmp_path: Path, compression: Compression) -> None:
    cache = LayerCache(tmp_path, compression)
    media_type = LAYER_ZSTD if compression is Compression.ZSTD else LAYER_GZIP

    def files(*layers: list[Entry]) -> dict[str, str]:
        made = [cache.make(str(entries), lambda each=entries: each, "layer") for entries in layers]  # type: ignore[misc]
        return read_layer_files((cache.blob_path(each.digest), media_type) for each in made)

    assert file_changes(files(ENTRIES), files(OTHERS)) == FileChanges(
        ("a/new",), ("a/gone",), ("a/content", "a/link", "a/mode")
    )
    assert files(ENTRIES, OTHERS) == {**files(ENTRIES), **files(OTHERS)}
    assert file_changes(files(ENTRIES), files(ENTRIES)) == FileChanges()
    assert files() == {}


def test_a_damaged_layer_is_named(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    made = cache.make("key", lambda: ENTRIES, "layer")
    blob = cache.blob_path(made.digest)
    blob.write_bytes(blob.read_bytes()[:100])
    with pytest.raises(DamagedDataError, match=made.digest[7:]):
        read_layer_files([(blob, LAYER_GZIP)])
    with pytest.raises(DamagedDataError, match="not known here"):
        read_layer_files([(blob, "text/plain")])


def test_a_config_size_that_is_not_known_counts_nothing(maker: ImageMaker) -> None:
    old, new = (content(maker, name, maker.images(name.encode())) for name in ("a", "b"))
    without = LayoutContent(new.index, tuple(replace(each, config_size=0) for each in new.platforms))
    with_it, less = (image_difference(old, each).platforms[0].documents_bytes for each in (new, without))
    assert with_it - less == new.platforms[0].config_size
