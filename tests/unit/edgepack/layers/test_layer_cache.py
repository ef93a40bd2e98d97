"""The cache of layers: what is there and sound is found, everything else is made."""

import hashlib
import json
import os
import tarfile
from dataclasses import asdict
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry
from edgepack.layers.packing import Compression, unpacked
from edgepack.layers.tarball import TarDigests

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


def write_record(path: Path, text: str) -> None:
    """A record with a sound checksum."""
    content = text.encode("latin-1")
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


RECORDS = ["", "{", "[]", "null", "{}", '{"digest": 1, "size_bytes": 2, "diff_id": 3}', "\xff"]
RECORDS += ['{"digest": 1, "size_bytes": 2, "diff_id": 3, "files_start": "", "files_end": []}']


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_of_another_form_is_no_record(tmp_path: Path, record: str) -> None:
    cache = LayerCache(tmp_path)
    cache.make("key", lambda: ENTRIES, "layer")
    write_record(tmp_path / "layers/key.json", record)
    assert cache.find("key") is None


def test_a_record_with_any_byte_changed_is_no_record(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    made = cache.make("key", lambda: ENTRIES, "layer")
    path = tmp_path / "layers/key.json"
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert cache.find("key") is None, place
    path.write_bytes(good)
    assert cache.find("key") == made


def test_a_record_that_points_elsewhere_is_no_record(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path / "cache")
    made = cache.make("key", lambda: ENTRIES, "layer")
    record = {**asdict(made), "digest": "sha256:../../secret", "size_bytes": 3}
    (tmp_path / "secret").write_text("abc")
    write_record(tmp_path / "cache/layers/key.json", json.dumps(record))
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


def part(number: int, *names: str) -> list[Entry]:
    return [FileEntry(f"site/{name}", name.encode() * 1000 * number) for name in names or (f"p{number}/x",)]


def joined(cache: LayerCache, key: str, *parts: list[Entry]) -> TarDigests | None:
    made = {}
    for entries in parts:
        name = "-".join(entry.path.replace("/", "_") for entry in entries)
        made[name] = cache.find_part(name) or cache.make(name, lambda each=entries: each, name, as_part=True)  # type: ignore[misc]
    return cache.join(key, made)


def content(path: Path) -> dict[str, bytes | None]:
    with tarfile.open(path) as archive:
        assert [member.name for member in archive] == list(dict.fromkeys(archive.getnames()))
        return {
            member.name: file.read() if (file := archive.extractfile(member)) is not None else None
            for member in archive
        }


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_of_several_parts_holds_what_they_hold(tmp_path: Path, compression: Compression) -> None:
    cache = LayerCache(tmp_path, compression)
    made = joined(cache, "all", part(1), part(2), part(3))
    assert made is not None
    assert cache.find("all") == made
    blob = cache.blob_path(made.digest)
    with blob.open("rb") as file, unpacked(file, compression) as plain:
        text = plain.read()
    assert made.diff_id == f"sha256:{hashlib.sha256(text).hexdigest()}"
    (tmp_path / "plain.tar").write_bytes(text)
    found = content(tmp_path / "plain.tar")
    assert list(found) == ["site", "site/p1", "site/p2", "site/p3", "site/p1/x", "site/p2/x", "site/p3/x"]
    assert found["site/p3/x"] == b"p3/x" * 3000


def test_a_part_is_taken_byte_for_byte_into_any_layer(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    one, two = joined(cache, "one", part(1), part(2)), joined(cache, "two", part(3), part(2), part(4))
    assert one is not None
    assert two is not None
    alone = cache.find("site_p2_x")
    assert alone is not None
    files = cache.blob_path(alone.digest).read_bytes()[alone.files_start : alone.files_end]
    assert all(cache.blob_path(made.digest).read_bytes().count(files) == 1 for made in (alone, one, two))


def test_the_same_parts_made_elsewhere_are_the_same_layer(tmp_path: Path) -> None:
    first, second = (joined(LayerCache(tmp_path / name), "all", part(1), part(2, "a", "b/c"), part(3)) for name in "ab")
    assert first == second


def test_parts_that_clash_are_not_joined(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    assert joined(cache, "key", part(1, "same"), part(2, "same", "other")) is None
    assert joined(cache, "key", part(1, "folder"), part(2, "folder/file")) is None
    assert cache.find("key") is None


def test_a_part_without_its_list_of_files_is_made_again(tmp_path: Path) -> None:
    """A layer made otherwise than by joining would have other bytes."""
    cache = LayerCache(tmp_path)
    made = joined(cache, "key", part(1), part(2))
    assert made is not None
    path = tmp_path / "layers/site_p1_x.files.json"
    path.write_bytes(path.read_bytes().replace(b"p1", b"p7"))
    assert cache.find("site_p1_x") is not None
    assert cache.find_part("site_p1_x") is None
    assert joined(cache, "key", part(1), part(2)) == made
    path.unlink()
    assert cache.find_part("site_p1_x") is None
    assert joined(cache, "key", part(1), part(2)) == made
    cache.make("whole", lambda: ENTRIES, "layer")
    assert cache.find_part("whole") is None


def test_a_part_that_is_damaged_while_it_is_joined(tmp_path: Path) -> None:
    """`find` has seen it whole; the join fails, and leaves nothing."""
    cache = LayerCache(tmp_path)
    made = cache.make("a", lambda: part(1), "a", as_part=True)
    other = cache.make("b", lambda: part(2), "b", as_part=True)
    blob = cache.blob_path(made.digest)
    good = blob.read_bytes()
    before = set(tmp_path.rglob("*"))
    for place in range(made.files_start, made.files_end, 7):
        blob.write_bytes(good[:place] + bytes([good[place] ^ 64]) + good[place + 1 :])
        if place - made.files_start >= 10:  # before, there are fields of a gzip header that mean nothing
            with pytest.raises(DamagedDataError, match="build again"):
                cache.join("key", {"a": made, "b": other})
    assert {path for path in set(tmp_path.rglob("*")) - before if path.suffix == ".part"} == set()


def test_the_tar_inside_does_not_depend_on_the_compression(tmp_path: Path) -> None:
    gzip, zstd = (joined(LayerCache(tmp_path / each, each), "all", part(1), part(2)) for each in Compression)
    assert gzip is not None
    assert zstd is not None
    assert gzip.diff_id == zstd.diff_id
    assert gzip.digest != zstd.digest
