"""The cache of layers: what is there and sound is found, everything else is made."""

import json
import os
from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry

ENTRIES: list[Entry] = [FileEntry("a", b"content")]


def test_what_was_made_is_found(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    assert cache.find("key") is None
    made = cache.make("key", lambda: ENTRIES, "layer")
    assert cache.find("key") == LayerCache(tmp_path).find("key") == made
    assert cache.find("other") is None
    assert cache.blob_path(made.digest).stat().st_size == made.size_bytes


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_blob_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    cache = LayerCache(tmp_path)
    made = cache.make("key", lambda: ENTRIES, "layer")
    blob = cache.blob_path(made.digest)
    good = blob.read_bytes()
    blob.unlink()
    blob.write_bytes(bytes([good[0] ^ 1]) + good[1:] if damage is None else damage)
    assert cache.find("key") is None
    assert cache.make("key", lambda: ENTRIES, "layer") == made
    assert blob.read_bytes() == good
    blob.unlink()
    assert cache.find("key") is None


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "null", "{}", '{"digest": 1, "size_bytes": 2, "diff_id": 3}', "\xff"]
)
def test_a_damaged_record_is_no_record(tmp_path: Path, record: str) -> None:
    cache = LayerCache(tmp_path)
    cache.make("key", lambda: ENTRIES, "layer")
    (tmp_path / "layers/key.json").write_text(record, encoding="latin-1")
    assert cache.find("key") is None


def test_a_record_that_points_elsewhere_is_no_record(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path / "cache")
    made = cache.make("key", lambda: ENTRIES, "layer")
    record = {"digest": "sha256:../../secret", "size_bytes": 3, "diff_id": made.diff_id}
    (tmp_path / "secret").write_text("abc")
    (tmp_path / "cache/layers/key.json").write_text(json.dumps(record))
    assert cache.find("key") is None


def test_what_killed_builds_left_is_removed_after_a_day(tmp_path: Path) -> None:
    LayerCache(tmp_path).make("key", lambda: ENTRIES, "layer")
    old, new = tmp_path / "blobs/.old.part", tmp_path / "blobs/.new.part"
    for path in (old, new):
        path.write_bytes(b"half a layer")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    assert LayerCache(tmp_path).find("key") is not None
    assert (old.exists(), new.exists()) == (False, True)


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    with pytest.raises(InputError):
        cache.make("key", lambda: [FileEntry("/a", b"")], "layer")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
