"""Layers as others make them, unpacked: links to lower layers, the root's own entry, names that mean other places."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError
from edgepack.oci.descriptor import Descriptor, digest_of
from edgepack.oci.layout import blob_path
from edgepack.oci.media_types import TAR_LAYERS
from edgepack.oci.unpack import unpack_layers

Member = tuple[bytes, str, str]
FILE, LINK, SYMLINK, FOLDER = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE


def unpacked(folder: Path, *layers: list[Member]) -> Path:
    """The root of layers; of a member: what it is, its name, and its content or target."""
    descriptors = []
    for members in layers:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for kind, name, text in members:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = kind, 0o755
                if kind == FILE:
                    entry.size = len(text)
                else:
                    entry.linkname = text
                archive.addfile(entry, io.BytesIO(text.encode()))
        content = buffer.getvalue()
        descriptors.append(Descriptor(next(iter(TAR_LAYERS)), digest_of(content), len(content)))
        path = blob_path(folder / "layout", descriptors[-1].digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    unpack_layers(folder / "layout", descriptors, folder / "roots" / "one")
    return folder / "roots" / "one"


def test_links_within_a_layer_and_to_a_lower_one(tmp_path: Path) -> None:
    lower = [(FOLDER, "./", ""), (FILE, "a", "1"), (LINK, "b", "a"), (SYMLINK, "s", "/etc/hostname")]
    root = unpacked(tmp_path, lower, [(FOLDER, "d", ""), (LINK, "d/c", "./a"), (LINK, "t", "s")])
    assert [(root / name).read_text() for name in ("a", "b", "d/c")] == ["1"] * 3
    assert str((root / "t").readlink()) == "/etc/hostname"


WRONG: list[list[Member]] = [
    [(LINK, "b", "none")],
    [(LINK, "b", "../../../outside")],
    [(SYMLINK, "d", "../../.."), (LINK, "b", "d/outside")],
    [(SYMLINK, "d", "../../.."), (FILE, "d/evil", "x")],
    [(FILE, "/evil", "x")],
    [(FILE, "a", "1"), (FILE, ".wh.", "")],
    [(FILE, "a/b", "1"), (FILE, "a/.wh...", "")],
    [(FILE, "a", "1"), (FILE, "a/b", "2")],
    [(SYMLINK, "a", "b"), (SYMLINK, "b", "a"), (FILE, "a/c", "1")],
    [(FOLDER, "d", ""), (FILE, "d/a", "1"), (SYMLINK, "d", ".."), (FILE, "d/outside", "x")],
    [(FOLDER, "d", ""), (FILE, "d/a", "1"), (SYMLINK, "s", "../.."), (LINK, "d", "s"), (FILE, "d/outside", "x")],
]


@pytest.mark.parametrize("layer", WRONG)
def test_what_lies_outside_or_is_not_there_is_refused(tmp_path: Path, layer: list[Member]) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    with pytest.raises(DamagedDataError):
        unpacked(tmp_path, layer)
    assert not (tmp_path / "roots" / "one").exists()
    assert outside.stat().st_nlink == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layout", "outside", "roots"]


def test_what_is_found_there_is_marked_as_used(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [(FILE, "a", "1")])
    os.utime(root, (1e9, 1e9))
    assert unpacked(tmp_path, [(FILE, "a", "1")]) == root
    assert root.stat().st_mtime > 1.5e9
