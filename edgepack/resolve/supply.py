"""Packages that one platform takes from elsewhere than the index, because the index has no wheel for it.

What a Debian release has is put before the resolver as a wheel without content, of the version `X+debian`, for that
platform alone. So the resolver itself sees that everything fits: a package that wants a newer version is told no, or
an older release of it is taken. A wheel that the user's own folder or index has goes before Debian's.
"""

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from edgepack.base.base_image import SuppliedPackage
from edgepack.resolve.lock import NoWheel, Target, Wheel, select_wheels
from edgepack.resolve.uv import Question, ask

_LOCAL = "+debian"


@dataclass(frozen=True, slots=True)
class Supply:
    """What a platform may take from Debian: `find` gives what the base's `release` has of a package of the index.

    `needs` gives the names of all Debian packages that come with some, `elsewhere` (release, version) of the other
    releases that have a package of the index; it may take long.
    """

    release: str
    find: Callable[[str], SuppliedPackage | None]
    needs: Callable[[Sequence[str]], frozenset[str]]
    elsewhere: Callable[[str], Sequence[tuple[str, str]]]


@dataclass
class Patches:
    """What has been decided, by target and name: versions of Debian, versions that have a wheel, what is absent."""

    supplied: dict[tuple[Target, str], SuppliedPackage] = field(default_factory=dict)
    wheels: dict[tuple[Target, str], str] = field(default_factory=dict)
    absent: dict[tuple[Target, str], NoWheel] = field(default_factory=dict)

    def has(self, target: Target, name: str) -> bool:
        """Has it been decided?"""
        return any((target, name) in each for each in (self.supplied, self.wheels, self.absent))

    def constraints(self) -> tuple[str, ...]:
        """What the resolver has to keep to."""
        lines = []
        for (target, name), package in self.supplied.items():
            version = f"{package.version}{_LOCAL}"
            lines.append(f"{name}=={version} ; {target.marker}")
            lines.append(f"{name}!={version} ; platform_machine != '{target.platform.machine}'")
        lines += [f"{name}=={version} ; {target.marker}" for (target, name), version in self.wheels.items()]
        return tuple(lines)

    def overrides(self) -> tuple[str, ...]:
        """So that the resolver goes on and all that is absent is found."""
        return tuple(f"{name} ; platform_machine != '{target.platform.machine}'" for target, name in self.absent)

    def write_stubs(self, folder: Path) -> tuple[str, ...]:
        """Write the wheels without content; gives the options by which the resolver finds them."""
        for package in self.supplied.values():
            _write_stub(folder, package)
        return ("--find-links", str(folder)) if self.supplied else ()


def decide(patches: Patches, missing: NoWheel, supply: Supply, question: Question) -> None:
    """Decide where `missing` comes from on its platform."""
    key = (missing.target, canonicalize_name(missing.name))
    wanted = asked_versions(question.requirements, key[1], missing.target)
    own = _own_version(key[1], wanted, missing.target, question) if question.options else None
    if own is not None:
        patches.wheels[key] = own
        return
    found = supply.find(missing.name)
    if found is not None and wanted.contains(found.version, prereleases=True):
        patches.supplied[key] = found
    else:
        patches.absent[key] = missing


def decide_companions(
    patches: Patches, answer: Mapping[str, Any], target: Target, supply: Supply, question: Question
) -> bool:
    """Take from Debian, too, what comes with its packages anyhow and is as it was asked for; whether there was any.

    So what Debian built and tested together stays together, and nothing is in the image twice.
    """
    chosen = [package.debian for (of, _), package in patches.supplied.items() if of == target]
    there = supply.needs(chosen) if chosen else frozenset()
    found: dict[tuple[Target, str], SuppliedPackage] = {}
    for wheel in select_wheels(dict(answer), target)[0]:
        name = canonicalize_name(wheel.name)
        package = supply.find(name)
        if package is None or package.debian not in there or patches.has(target, name):
            continue
        if asked_versions(question.requirements, name, target).contains(package.version, prereleases=True):
            found[target, name] = package
    patches.supplied.update(found)
    return bool(found)


