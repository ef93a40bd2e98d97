"""Licences out of wheels: once, and remembered by hash."""

import zipfile
from pathlib import Path

import pytest

from edgepack.download import Downloader
from edgepack.errors import RemoteError
from edgepack.files import hash_file
from edgepack.ingredients import Licence
from edgepack.licences import licence_of, wheel_licences
from edgepack.resolve.lock import Wheel

MIT = "Classifier: License :: OSI Approved :: MIT License\n"


def write_wheel(path: Path, metadata: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x-1.dist-info/METADATA", metadata)
    return path


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("Name: x\nLicense-Expression: MIT AND BSD-3-Clause\nLicense: other\n", Licence("MIT AND BSD-3-Clause")),
        (f"Name: x\nLicense: BSD 3-Clause\n{MIT}", Licence(None, ("BSD 3-Clause",))),
        (f"Name: x\nLicense: UNKNOWN\n{MIT}", Licence(None, ("MIT License",))),
        ("Name: x\nLicense: A long\n text of\n several lines\n", Licence()),
        ("Name: x\nClassifier: License :: OSI Approved\n", Licence()),
        ("Name: x\n", Licence()),
    ],
)
def test_what_metadata_says(tmp_path: Path, metadata: str, expected: Licence) -> None:
    assert licence_of(write_wheel(tmp_path / "x-1-py3-none-any.whl", metadata)) == expected


def test_what_is_no_wheel_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"no zip")
    assert licence_of(tmp_path / "x.whl") == Licence()


class NoDownloader(Downloader):
    """Has nothing."""

    def fetch(self, remote: object) -> Path:
        raise RemoteError("nothing here")


def test_read_once_then_remembered_and_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    file = write_wheel(tmp_path / "x-1-py3-none-any.whl", "Name: x\nLicense-Expression: MIT\n")
    wheel = Wheel("x", "1", file.name, file.as_uri(), hash_file(file))
    warnings: list[str] = []
    cache = tmp_path / "cache"
    with Downloader(cache) as downloader:
        assert wheel_licences([wheel], downloader, cache, warnings.append) == {wheel.sha256: Licence("MIT")}
    gone = Wheel("gone", "1", "gone-1-py3-none-any.whl", "https://example.com/gone.whl", "0" * 64)
    with NoDownloader(cache) as downloader:
        assert wheel_licences([wheel, gone], downloader, cache, warnings.append) == {wheel.sha256: Licence("MIT")}
    assert len(warnings) == 1
    assert "gone-1-py3-none-any.whl" in warnings[0]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"a": ["MIT", [1]]}', b"\xff"])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, content: bytes) -> None:
    file = write_wheel(tmp_path / "x-1-py3-none-any.whl", "Name: x\nLicense-Expression: MIT\n")
    wheel = Wheel("x", "1", file.name, file.as_uri(), hash_file(file))
    (tmp_path / "licences.json").write_bytes(content)
    with Downloader(tmp_path) as downloader:
        assert wheel_licences([wheel], downloader, tmp_path, lambda _text: None) == {wheel.sha256: Licence("MIT")}
