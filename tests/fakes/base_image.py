"""Images to build upon: layers as tars of a few files like those of well-known images, and folders of them."""

import gzip
import hashlib
import io
import json
import re
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.base.file_tree import FileTree, Member, read_tree, tar_members
from edgepack.oci.descriptor import CONFIG, INDEX, LAYER_GZIP, MANIFEST
from edgepack.oci.platform import AMD64, ARM64, ARM_V7, Platform

ELF_MACHINES = {AMD64: 62, ARM64: 183, ARM_V7: 40}
GLIBC = "2.36"


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class HardLink:
    """A hard link."""

    target: str


@dataclass(frozen=True)
class Device:
    """Neither file, folder nor link."""


FOLDER = None
Content = bytes | Link | HardLink | Device | None
Files = Mapping[str, Content]


def program(platform: Platform = AMD64, loader: str = "/lib64/ld-linux-x86-64.so.2", version: str = "") -> bytes:
    """The start of an interpreter: an ELF header, its loader, the version it says of itself."""
    header = b"\x7fELF" + bytes([1 if platform == ARM_V7 else 2]) + bytes(11)
    text = f"\0{loader}\0" + (f"\0{version}\0" if version else "")
    return header + struct.pack("<HH", 3, ELF_MACHINES[platform]) + bytes(64) + text.encode()


def libc(version: str = GLIBC) -> bytes:
    """A C library's banner."""
    return f"\x7fELF...\0GNU C Library (Debian GLIBC {version}-9+deb12u8) stable release version {version}.\n".encode()


def slim_layers(python: str = "3.12.7", platform: Platform = AMD64, glibc: str = GLIBC) -> list[Files]:
    """As `python:3.N-slim`: Debian below, Python in /usr/local above it."""
    minor = ".".join(python.split(".")[:2])
    return [
        {
            "bin": Link("usr/bin"),
            "lib": Link("usr/lib"),
            "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
            "etc/group": b"root:x:0:\n",
            f"usr/lib/{platform.multiarch}/libc.so.6": libc(glibc),
            "usr/bin/dpkg": b"dpkg",
        },
        {
            f"usr/local/bin/python{minor}": program(platform),
            f"usr/local/lib/libpython{minor}.so.1.0": f"x\0{python}\0".encode(),
            f"usr/local/lib/libpython{minor}.so": Link(f"libpython{minor}.so.1.0"),
            f"usr/local/lib/python{minor}/site.py": b"site-packages\n",
            f"usr/local/lib/python{minor}/site-packages": FOLDER,
        },
        {"usr/local/bin/python3": Link(f"python{minor}"), "usr/local/bin/python": Link("python3")},
    ]


def debian_layers(python: str = "3.11.2", platform: Platform = AMD64) -> list[Files]:
    """As Debian with its own Python."""
    minor = ".".join(python.split(".")[:2])
    return [
        {
            "lib": Link("usr/lib"),
            f"usr/lib/{platform.multiarch}/libc.so.6": libc(),
            f"usr/bin/python{minor}": program(platform, version=python),
            "usr/bin/python3": Link(f"python{minor}"),
            f"usr/lib/python{minor}/site.py": b"dist-packages, not site-packages\n",
            "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        }
    ]


def pack(files: Files) -> bytes:
    """A layer's tar; names as they are given."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, Link):
                member.type, member.linkname = tarfile.SYMTYPE, content.target
            elif isinstance(content, HardLink):
                member.type, member.linkname = tarfile.LNKTYPE, content.target
            elif isinstance(content, Device):
                member.type = tarfile.CHRTYPE
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                continue
            archive.addfile(member)
    return target.getvalue()


def file_tree(layers: Sequence[Files], kept: re.Pattern[str]) -> FileTree:
    """The file system of layers, as it is read from their tars."""

    def members(files: Files) -> Iterator[Member]:
        with tarfile.open(fileobj=io.BytesIO(pack(files))) as archive:
            yield from tar_members(archive, kept)

    return read_tree(members(files) for files in layers)


def digest(content: bytes) -> str:
    """`sha256:HEX`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class BaseImage:
    """An image in the making: documents and blobs by digest; `media_types` as they stand in its documents."""

    docker: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        platform: Platform,
        layers: Sequence[Files],
        *,
        environment: Sequence[str] = ("PATH=/opt/bin:/usr/bin", "LANG=C", "GPG_KEY=1"),
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Add a platform; gives the digests of its layers."""
        tars = [pack(files) for files in layers]
        packed = [gzip.compress(tar, mtime=0) for tar in tars]
        config = {
            **platform.document(),
            "config": {"Env": list(environment), "Labels": dict(labels or {"of": "the base"}), "Cmd": ["python3"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": self._type(MANIFEST),
            "config": self._keep(json.dumps(config).encode(), CONFIG),
            "layers": [self._keep(layer, LAYER_GZIP) for layer in packed],
        }
        self.manifests.append({**self._keep(json.dumps(manifest).encode(), MANIFEST), "platform": platform.document()})
        return [digest(layer) for layer in packed]

    def index(self) -> bytes:
        """The index of all platforms."""
        document = {"schemaVersion": 2, "mediaType": self._type(INDEX), "manifests": self.manifests}
        return json.dumps(document).encode()

    def write(self, folder: Path) -> None:
        """Write an OCI image layout."""
        index = self.index()
        entry = self._keep(index, INDEX)
        for name, content in self.blobs.items():
            path = folder / "blobs" / "sha256" / name.removeprefix("sha256:")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))

    def _keep(self, content: bytes, media_type: str) -> dict[str, Any]:
        self.blobs[digest(content)] = content
        return {"mediaType": self._type(media_type), "digest": digest(content), "size": len(content)}

    def _type(self, media_type: str) -> str:
        names = {
            INDEX: "application/vnd.docker.distribution.manifest.list.v2+json",
            MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
            CONFIG: "application/vnd.docker.container.image.v1+json",
            LAYER_GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
        return names[media_type] if self.docker else media_type