def asked_versions(requirements: Iterable[str], name: str, target: Target) -> SpecifierSet:
    """The versions of a package that are asked for by name on a platform."""
    wanted = SpecifierSet()
    for requirement in map(Requirement, requirements):
        fits = requirement.marker is None or requirement.marker.evaluate({**target.environment(), "extra": ""})
        if canonicalize_name(requirement.name) == name and fits:
            wanted &= requirement.specifier
    return wanted


def missing_wheels(answer: Mapping[str, Any] | str, targets: Iterable[Target]) -> list[NoWheel]:
    """The packages that have no wheel for a target, out of the resolver's lock or its refusal."""
    if not isinstance(answer, str):
        return [package for target in targets for package in select_wheels(dict(answer), target)[1]]
    text = " ".join(answer.split())
    found = []
    for target in targets:
        machine = re.escape(target.platform.machine)
        pattern = (
            rf"([A-Za-z0-9][A-Za-z0-9_.\-]*?)([<>=!~]=?[^`]*?)? (?:has|have) no `[^`]*'{machine}'[^`]*`-compatible"
        )
        for name, versions in re.findall(pattern, text):
            version = re.fullmatch(r"==([^,\s]+)", versions)
            found.append(NoWheel(name, version[1] if version else "", target, False))
    return found


def split_supplied(
    wheels: Iterable[Wheel], target: Target, patches: Patches
) -> tuple[tuple[Wheel, ...], tuple[SuppliedPackage, ...]]:
    """The real wheels of a target, and what Debian supplies for it."""
    real = tuple(wheel for wheel in wheels if not wheel.version.endswith(_LOCAL))
    chosen = (canonicalize_name(wheel.name) for wheel in wheels if wheel.version.endswith(_LOCAL))
    return real, tuple(sorted((patches.supplied[target, name] for name in chosen), key=lambda each: each.name))


def absence(missing: NoWheel, supply: Supply, requirements: Sequence[str]) -> str:
    """What Debian has of a package that is absent, and what to do, as the end of a sentence."""
    name = canonicalize_name(missing.name)
    wanted = asked_versions(requirements, name, missing.target)
    found = supply.find(missing.name)
    others = [f"debian:{release} has {version}" for release, version in supply.elsewhere(missing.name)]
    more = f" ({'; '.join(others)}: choose it with --base)" if others else ""
    if found is None:
        return (
            f"Debian {supply.release} has no package of it either{more}; put a wheel for {missing.target.platform} "
            "into a folder that a `--find-links` line under `pip:` names, name an index that has one with "
            "`--extra-index-url`, or leave the platform out with --platform"
        )
    return (
        f"Debian {supply.release} has {found.version}, which is not {wanted}{more}; ask for "
        f"{name}=={found.version}, or for a range that holds it, or put a wheel for {missing.target.platform} into a "
        "folder that a `--find-links` line under `pip:` names"
    )


def _own_version(name: str, wanted: SpecifierSet, target: Target, question: Question) -> str | None:
    """The newest version of which the user's own folders and indexes have a wheel built for the target, or None."""
    options = (*question.options, "--only-binary", ":all:", "--no-deps")
    answer = ask(Question((f"{name}{wanted}",), (target,), (), options, offline=question.offline))
    if isinstance(answer, str):
        return None
    for wheel in select_wheels(answer, target)[0]:
        if canonicalize_name(wheel.name) == name and not wheel.filename.endswith("-any.whl"):
            return wheel.version
    return None


def _write_stub(folder: Path, package: SuppliedPackage) -> None:
    name, version = package.name.replace("-", "_"), f"{package.version}{_LOCAL}"
    documents = {
        "METADATA": f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: edgepack\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for title, text in documents.items():
            archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/{title}"), text)
