"""A Debian package as entries, without installing it: nothing of it is run, nothing is written.

A `.deb` is an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`. Source: deb(5).
"""

import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path

from edgepack.errors import DamagedDataError
from edgepack.layers.entry import Entry, FileEntry, FolderEntry, LinkEntry, is_plain_path

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_DAMAGED = (
    StopIteration,
    ValueError,
    KeyError,
    OverflowError,
    RecursionError,
    EOFError,
    OSError,
    lzma.LZMAError,
    zlib.error,
    tarfile.TarError,
)
_MERGED = ("bin", "sbin", "lib", "lib64")  # folders that are links into usr/


def read_deb(path: Path) -> tuple[list[Entry], str]:
    """The files of a package, with merged /usr applied, and the text of its control file.

    Raises:
        DamagedDataError: it is no package of a format known here.
    """
    try:
        members = _ar_members(path.read_bytes())
        data = next(name for name in members if name.startswith("data.tar"))
        control = next(name for name in members if name.startswith("control.tar"))
        with tarfile.open(fileobj=io.BytesIO(_decompressed(control, members[control]))) as archive:
            text = next(_content(archive, one) for one in archive if one.name.removeprefix("./") == "control").decode()
        return _entries(_decompressed(data, members[data])), text
    except _DAMAGED as error:
        raise DamagedDataError(f"{path.name}: not a Debian package that can be read ({error!r})") from error


def _ar_members(content: bytes) -> dict[str, bytes]:
    if not content.startswith(_MAGIC):
        raise ValueError("no ar archive")
    members, position = {}, len(_MAGIC)
    while position < len(content):
        header = content[position : position + _HEADER_BYTES]
        if header[58:] != b"`\n":
            raise ValueError("damaged ar header")
        size = int(header[48:58])
        position += _HEADER_BYTES
        if not 0 <= size <= len(content) - position:
            raise ValueError("a member is cut off")
        members[header[:16].decode().strip().rstrip("/")] = content[position : position + size]
        position += size + size % 2
    return members


def _decompressed(name: str, content: bytes) -> bytes:
    match name.rpartition(".")[2]:
        case "xz":
            return lzma.decompress(content)
        case "gz":
            return gzip.decompress(content)
        case "tar":
            return content
        case other:
            raise ValueError(f"{name}: compression {other!r} is not known")


def _entries(content: bytes) -> list[Entry]:
    entries: list[Entry] = []
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            name = merged_path(member.name.removeprefix("./").strip("/"))
            if name not in ("", ".") and not is_plain_path(name):
                raise ValueError(f"{member.name}: not a plain relative path")
            if name in ("", ".", *_MERGED, *(f"usr/{folder}" for folder in _MERGED)) and member.isdir():
                continue
            if member.isdir():
                entries.append(FolderEntry(name, member.mode & 0o1777))
            elif member.issym():
                entries.append(LinkEntry(name, member.linkname))
            elif member.isfile() or member.islnk():
                entries.append(FileEntry(name, _content(archive, member), bool(member.mode & 0o111)))
            else:
                raise ValueError(f"{member.name}: neither file, folder nor link")
    return entries


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name}: neither a file nor a link to one")
    return file.read()


def merged_path(path: str) -> str:
    """The path in a file system whose /bin, /sbin, /lib and /lib64 are links into /usr."""
    first, slash, _ = path.partition("/")
    return f"usr/{path}" if slash and first in _MERGED else path
