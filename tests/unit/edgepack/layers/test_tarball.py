"""One tar for one content: order, machine, process and time do not matter; the very bytes are pinned."""

import errno
import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
import threading
import zlib
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry
from edgepack.layers.packing import Compression, section
from edgepack.layers.tarball import TarDigests, write_layer, zlib_is_reference

LONG = "long/" + "/".join(["a" * 60] * 4) + "/file.txt"
SMALL: list[Entry] = [
    FileEntry("bin/run", b"#!/bin/sh\n", True),
    FileEntry("etc/config", b"key = value\n" * 100),
    LinkEntry("etc/link", "../bin/run"),
    FolderEntry("tmp", 0o1777),
    FolderEntry("var/lib/own", 0o755, 1000),
    FileEntry("data/größe-模型.txt", "naïve".encode()),
    FileEntry(LONG, b"deep"),
    FileEntry("empty", b""),
]
# The bytes that stock zlib gives. If this changes, every layer of every user changes: raise FORMAT in tarball.py.
GOLDEN = TarDigests(
    digest="sha256:1f51f589582f8113ba43338b81f894e8778fd9e1f011f4b0765eaaec1c6bcd16",
    size_bytes=738,
    diff_id="sha256:c5d076e8bd7c894ffad3841bee23cde89759d13970f69dff011e81338107cf37",
    files_start=329,
    files_end=709,
)


def pack(entries: list[Entry]) -> tuple[TarDigests, bytes]:
    buffer = io.BytesIO()
    return write_layer(entries, buffer, "layer"), buffer.getvalue()


def members(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getmembers()


def test_the_bytes_are_pinned() -> None:
    made, _ = pack(SMALL)
    assert made.diff_id == GOLDEN.diff_id
    if not zlib_is_reference():
        pytest.skip("this machine's zlib compresses differently")
    assert made == GOLDEN


def test_a_large_file_that_does_not_shrink_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(random.Random(1).randbytes(1_500_000))  # noqa: S311 - no secret
    made, content = pack([FileEntry("a", b"a" * 10_000), FileEntry("b", path), FileEntry("c", b"c" * 10_000)])
    if zlib_is_reference():
        assert made.digest == "sha256:35581af9ebdbc653c19b092a65807578522996e610ecbd06ccfc0378e29f040f"
    assert path.read_bytes()[70_000:130_000] in content
    assert made.size_bytes < 1_500_000 * 1.001
    plain = gzip.decompress(content)
    assert made.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert [(member.name, member.size) for member in archive] == [("a", 10_000), ("b", 1_500_000), ("c", 10_000)]
        file = archive.extractfile("b")
        assert file is not None
        assert file.read() == path.read_bytes()
    path.write_bytes(b"weights " * 200_000)
    assert pack([FileEntry("b", path)])[0].size_bytes < 10_000


def test_a_large_section_has_the_same_bytes_whatever_compresses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(hashlib.sha256(number.to_bytes(4)).hexdigest().encode() for number in range(200_000))
    made = {}
    for processors, step in ((1, len(content)), (3, 1 << 20), (64, 999_983)):
        monkeypatch.setattr(os, "cpu_count", lambda count=processors: count)
        file = io.BytesIO()
        with section(file, Compression.GZIP) as write:
            for start in range(0, len(content), step):
                write(content[start : start + step])
        made[processors] = file.getvalue()
    assert made[1] == made[3] == made[64]
    assert gzip.decompress(made[1]) == content
    assert made[1].count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff") == 4


def test_a_section_that_fails_ends_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    threads = threading.active_count()
    with pytest.raises(OSError, match="full"), section(Full(), Compression.GZIP) as write:
        write(bytes(20 << 20))
    assert threading.active_count() == threads


def test_the_files_can_be_told_from_the_rest() -> None:
    made, content = pack(SMALL)
    folders = zlib.decompressobj(31)
    text = folders.decompress(content[: made.files_start]) + folders.flush()
    expected = {"bin", "etc", "tmp", "var", "var/lib", "var/lib/own", "data"}
    expected |= {LONG.rsplit("/", number)[0] for number in range(1, 6)}
    assert [member.name for member in members(gzip.compress(text + bytes(1024)))] == sorted(expected)
    files = gzip.decompress(content[made.files_start : made.files_end])
    assert not any(member.isdir() for member in members(gzip.compress(files + bytes(1024))))
    assert gzip.decompress(content[made.files_end :]) == bytes(1024)


def test_the_digests_are_those_of_the_bytes() -> None:
    made, content = pack(SMALL)
    assert made.size_bytes == len(content)
    assert made.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert made.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"


def test_the_order_of_entries_does_not_matter() -> None:
    first, _ = pack(SMALL)
    for seed in range(10):
        mixed = list(SMALL)
        random.Random(seed).shuffle(mixed)  # noqa: S311 - no secret
        assert pack(mixed)[0] == first


IN_ANOTHER_PROCESS = """
import io, os, sys
from pathlib import Path
from edgepack.layers.entry import FileEntry, LinkEntry
from edgepack.layers.packing import Compression, section
from edgepack.layers.tarball import write_layer
os.umask(0o077)
folder = Path(sys.argv[1])
entries = {FileEntry(f"a/{path.name}", path) for path in folder.iterdir()} | {LinkEntry("b", "a")}
print(write_layer(entries, io.BytesIO(), "layer").digest)
"""


def test_process_time_zone_and_times_of_files_do_not_matter(tmp_path: Path) -> None:
    digests = set()
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in "xyz"[:: (-1) ** number]:
            path = folder / name
            path.write_text(name)
            path.chmod(0o600 + number)
            os.utime(path, (1_000_000_000 * number, 1_000_000_001 * number))
            if os.geteuid() == 0:
                os.chown(path, number, number)
        variables = {"TZ": ("UTC", "Asia/Kathmandu", "America/St_Johns")[number], "PYTHONHASHSEED": str(number)}
        done = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, folder],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_owners_times_and_modes() -> None:
    found = {member.name: member for member in members(pack(SMALL)[1])}
    for member in found.values():
        assert (member.mtime, member.uname, member.gname) == (0, "", "")
        assert (member.uid, member.gid) == ((1000, 1000) if member.name == "var/lib/own" else (0, 0))
        assert set(member.pax_headers) <= {"path", "linkpath"}
    modes = {name: member.mode for name, member in found.items() if not member.issym()}
    assert modes["bin/run"] == 0o755
    assert modes["etc/config"] == 0o644
    assert modes["tmp"] == 0o1777
    assert modes["data"] == modes["var/lib"] == 0o755
    assert found["etc/link"].linkname == "../bin/run"


