"""The file system of layers: what covers what, what is deleted, where links lead."""

import re
import tarfile

import pytest

import edgepack.base.file_tree as limits
from edgepack.base.file_tree import FileTree, Member, read_tree
from edgepack.errors import DamagedDataError
from tests.fakes.base_image import FOLDER, Device, Files, HardLink, Link, file_tree


def tree_of(*layers: Files, kept: str = ".*") -> FileTree:
    return file_tree(layers, re.compile(kept))


def test_a_higher_layer_covers_a_lower_one() -> None:
    tree = tree_of({"a": b"1", "b": b"1"}, {"./a": b"2"})
    assert (tree.content("a"), tree.content("b")) == (b"2", b"1")


def test_names_may_begin_with_a_slash_or_a_dot() -> None:
    tree = tree_of({"/x/a": b"1", "./x/b": b"2", "x/./c": b"3"})
    assert tree.names("x") == ["a", "b", "c"]


def test_a_whiteout_deletes_what_lies_below_its_layer() -> None:
    tree = tree_of({"d/a": b"1", "d/e/f": b"1", "d/b": b"1"}, {"d/.wh.a": b"", "d/.wh.e": b""})
    assert tree.names("d") == ["b"]
    assert tree.find("d/e/f") is None


def test_a_whiteout_does_not_delete_what_its_own_layer_brings() -> None:
    for layer in ({"d/a": b"2", "d/.wh.a": b""}, {"d/.wh.a": b"", "d/a": b"2"}):
        assert tree_of({"d/a": b"1"}, layer).content("d/a") == b"2"


def test_an_opaque_folder_hides_all_of_the_lower_layers() -> None:
    for layer in ({"d/.wh..wh..opq": b"", "d/c": b"2"}, {"d/c": b"2", "d/.wh..wh..opq": b""}):
        assert tree_of({"d/a": b"1", "d/b/c": b"1"}, layer).names("d") == ["c"]


def test_a_whiteout_of_what_is_not_there() -> None:
    assert tree_of({"a": b"1"}, {"d/.wh.x": b"", ".wh.y": b"", "a/.wh..wh..opq": b""}).content("a") == b"1"


def test_what_was_deleted_may_come_again() -> None:
    assert tree_of({"a": b"1"}, {".wh.a": b""}, {"a": b"3"}).content("a") == b"3"


def test_a_file_in_place_of_a_folder_and_the_other_way_round() -> None:
    tree = tree_of({"a/b": b"1", "c": b"1"}, {"a": b"2", "c/d": b"2"})
    assert (tree.content("a"), tree.content("a/b"), tree.content("c/d")) == (b"2", None, b"2")


def test_a_folder_that_comes_again_keeps_what_is_in_it() -> None:
    assert tree_of({"a/b": b"1"}, {"a": FOLDER}).content("a/b") == b"1"


@pytest.mark.parametrize(
    ("link", "path", "real"),
    [
        ({"l": Link("d")}, "l/f", "d/f"),
        ({"l": Link("/d/")}, "l/f", "d/f"),
        ({"x/l": Link("../d/f")}, "x/l", "d/f"),
        ({"x/l": Link("../../../d/f")}, "x/l", "d/f"),
        ({"l": Link("m"), "m": Link("/n"), "n": Link("d/f")}, "l", "d/f"),
        ({"l": Link("d/./f")}, "./l", "d/f"),
        ({"l": Link("nowhere")}, "l", None),
        ({"l": Link("l")}, "l", None),
        ({"l": Link("m/x"), "m": Link("l/y")}, "l", None),
        ({"l": Link("d/f/g")}, "l", None),
        ({}, "", ""),
    ],
)
def test_links(link: Files, path: str, real: str | None) -> None:
    assert tree_of({"d/f": b"1"}, link).real_path(path) == real


def test_a_chain_of_links_has_an_end() -> None:
    chain: Files = {f"l{number}": Link(f"l{number + 1}") for number in range(39)} | {"l39": b"1"}
    assert tree_of(chain).content("l0") == b"1"
    longer: Files = {f"l{number}": Link(f"l{number + 1}") for number in range(50)} | {"l50": b"1"}
    assert tree_of(longer).content("l0") is None


def test_hard_links() -> None:
    tree = tree_of({"a": b"1", "b": HardLink("a"), "c": HardLink("missing"), "d/e": HardLink("d")})
    assert tree.content("b") == b"1"
    assert tree.content("c") is None
    assert tree.names("d") == ["e"]


def test_devices_are_names_only() -> None:
    tree = tree_of({"dev/x": Device()})
    assert tree.names("dev") == ["x"]
    assert tree.content("dev/x") is None


def test_content_is_read_only_of_what_is_asked_for() -> None:
    tree = tree_of({"bin/a": b"1", "bin/b": b"2"}, kept="bin/a")
    assert (tree.content("bin/a"), tree.content("bin/b")) == (b"1", None)
    assert tree.names("bin") == ["a", "b"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/..", "a/../.wh.b"])
def test_a_name_that_leaves_the_root(name: str) -> None:
    with pytest.raises(DamagedDataError, match="outside"):
        tree_of({"a/b": b"1"}, {name: b"1"})


def test_there_is_an_end_of_names_and_of_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_MEMBERS", 3)
    with pytest.raises(DamagedDataError, match="more than 3"):
        tree_of(dict.fromkeys("abcd", b""))
    monkeypatch.setattr(limits, "MOST_MEMBERS", 100)
    monkeypatch.setattr(limits, "MOST_KEPT_BYTES", 10)
    with pytest.raises(DamagedDataError, match="11 bytes"):
        tree_of({"a": b"1" * 11})
    with pytest.raises(DamagedDataError, match="large"):
        tree_of({"a": b"1" * 6, "b": b"1" * 6})


def test_members_without_a_name() -> None:
    assert read_tree([[Member("", tarfile.DIRTYPE), Member("./", tarfile.DIRTYPE)]]).names("") == []
