"""Makes Debian packages: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`, see deb(5)."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Folder:
    """A folder in a package."""

    mode: int = 0o755


@dataclass(frozen=True)
class Symlink:
    """A symbolic link in a package."""

    target: str


@dataclass(frozen=True)
class Hardlink:
    """A hard link to a file that comes earlier; `target` is its name in the archive."""

    target: str


@dataclass(frozen=True)
class Program:
    """An executable file."""

    content: bytes


Content = bytes | str | Folder | Symlink | Hardlink | Program


@dataclass(frozen=True)
class Deb:
    """A package as its maintainer sees it; `fields` are more lines of its control file."""

    name: str
    version: str = "1.0-1"
    architecture: str = "amd64"
    files: Mapping[str, Content] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def control(self) -> str:
        """The control file."""
        own = {"Package": self.name, "Version": self.version, "Architecture": self.architecture}
        lines = {**own, "Maintainer": "Nobody <nobody@example.com>", **self.fields, "Description": "made for a test"}
        return "".join(f"{name}: {value}\n" for name, value in lines.items())

    def build(self, compression: str = ".xz") -> bytes:
        """The bytes of the `.deb` file; `compression` is `.xz`, `.gz` or empty."""
        return ar_archive(
            {
                "debian-binary": b"2.0\n",
                f"control.tar{compression}": compress(
                    compression, tar_archive({"./": Folder(), "./control": self.control})
                ),
                f"data.tar{compression}": compress(compression, tar_archive(self.files)),
            }
        )


def compress(suffix: str, content: bytes) -> bytes:
    """The content as a file whose name ends so."""
    match suffix:
        case ".xz":
            return lzma.compress(content)
        case ".gz":
            return gzip.compress(content, mtime=0)
    return content


def ar_archive(members: Mapping[str, bytes]) -> bytes:
    """An `ar` archive in the common format."""
    content = b"!<arch>\n"
    for name, member in members.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(member):<10}`\n".encode()
        content += member + b"\n" * (len(member) % 2)
    return content


def tar_archive(files: Mapping[str, Content]) -> bytes:
    """A tar archive as Debian's tools write it (names as given, in the order given)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mtime = 1_700_000_000
            match content:
                case Folder(mode):
                    member.type, member.mode = tarfile.DIRTYPE, mode
                case Symlink(target):
                    member.type, member.linkname = tarfile.SYMTYPE, target
                case Hardlink(target):
                    member.type, member.linkname = tarfile.LNKTYPE, target
                case Program(program):
                    member.mode, member.size = 0o755, len(program)
                    archive.addfile(member, io.BytesIO(program))
                    continue
                case str() | bytes():
                    plain = content.encode() if isinstance(content, str) else content
                    member.mode, member.size = 0o644, len(plain)
                    archive.addfile(member, io.BytesIO(plain))
                    continue
            archive.addfile(member)
    return buffer.getvalue()