def test_every_folder_is_there_and_before_what_it_holds() -> None:
    names = [member.name for member in members(pack(SMALL)[1])]
    assert len(names) == len(set(names))
    for number, name in enumerate(names):
        parent = name.rpartition("/")[0]
        assert not parent or parent in names[:number]
    assert not [name for name in names if name.startswith(("/", "."))]


def test_long_and_foreign_names_come_back() -> None:
    names = {member.name for member in members(pack(SMALL)[1])}
    assert {LONG, "data/größe-模型.txt"} <= names
    target = "x" * 150 + "/ü"
    assert members(pack([LinkEntry("a", target)])[1])[0].linkname == target


def test_other_tools_read_it(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar.gz"
    path.write_bytes(pack(SMALL)[1])
    done = subprocess.run(
        ["tar", "tzf", path], capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert LONG.encode() in done.stdout
    assert done.stderr == b""


def test_the_header_of_gzip_has_neither_time_nor_name() -> None:
    content = pack(SMALL)[1]
    assert content[:4] == b"\x1f\x8b\x08\x00"
    assert content[4:8] == bytes(4)
    assert content[9] == 255
    assert content[9 + content[9:].index(b"\x1f\x8b\x08") :][3:10] == bytes(6) + b"\xff"  # the second section's
    assert zlib.decompress(content, 31)


def test_no_entry_at_all() -> None:
    made, content = pack([])
    assert members(content) == []
    assert made == pack([])[0]


def test_all_conflicts_are_reported_and_nothing_is_written() -> None:
    buffer = io.BytesIO()
    with pytest.raises(InputError) as caught:
        write_layer(
            [
                FileEntry("a", b"1"),
                FileEntry("a", b"2"),
                FileEntry("/b", b""),
                FileEntry("c/../d", b""),
                FileEntry("", b""),
                FileEntry("e\0", b""),
                LinkEntry("f", "x"),
                FileEntry("f/g", b""),
                FileEntry("h", b"x", True),
                FileEntry("h", b"x", False),
                FolderEntry("i", 0o700),
                FolderEntry("i"),
            ],
            buffer,
            "layer x",
        )
    assert caught.value.problems == (
        "layer x: two different files are both called 'a'",
        "layer x: the path '/b' is not a plain relative path",
        "layer x: the path 'c/../d' is not a plain relative path",
        "layer x: the path '' is not a plain relative path",
        "layer x: the path 'e\\x00' is not a plain relative path",
        "layer x: two different files are both called 'h'",
        "layer x: two different files are both called 'i'",
        "layer x: 'f' is a file or link, but 'f/g' lies below it",
    )
    assert buffer.getvalue() == b""


def test_the_same_file_twice_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"same")
    content = pack([FileEntry("a", b"same"), FileEntry("a", path), FileEntry("a", b"same")])[1]
    assert [member.name for member in members(content)] == ["a"]


def test_a_file_that_is_not_what_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"changed")
    with pytest.raises(DamagedDataError, match=r"^layer: a has SHA-256 [0-9a-f]{64} instead of 00"):
        pack([FileEntry("a", path, sha256="0" * 64)])


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"short")

    class Longer(FileEntry):
        __slots__ = ()

        @property
        def size_bytes(self) -> int:
            return 100

    with pytest.raises(DamagedDataError, match="layer: a became shorter while it was read"):
        pack([Longer("a", path)])
