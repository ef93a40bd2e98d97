"""A platform's layers -> a folder: the root file system of an image, on this machine, without root and without Docker.

The folder appears by rename when it is complete, under the digest of the image's configuration, so it can be reused.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.files import CHUNK_BYTES
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.layer_reading import open_layer
from edgepack.oci.layout import blob_path
from edgepack.oci.validate import PlatformContent

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


def unpack_image(layout: Path, content: PlatformContent, folder: Path) -> Path:
    """Unpack the image below `folder`, or find it there; returns the root file system.

    Owners are not kept: all belongs to this process's user. Entries that lie outside of the root are refused.

    Raises:
        DamagedDataError: a layer cannot be read.
        InputError: a layer holds a device.
    """
    target = folder / content.config_digest.removeprefix("sha256:")
    unpack_layers(layout, content.layers, target)
    return target


def unpack_layers(layout: Path, layers: Iterable[Descriptor], target: Path) -> bool:
    """Unpack some layers, lowest first, as `target`, unless that is there; whether it was unpacked now.

    The time of an old `target` becomes now: it is in use (see `edgepack.cache`).

    Raises:
        As `unpack_image`.
    """
    if target.is_dir():
        os.utime(target)
        return False
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary, "root")
        root.mkdir()
        for layer in layers:
            _unpack_layer(blob_path(layout, layer.digest), layer.media_type, root)
        try:
            root.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster with the same content
                raise
            return False
    return True


def _unpack_layer(blob: Path, media_type: str, root: Path) -> None:
    try:
        with (
            open_layer(blob, media_type) as plain,
            tarfile.open(fileobj=plain, mode="r:") as archive,
        ):
            unpack_archive(archive, root, blob)
    except (tarfile.TarError, FileExistsError, FileNotFoundError, NotADirectoryError, RuntimeError) as error:
        # a file where a folder must be, a link to nothing, links in a circle
        raise DamagedDataError(f"{blob}: this layer cannot be unpacked ({error})") from error


def unpack_archive(archive: tarfile.TarFile, root: Path, blob: Path) -> None:
    """Write all that is in an archive of layer form below `root`; `blob` is what errors call it.

    Raises:
        As `unpack_image`.
    """
    own, inside = {root}, set[Path]()
    for member in archive:
        if member.isdir() and not Path(member.name).parts:
            continue  # the root itself
        path = _place(member.name, root, blob, inside)
        if path.name.startswith(_WHITEOUT):
            _delete(path, own)
            continue
        if member.islnk():
            _link(_place(member.linkname, root, blob, inside), path, blob)
        else:
            _unpack_member(archive, member, path, blob)
        if member.issym() or member.islnk():
            inside.clear()  # it may lead elsewhere now
        while path not in own:
            own.add(path)
            path = path.parent


def _place(name: str, root: Path, blob: Path, inside: set[Path]) -> Path:
    """Where an entry goes. Done here since older Pythons' `tarfile` cannot be told to keep inside a folder.

    `inside` holds the folders that have been looked at: looking is a third of all unpacking otherwise.
    """
    path = root / name
    folder = path.parent
    if folder not in inside and folder.resolve().is_relative_to(root.resolve()):
        inside.add(folder)
    if path.name.removeprefix(_WHITEOUT) in ("", ".", "..") or ".." in path.parts or folder not in inside:
        raise DamagedDataError(f"{blob}: {name!r} lies outside of the image")
    return path


def _delete(whiteout: Path, own: set[Path]) -> None:
    """Delete what a whiteout names of lower layers; what the layer has brought itself (`own`) stays."""
    folder = whiteout.parent
    if whiteout.name == _OPAQUE:
        names = list(folder.iterdir()) if folder.is_dir() else []
    else:
        names = [folder / whiteout.name.removeprefix(_WHITEOUT)]
    for path in names:
        if path in own:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _link(source: Path, path: Path, blob: Path) -> None:
    """Another name for what is there already, in this layer or a lower one."""
    if source == path:
        return
    if not source.is_symlink() and not source.is_file():
        raise DamagedDataError(f"{blob}: a link to {source.name}, which is not in the image")
    _make_room(path)
    os.link(source, path, follow_symlinks=False)


def _make_room(path: Path, *, for_folder: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir() and not for_folder:
        shutil.rmtree(path)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, blob: Path) -> None:
    """Write one entry as `path`."""
    _make_room(path, for_folder=member.isdir())
    if member.isdir():
        path.mkdir(exist_ok=True)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif (content := archive.extractfile(member)) is not None:
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file, CHUNK_BYTES)
    else:
        raise InputError(f"{blob}: {member.name} is neither file, folder nor link and cannot be unpacked")
    if not member.issym():
        path.chmod(member.mode & 0o1777)
