"""A platform's layers -> a folder: the root file system of an image, on this machine, without root and without Docker.

The folder appears by rename when it is complete, under the digest of the image's configuration, so it can be reused.
"""

import tarfile
import tempfile
from pathlib import Path

from edgepack.errors import DamagedDataError, InputError
from edgepack.oci.layout import blob_path
from edgepack.oci.validate import PlatformContent


def unpack_image(layout: Path, content: PlatformContent, folder: Path) -> Path:
    """Unpack the image below `folder`, or find it there; returns the root file system.

    Owners are kept only if this process is root. Files that lie outside of the root are refused.

    Raises:
        DamagedDataError: a layer cannot be read.
        InputError: a layer deletes files of a lower one (images that edgepack builds do not).
    """
    target = folder / content.config_digest.removeprefix("sha256:")
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".part", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary, "root")
        root.mkdir()
        for layer in content.layers:
            _unpack_layer(blob_path(layout, layer.digest), root)
        try:
            root.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster with the same content
                raise
    return target


def _unpack_layer(blob: Path, root: Path) -> None:
    try:
        with tarfile.open(blob, "r:*") as archive:
            for member in archive:
                if Path(member.name).name.startswith(".wh."):
                    raise InputError(f"{blob}: deletes {member.name}; only images without deletions can be unpacked")
                archive.extract(member, root, filter="tar")
    except (tarfile.TarError, EOFError) as error:
        raise DamagedDataError(f"{blob}: this layer cannot be unpacked ({error})") from error
