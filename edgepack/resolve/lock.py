"""Locks: the exact wheels and the exact base of one platform, and which wheels a platform takes. Pure.

A build from the same locks gives the same image, whatever the index and the mirror have published since. How a lock is
written to a file: `lock_file`.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.pylock import PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.tags import Tag, compatible_tags, cpython_tags

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseImage, SuppliedPackage
from edgepack.errors import DamagedDataError
from edgepack.oci.platform import Platform

DEBIAN_INTERPRETER = "/usr/bin/python3"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel for one platform; `size_bytes` is what the index says, if it does."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PlatformLock:
    """All that one platform's image takes from the outside.

    `inputs` is the digest of what was asked for; `solved_for` names the platforms that were resolved together, and
    `solution` is the digest of all that was found for them: locks of one solution belong together. `image` is the
    base where that is an image; else it is the packages in `debian`, which also hold the Python packages `supplied`;
    `added` names those in `debian` that the plain base has not. `asked` is what was asked for, for people to compare.
    """

    platform: str
    inputs: str
    solved_for: tuple[str, ...]
    solution: str
    base: str
    python: str
    debian: tuple[DebPackage, ...]
    wheels: tuple[Wheel, ...]
    image: BaseImage | None = None
    supplied: tuple[SuppliedPackage, ...] = ()
    without_security: bool = False
    added: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def interpreter(self) -> str:
        """The path of Python in the image."""
        return self.image.interpreter if self.image else DEBIAN_INTERPRETER

    @property
    def site_folder(self) -> str:
        """Where wheels go, relative to the root."""
        return self.image.site_folder if self.image else f"usr/local/lib/python{self.python}/dist-packages"

    def target(self, platform: Platform) -> "Target":
        """What wheels must fit."""
        if self.image:
            return image_target(platform, self.image)
        return target_of(platform, self.python, self.debian)


@dataclass(frozen=True, slots=True)
class Target:
    """What a wheel must fit: Python `3.N` (exactly `python_full`) with glibc 2.`glibc_minor` on a platform."""

    platform: Platform
    python: str
    python_full: str
    glibc_minor: int

    def environment(self) -> dict[str, str]:
        """All environment markers of the target."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python_full,
            "os_name": "posix",
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python_full,
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @property
    def marker(self) -> str:
        """The environment marker that is true on the target's platform alone."""
        return f"sys_platform == 'linux' and platform_machine == '{self.platform.machine}'"

    def tags(self) -> tuple[Tag, ...]:
        """The wheel tags that the target takes, best first."""
        machine = self.platform.machine
        oldest, aliases = (5, {17: "2014", 12: "2010", 5: "1"}) if machine == "x86_64" else (17, {17: "2014"})
        names: list[str] = []
        for minor in range(self.glibc_minor, oldest - 1, -1):
            names.append(f"manylinux_2_{minor}_{machine}")
            if minor in aliases:
                names.append(f"manylinux{aliases[minor]}_{machine}")
        names.append(f"linux_{machine}")
        major, minor = (int(part) for part in self.python.split("."))
        interpreter = f"cp{major}{minor}"
        return (
            *cpython_tags((major, minor), platforms=names),
            *compatible_tags((major, minor), interpreter, names),
        )


def target_of(platform: Platform, python: str, debian: Iterable[DebPackage]) -> Target:
    """The target that a base makes: Python's and glibc's versions are read from its packages."""
    versions = {package.name: package.version.partition(":")[2] or package.version for package in debian}
    full = re.split(r"[-~+]", versions[f"python{python}-minimal"])[0]
    return Target(platform, python, full, int(re.split(r"[-~+.]", versions["libc6"])[1]))


def image_target(platform: Platform, image: BaseImage) -> Target:
    """The target that an image as a base makes."""
    return Target(platform, image.python, image.python_full, int(image.glibc.split(".")[1]))


def digest_inputs(document: dict[str, Any]) -> str:
    """The digest of what a lock is made from."""
    return hashlib.sha256(json.dumps([FORMAT, document], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class NoWheel:
    """A package that was resolved, but has no wheel that the target takes."""

    name: str
    version: str
    target: Target
    has_source: bool


def select_wheels(document: dict[str, Any], target: Target) -> tuple[tuple[Wheel, ...], tuple[NoWheel, ...]]:
    """The wheels for `target` out of a resolver's lock for many platforms, and the packages that have none."""
    wheels: list[Wheel] = []
    missing: list[NoWheel] = []
    document = dict(document)
    packages = document.pop("packages", [])
    for package in packages:
        try:
            package = _by_address_too(package)
            lock = Pylock.from_dict({**document, "packages": [package]})
            chosen = list(lock.select(environment=target.environment(), tags=target.tags()))  # type: ignore[arg-type]
        except PylockSelectError:
            chosen = [(None, None)]  # type: ignore[list-item]
        except PylockValidationError as error:
            raise DamagedDataError(f"the resolver's lock cannot be read: {error}") from error
        for _, file in chosen:
            name, version = package["name"], package.get("version", "?")
            if isinstance(file, PackageWheel):
                wheels.append(Wheel(name, version, file.filename, file.url or "", file.hashes["sha256"], file.size))
            else:
                missing.append(NoWheel(name, version, target, "sdist" in package))
    return tuple(sorted(wheels, key=lambda wheel: wheel.name)), tuple(missing)


def _by_address_too(package: dict[str, Any]) -> dict[str, Any]:
    """A package that was asked for by the address of a wheel, written as one of an index, so that its tags count."""
    url = package.get("archive", {}).get("url", "")
    filename = unquote(re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2])
    if not filename.endswith(".whl"):
        return package
    wheel = {**package["archive"], "name": filename}
    return {**{key: value for key, value in package.items() if key != "archive"}, "wheels": [wheel]}
