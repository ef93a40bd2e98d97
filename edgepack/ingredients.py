"""What an image was made from, each thing with its hash: what bills of materials and provenance tell. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from edgepack.base.apt import DebPackage
from edgepack.models.record import ModelRecord
from edgepack.oci.platform import Platform
from edgepack.oci.reference import ImageReference
from edgepack.plan import BuildPlan, FileContent
from edgepack.resolve.lock import PlatformLock, Wheel

_RELEASES = {"bookworm": "debian-12", "trixie": "debian-13"}


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file by its path in the image (or its name) and its SHA-256, as 64 hex digits."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that went into the images of one module.

    `settings` are the files that said what to build. `licences` are by a wheel's SHA-256: an SPDX expression, or the
    names that the package gives its licences.
    """

    image: ImageReference
    platforms: tuple[Platform, ...]
    base: str
    models: tuple[ModelRecord, ...]
    locks: Mapping[Platform, PlatformLock]
    entry: str | None
    script: tuple[HashedFile, ...]
    agent_version: str
    agent: tuple[HashedFile, ...]
    settings: tuple[HashedFile, ...] = ()
    variables: tuple[str, ...] = ()
    licences: Mapping[str, "Licence"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a package says of its licence: an SPDX expression, else names."""

    expression: str | None = None
    names: tuple[str, ...] = ()


def planned_files(plan: BuildPlan, kind: str) -> tuple[HashedFile, ...]:
    """The files of the layers of one kind, by path; they are the same on all platforms but for the agent's folder."""
    found: dict[str, HashedFile] = {}
    for image in plan.images[:1]:
        for layer in image.layers:
            if layer.kind == kind and isinstance(layer.content, FileContent):
                found.update({path: HashedFile(path, sha256) for path, _, _, sha256 in layer.content.files})
    return tuple(found[path] for path in sorted(found))


def folder_hash(files: Iterable[HashedFile]) -> str:
    """One SHA-256 for a folder: in-toto's `dirHash`, over a sorted line `HEX  PATH` a file."""
    lines = sorted((file.path, file.sha256) for file in files)
    return hashlib.sha256("".join(f"{sha256}  {path}\n" for path, sha256 in lines).encode()).hexdigest()


def debian_url(package: DebPackage, base: str) -> str:
    """The package URL of a Debian package; with the release, so that scanners know which advisories are for it."""
    release = _RELEASES.get(base.rpartition(":")[2])
    more = f"&distro={release}" if release else ""
    return f"pkg:deb/debian/{_part(package.name)}@{_part(package.version)}?arch={_part(package.architecture)}{more}"


def wheel_url(wheel: Wheel) -> str:
    """The package URL of a Python package."""
    return f"pkg:pypi/{_part(wheel.name)}@{_part(wheel.version)}"


def image_url(image: ImageReference, digest: str, architecture: str) -> str:
    """The package URL of an image, which is named by its last part and found by `repository_url`."""
    name = image.repository.rpartition("/")[2]
    more = [f"arch={_part(architecture)}", f"repository_url={quote(image.name, safe='/:.-_~')}"]
    return f"pkg:oci/{_part(name)}@{_part(digest)}?{'&'.join(more)}"


def public_base(base: str) -> str:
    """The base as it may be told: a folder of this machine without its path."""
    return "oci" if base.startswith("oci:") else base


def public_location(url: str) -> str | None:
    """Where a file was fetched from, without user, password, query and fragment; None for a place on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _part(text: str) -> str:
    return quote(text, safe=".-_~:")
