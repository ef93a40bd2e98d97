"""Locks: the exact wheels and Debian packages of one platform, as a `pylock.PLATFORM.toml` file. Pure.

The format is PEP 751, so other tools can install from it; what is edgepack's own stands in `[tool.edgepack]`: the
digest of the inputs that the lock was made from, and the base with the hash of each Debian package. A build from the
same locks gives the same image, whatever the index and the mirror have published since.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from packaging.pylock import PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.tags import Tag, compatible_tags, cpython_tags

from edgepack.base.apt import DebPackage
from edgepack.errors import DamagedDataError
from edgepack.oci.platform import Platform

_TOOL = "edgepack"
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
    `solution` is the digest of all that was found for them: locks of one solution belong together.
    """

    platform: str
    inputs: str
    solved_for: tuple[str, ...]
    solution: str
    base: str
    python: str
    debian: tuple[DebPackage, ...]
    wheels: tuple[Wheel, ...]


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


def encode_lock(lock: PlatformLock, marker: str) -> str:
    """The text of the lock file."""
    import tomli_w

    document = {
        "lock-version": "1.0",
        "environments": [marker],
        "requires-python": f"=={lock.python}.*",
        "created-by": _TOOL,
        "packages": [
            {
                "name": wheel.name,
                "version": wheel.version,
                "wheels": [
                    {"name": wheel.filename, "url": wheel.url}
                    | ({"size": wheel.size_bytes} if wheel.size_bytes is not None else {})
                    | {"hashes": {"sha256": wheel.sha256}}
                ],
            }
            for wheel in lock.wheels
        ],
        "tool": {
            _TOOL: {
                "platform": lock.platform,
                "inputs": lock.inputs,
                "solved-for": list(lock.solved_for),
                "solution": lock.solution,
                "base": lock.base,
                "debian": [asdict(package) for package in lock.debian],
            }
        },
    }
    return tomli_w.dumps(document)


def parse_lock(text: str, where: str) -> PlatformLock:
    """Read a lock file that `encode_lock` wrote.

    Raises:
        DamagedDataError: it is not such a file; the message starts with `where`.
    """
    try:
        document = tomllib.loads(text)
        own = document["tool"][_TOOL]
        python = re.fullmatch(r"==(\d+\.\d+)\.\*", document["requires-python"])
        if python is None:
            raise ValueError("requires-python is not of the form ==3.N.*")
        return PlatformLock(
            _text(own["platform"]),
            _text(own["inputs"]),
            tuple(_text(name) for name in own["solved-for"]),
            _text(own["solution"]),
            _text(own["base"]),
            python[1],
            tuple(_parse_deb(package) for package in own["debian"]),
            tuple(_parse_wheel(package) for package in document["packages"]),
        )
    except (tomllib.TOMLDecodeError, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise DamagedDataError(
            f"{where}: not a lock file of edgepack ({error!r}); remove it, or make it anew with --lock"
        ) from error


def _parse_deb(package: dict[str, Any]) -> DebPackage:
    found = DebPackage(**package)
    for value in (found.name, found.version, found.architecture, found.filename, found.archive):
        _text(value)
    _sha256(found.sha256)
    _size(found.size_bytes)
    return found


def _parse_wheel(package: dict[str, Any]) -> Wheel:
    (wheel,) = package["wheels"]
    size = wheel.get("size")
    return Wheel(
        _text(package["name"]),
        _text(package["version"]),
        _text(wheel["name"]),
        _text(wheel["url"]),
        _sha256(wheel["hashes"]["sha256"]),
        None if size is None else _size(size),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a size")
    return value


def _sha256(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", _text(value)):
        raise ValueError(f"{value!r} is not a SHA-256 digest")
    return str(value)
