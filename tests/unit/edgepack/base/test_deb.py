"""Debian packages read as entries, and the root file system made of them."""

from pathlib import Path

import pytest

from edgepack.base.deb import merged_path, read_deb
from edgepack.base.root import is_left_out, root_entries
from edgepack.errors import DamagedDataError
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry, ordered_entries
from edgepack.oci.platform import AMD64, ARM64
from tests.fakes.deb import Deb, Folder, Hardlink, Program, Symlink, ar_archive, compress, tar_archive
from tests.fakes.debian_archive import small_release

PACKAGE = Deb(
    "one",
    files={
        "./": Folder(),
        "./lib/": Folder(),
        "./lib/x86_64-linux-gnu/": Folder(),
        "./lib/x86_64-linux-gnu/libone.so.1.2": "code",
        "./lib/x86_64-linux-gnu/libone.so.1": Symlink("libone.so.1.2"),
        "./bin/one": Program(b"run"),
        "./usr/bin/two": Hardlink("./bin/one"),
        "./var/cache/one/": Folder(0o2770),
        "./tmp/": Folder(0o1777),
    },
)
ENTRIES: list[Entry] = [
    FolderEntry("usr/lib/x86_64-linux-gnu"),
    FileEntry("usr/lib/x86_64-linux-gnu/libone.so.1.2", b"code"),
    LinkEntry("usr/lib/x86_64-linux-gnu/libone.so.1", "libone.so.1.2"),
    FileEntry("usr/bin/one", b"run", True),
    FileEntry("usr/bin/two", b"run"),
    FolderEntry("var/cache/one", 0o770),
    FolderEntry("tmp", 0o1777),
]


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "one_1.0-1_amd64.deb"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [".xz", ".gz", ""])
def test_a_package_in_each_compression(tmp_path: Path, compression: str) -> None:
    entries, control = read_deb(write(tmp_path, PACKAGE.build(compression)))
    assert [entry for entry in entries if entry.path != "usr/bin/two"] == [
        entry for entry in ENTRIES if entry.path != "usr/bin/two"
    ]
    (linked,) = (entry for entry in entries if entry.path == "usr/bin/two")
    assert isinstance(linked, FileEntry)
    assert linked.content == b"run"
    assert control == PACKAGE.control


def test_paths_below_the_merged_folders() -> None:
    assert merged_path("lib/a") == "usr/lib/a"
    assert merged_path("sbin/a/b") == "usr/sbin/a/b"
    assert merged_path("lib64/ld.so") == "usr/lib64/ld.so"
    for path in ("lib", "library/a", "usr/lib/a", "etc/lib/a", "opt/bin/x"):
        assert merged_path(path) == path


GOOD = PACKAGE.build()
MEMBERS = {
    "debian-binary": b"2.0\n",
    "control.tar.xz": compress(".xz", tar_archive({"./control": PACKAGE.control})),
    "data.tar.xz": compress(".xz", tar_archive(PACKAGE.files)),
}


def without(name: str) -> bytes:
    return ar_archive({key: value for key, value in MEMBERS.items() if key != name})


