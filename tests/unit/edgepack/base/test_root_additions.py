"""Debian packages that are added to a base, and what a base that is an image needs."""

import pytest

from edgepack.base.root import extra_entries, user_entries
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.oci.platform import ARM_V7

LIBRARIES = "usr/lib/arm-linux-gnueabihf"


def added(*paths: str) -> dict[str, Entry]:
    entries: list[Entry] = [FileEntry(path, b"x") for path in paths]
    return {entry.path: entry for entry in extra_entries([("one", entries, "Package: one\n")], ARM_V7)}


def test_alternatives_become_links() -> None:
    found = added(f"{LIBRARIES}/blas/libblas.so.3", f"{LIBRARIES}/lapack/liblapack.so.3")
    assert found[f"{LIBRARIES}/libblas.so.3"] == LinkEntry(f"{LIBRARIES}/libblas.so.3", "blas/libblas.so.3")
    assert found[f"{LIBRARIES}/liblapack.so.3"] == LinkEntry(f"{LIBRARIES}/liblapack.so.3", "lapack/liblapack.so.3")


def test_the_better_alternative_wins() -> None:
    found = added(f"{LIBRARIES}/blas/libblas.so.3", f"{LIBRARIES}/openblas-pthread/libblas.so.3")
    link = found[f"{LIBRARIES}/libblas.so.3"]
    assert isinstance(link, LinkEntry)
    assert link.target == "openblas-pthread/libblas.so.3"


def test_no_link_without_a_library() -> None:
    assert not any(isinstance(entry, LinkEntry) for entry in added("usr/bin/x").values())


def test_scanners_find_the_packages_and_documentation_stays_away() -> None:
    found = added(
        "usr/share/man/man1/x",
        "usr/share/doc/one/copyright",
        "usr/lib/python3/dist-packages/numpy/tests/test_x.py",
        "usr/lib/python3/dist-packages/numpy-1.24.2.dist-info/METADATA",
        "usr/lib/python3.11/distutils/version.py",
    )
    assert "usr/share/man/man1/x" not in found
    assert found["var/lib/dpkg/status.d/one"] == FileEntry("var/lib/dpkg/status.d/one", b"Package: one\n")
    assert {path for path in found if "python3" in path} == {
        "usr/lib/python3/dist-packages/numpy/tests/test_x.py",
        "usr/lib/python3/dist-packages/numpy-1.24.2.dist-info/METADATA",
        "usr/lib/python3.11/distutils/version.py",
    }


@pytest.mark.parametrize(("passwd", "group", "files"), [("", "", []), ("a\n", "", ["etc/passwd"])])
def test_what_an_image_needs(passwd: str, group: str, files: list[str]) -> None:
    entries = user_entries(passwd, group)
    assert [entry for entry in entries if isinstance(entry, FolderEntry)] == [
        FolderEntry("var/azureml-app"),
        FolderEntry("var/lib/edgepack", 0o755, 1000),
    ]
    assert [entry.path for entry in entries if isinstance(entry, FileEntry)] == files
