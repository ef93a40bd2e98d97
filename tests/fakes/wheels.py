"""Makes wheels, and a Python index of them as files to serve."""

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@dataclass(frozen=True)
class FakeWheel:
    """A wheel: `files` by path in the archive (0755 for those in `executables`), and lines of its METADATA."""

    name: str
    version: str = "1.0"
    tag: str = "py3-none-any"
    files: Mapping[str, bytes] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    entry_points: str = ""
    executables: frozenset[str] = frozenset()

    @property
    def filename(self) -> str:
        """The name of the file."""
        return f"{self._distribution}-{self.version}-{self.tag}.whl"

    @property
    def _distribution(self) -> str:
        return re.sub(r"[-_.]+", "_", self.name)

    def build(self) -> bytes:
        """The bytes of the file; the same every time."""
        folder = f"{self._distribution}-{self.version}.dist-info"
        pure = "true" if self.tag.endswith("-any") else "false"
        lines = [f"Requires-Dist: {requirement}\n" for requirement in self.requires]
        metadata = f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n{''.join(lines)}\n"
        wheel = f"Wheel-Version: 1.0\nGenerator: fake\nRoot-Is-Purelib: {pure}\nTag: {self.tag}\n"
        files = {
            **(self.files or {f"{self._distribution}/__init__.py": f"# {self.filename}\n".encode()}),
            f"{folder}/METADATA": metadata.encode(),
            f"{folder}/WHEEL": wheel.encode(),
        }
        if self.entry_points:
            files[f"{folder}/entry_points.txt"] = self.entry_points.encode()
        record = "".join(f"{path},sha256={_hash(content)},{len(content)}\n" for path, content in files.items())
        files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
        return zip_archive(files, self.executables)


def zip_archive(files: Mapping[str, bytes], executables: Iterable[str] = ()) -> bytes:
    """A zip archive without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = (0o100755 if path in executables else 0o100644) << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def for_machines(
    name: str, version: str = "1.0", *, machines: Iterable[str] = ("x86_64", "aarch64")
) -> list[FakeWheel]:
    """A package with compiled code: one wheel for each machine, with Python 3.11's tag."""
    return [
        FakeWheel(
            name,
            version,
            f"cp311-cp311-manylinux_2_17_{machine}",
            {
                f"{name}/__init__.py": b"",
                f"{name}/_core.cpython-311-{machine}-linux-gnu.so": f"code for {machine}".encode(),
            },
        )
        for machine in machines
    ]


def index_files(wheels: Iterable[FakeWheel], root: str = "/simple") -> dict[str, bytes]:
    """A simple index (PEP 503, with hashes, and with metadata beside the files as in PEP 658), by path."""
    found: dict[str, bytes] = {}
    pages: dict[str, list[str]] = {}
    for wheel in wheels:
        content = wheel.build()
        path = f"{root}/files/{wheel.filename}"
        metadata = next(text for name, text in _members(content) if name.endswith(".dist-info/METADATA"))
        found[path] = content
        found[f"{path}.metadata"] = metadata
        page = re.sub(r"[-_.]+", "-", wheel.name).lower()
        digests = f'#sha256={hashlib.sha256(content).hexdigest()}" data-core-metadata="true'
        pages.setdefault(page, []).append(f'<a href="{path}{digests}">{wheel.filename}</a><br>')
    for name, links in pages.items():
        found[f"{root}/{name}/"] = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
    return found


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]
