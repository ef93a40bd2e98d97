"""The archive that a Docker engine loads: one platform, its layers as they are."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from edgepack.engine import stored_image
from edgepack.engine_archive import write_archive
from edgepack.errors import InputError
from edgepack.oci.validate import choose_platform
from tests.fakes.images import ImageMaker


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    maker = ImageMaker(tmp_path / "cache")
    maker.write(tmp_path / "layout", maker.images(b"same", b"same", b"other"))
    return tmp_path / "layout"


def test_an_archive_of_one_platform(layout: Path) -> None:
    content = choose_platform(layout, "linux/arm64")
    buffer = io.BytesIO()
    write_archive(stored_image(layout, content), "sample:1", buffer)
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (entry,) = json.loads(files.pop("manifest.json"))
    assert entry["RepoTags"] == ["sample:1"]
    assert json.loads(files[entry["Config"]])["architecture"] == "arm64"
    assert entry["Layers"] == [f"blobs/sha256/{layer.digest[7:]}" for layer in content.layers]
    assert set(files) == {entry["Config"], *entry["Layers"]}
    for name, body in files.items():
        assert hashlib.sha256(body).hexdigest() == name.rpartition("/")[2]


def test_a_platform_that_the_layout_does_not_have(layout: Path) -> None:
    with pytest.raises(InputError, match="has no image for linux/s390x; it has linux/amd64, linux/arm64"):
        choose_platform(layout, "linux/s390x")
