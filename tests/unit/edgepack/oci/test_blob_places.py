"""Where blobs are known to be."""

from pathlib import Path

from edgepack.oci.blob_places import MOST_ENTRIES, BlobPlaces

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def test_another_repository_is_remembered(tmp_path: Path) -> None:
    places = BlobPlaces(tmp_path, "localhost:5000")
    assert places.source(A, "team/x") is None
    places.note([A, B], "team/x")
    again = BlobPlaces(tmp_path, "localhost:5000")
    assert (again.source(A, "team/y"), again.source(A, "team/x")) == ("team/x", None)
    assert BlobPlaces(tmp_path, "localhost:5001").source(A, "team/y") is None


def test_two_processes_do_not_lose_each_others_notes(tmp_path: Path) -> None:
    first, second = BlobPlaces(tmp_path, "r"), BlobPlaces(tmp_path, "r")
    first.note([A], "x")
    second.note([B], "y")
    assert (BlobPlaces(tmp_path, "r").source(A, ""), BlobPlaces(tmp_path, "r").source(B, "")) == ("x", "y")


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    digests = [f"sha256:{number:064x}" for number in range(MOST_ENTRIES + 10)]
    BlobPlaces(tmp_path, "r").note(digests, "x")
    places = BlobPlaces(tmp_path, "r")
    assert places.source(digests[9], "") is None
    assert places.source(digests[10], "") == "x"


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    BlobPlaces(tmp_path, "r").note([A], "x")
    (path,) = (tmp_path / "registries").glob("*.json")
    for text in ("", "{", "[]", '{"x": 1}', f'{{"{A}": 1}}'):
        path.write_text(text)
        assert BlobPlaces(tmp_path, "r").source(A, "") is None
