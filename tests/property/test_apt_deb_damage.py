"""However a Debian package is damaged, it is refused or read: nothing else is raised and nothing hangs."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.base.deb import read_deb
from edgepack.errors import DamagedDataError
from tests.examples import examples
from tests.fakes.deb import Deb, Folder, Hardlink, Program, Symlink, ar_archive, tar_archive

PACKAGE = Deb(
    "one",
    files={
        "./lib/": Folder(),
        "./lib/one.so": "code" * 50,
        "./lib/two.so": Symlink("one.so"),
        "./bin/one": Program(b"run"),
        "./usr/bin/two": Hardlink("./bin/one"),
        "./usr/bin/" + "long" * 40: "x",
    },
)
PACKED = [PACKAGE.build(compression) for compression in (".xz", ".gz", "")]


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "x.deb")


def read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with suppress(DamagedDataError):
        read_deb(file)


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from(PACKED), st.data())
def test_changed_bytes(file: Path, content: bytes, data: st.DataObject) -> None:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    read(file, bytes(changed))


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(PACKED), st.data())
def test_a_package_that_ends_too_early(file: Path, content: bytes, data: st.DataObject) -> None:
    """The last byte may be padding."""
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 2))])
    with pytest.raises(DamagedDataError):
        read_deb(file)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_changed_tar_headers(file: Path, data: st.DataObject) -> None:
    """Compression would hide a change of the archive inside; here each field of each header is hit."""
    tar = bytearray(tar_archive(PACKAGE.files))
    for _ in range(data.draw(st.integers(1, 3))):
        start = 512 * data.draw(st.integers(0, len(tar) // 512 - 1))
        tar[start + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
        tar[start + 148 : start + 156] = f"{checksum(tar[start : start + 512]):06o}\0 ".encode()
    control = tar_archive({"./control": PACKAGE.control})
    read(file, ar_archive({"debian-binary": b"2.0\n", "control.tar": control, "data.tar": bytes(tar)}))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(file: Path, content: bytes) -> None:
    read(file, b"!<arch>\n" + content)


def checksum(header: bytearray) -> int:
    return sum(header) - sum(header[148:156]) + 8 * 32