def with_data(files: dict[str, bytes | str | Folder | Symlink | Hardlink | Program]) -> bytes:
    return ar_archive({**MEMBERS, "data.tar.xz": compress(".xz", tar_archive(files))})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04" + GOOD, id="no ar archive"),
        pytest.param(GOOD[:40], id="cut in the first header"),
        pytest.param(GOOD[:200], id="cut in the control archive"),
        pytest.param(GOOD[:-1], id="cut in the data archive"),
        pytest.param(PACKAGE.build("")[:-700], id="cut in plain data"),
        pytest.param(PACKAGE.build(".gz")[:-8], id="gzip without its end"),
        pytest.param(without("control.tar.xz"), id="no control"),
        pytest.param(without("data.tar.xz"), id="no data"),
        pytest.param(ar_archive({**MEMBERS, "control.tar.xz": compress(".xz", tar_archive({}))}), id="empty control"),
        pytest.param(
            ar_archive({**MEMBERS, "control.tar.xz": compress(".xz", tar_archive({"./control": Folder()}))}),
            id="control is a folder",
        ),
        pytest.param(
            ar_archive({**MEMBERS, "control.tar.xz": compress(".xz", tar_archive({"./control": b"\xff\xfe"}))}),
            id="control is no text",
        ),
        pytest.param(ar_archive({**MEMBERS, "data.tar.xz": b"no xz"}), id="data is no xz"),
        pytest.param(GOOD.replace(b"`\n", b"``", 1), id="damaged header"),
        pytest.param(GOOD.replace(b"4         `\n", b"four      `\n"), id="size is no number"),
        pytest.param(GOOD.replace(b"4         `\n", b"-60       `\n"), id="negative size"),
        pytest.param(with_data({"./a": Hardlink("./nothing")}), id="hard link to nothing"),
        pytest.param(with_data({"./a": Hardlink("./a")}), id="hard link to itself"),
        pytest.param(with_data({"./../a": "x"}), id="path that leaves the root"),
        pytest.param(with_data({"./a/../../b": "x"}), id="path that leaves the root below"),
        pytest.param(with_data({"./a//b": "x", "./a/./c": "x"}), id="path that is not plain"),
    ],
)
@pytest.mark.timeout(10)
def test_damaged_packages(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedDataError, match=r"^one_1\.0-1_amd64\.deb: not a Debian package"):
        read_deb(write(tmp_path, content))


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    content = ar_archive({"debian-binary": b"2.0\n", "control.tar.xz": MEMBERS["control.tar.xz"], "data.tar.zst": b"x"})
    with pytest.raises(DamagedDataError, match="zst"):
        read_deb(write(tmp_path, content))


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("usr/share/man/man1/x.1.gz", True),
        ("usr/share/doc/libc6/changelog.gz", True),
        ("usr/share/doc/libc6/copyright", False),
        ("usr/share/doc/libc6", False),
        ("usr/lib/python3.11/test/x.py", True),
        ("usr/lib/python3.11/unittest/x.py", False),
        ("usr/lib/python3.11/ensurepip", True),
        ("usr/share/manual/x", False),
        ("usr/lib/x86_64-linux-gnu/gconv/A.so", True),
        ("usr/share/zoneinfo/Etc/UTC", False),
    ],
)
def test_what_is_left_out(path: str, left_out: bool) -> None:
    assert is_left_out(path) is left_out


def root(architecture: str) -> dict[str, Entry]:
    packages = []
    for deb in small_release():
        if deb.architecture in (architecture, "all"):
            files: list[Entry] = [
                FileEntry(merged_path(path.removeprefix("./")), content.encode())
                for path, content in deb.files.items()
                if isinstance(content, str)
            ]
            packages.append((deb.name, files, deb.control))
    platform = {"amd64": AMD64, "arm64": ARM64}[architecture]
    return {entry.path: entry for entry in ordered_entries(root_entries(packages, "3.11", platform), "root")}


def test_the_root_has_what_install_scripts_make() -> None:
    found = root("amd64")
    for name in ("bin", "sbin", "lib", "lib64"):
        assert found[name] == LinkEntry(name, f"usr/{name}")
    assert found["usr/bin/python3"] == LinkEntry("usr/bin/python3", "python3.11")
    assert found["tmp"] == FolderEntry("tmp", 0o1777)
    assert found["root"] == FolderEntry("root", 0o700)
    assert found["var/lib/edgepack"] == FolderEntry("var/lib/edgepack", 0o755, 1000)
    passwd = found["etc/passwd"]
    assert isinstance(passwd, FileEntry)
    assert isinstance(passwd.content, bytes)
    assert b"edgepack:x:1000:1000:" in passwd.content
    bundle = found["etc/ssl/certs/ca-certificates.crt"]
    assert isinstance(bundle, FileEntry)
    assert bundle.content == b"one\n"
    status = found["var/lib/dpkg/status.d/tzdata"]
    assert isinstance(status, FileEntry)
    assert isinstance(status.content, bytes)
    assert b"Version: 2026a-0" in status.content
    assert not [path for path in found if path.startswith("usr/share/man")]


def test_the_root_of_arm64_has_no_lib64() -> None:
    assert "lib64" not in root("arm64")
    assert "usr/lib64" not in root("arm64")


def test_certificates_are_one_bundle_in_the_order_of_their_names() -> None:
    folder = "usr/share/ca-certificates/mozilla"
    files: list[Entry] = [FileEntry(f"{folder}/B.crt", b"b"), FileEntry(f"{folder}/A.crt", b"a\n")]
    found = {entry.path: entry for entry in root_entries([("ca-certificates", files, "")], "3.11", AMD64)}
    assert found["etc/ssl/certs/ca-certificates.crt"] == FileEntry("etc/ssl/certs/ca-certificates.crt", b"a\nb\n")
