"""The shell around the resolver: asks the Python index through uv and turns its answer into wheels for each platform.

uv solves once for all platforms together, from the metadata of the index, for a Python that need not be installed
here. It runs nothing of the target. Which wheel each platform takes is chosen from its answer by `lock.select_wheels`.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from edgepack.base.base_image import SuppliedPackage
from edgepack.errors import InputError, RemoteError
from edgepack.resolve.conda_names import GPU_ONLY, LINKED_TO_GPU, NOT_ON_DEVICES, NUMPY_2_SINCE
from edgepack.resolve.lock import NoWheel, Target, Wheel, select_wheels
from edgepack.resolve.package_requests import PackageRequests, python_fits
from edgepack.resolve.supply import Patches, Supply, absence, decide, decide_companions, missing_wheels, split_supplied
from edgepack.resolve.url_variables import find_variables, without_log_in, without_secrets
from edgepack.resolve.uv import Question, ask, asked_names

_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Could not connect|dns error|Request failed|timed out|"
    r"Network connectivity is disabled|network was disabled|tcp connect error",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    r"(?:Because|and) ([A-Za-z0-9_.\-]+) was not found in the (?:package registry|provided package)"
)
_QUESTIONS = 4  # at a time
_NO_WHEEL = re.compile(
    r"(?:Because|and) (?P<name>[A-Za-z0-9_.\-]+?)==(?P<version>\S+) has no "
    r"(?:(?:\S+ )*?wheels? with a matching|`(?P<marker>[^`]*)`-compatible wheels)"
)
_SOURCE_ONLY = re.compile(r"Failed to (?:download and )?build `(?P<name>[A-Za-z0-9_.\-]+)==(?P<version>[^`]+)`")
_UNREADABLE = re.compile(r"Because (?P<name>[A-Za-z0-9_.\-]+?)==(?P<version>\S+) has invalid metadata")


def resolve(
    requests: PackageRequests, targets: Sequence[Target], where: str, *, offline: bool = False
) -> dict[Target, tuple[Wheel, ...]]:
    """Exact wheels for each target, one solution for all.

    Raises:
        InputError: a package is unknown, versions contradict each other, or a package has no wheel for a platform;
            every such package is named.
        RemoteError: the index cannot be reached.
    """
    return resolve_with(requests, targets, where, {}, offline=offline).wheels


@dataclass(frozen=True, slots=True)
class Solution:
    """What each target takes: wheels of the index, and packages that Debian supplies."""

    wheels: dict[Target, tuple[Wheel, ...]]
    supplied: dict[Target, tuple[SuppliedPackage, ...]]


def resolve_with(
    requests: PackageRequests,
    targets: Sequence[Target],
    where: str,
    supplies: Mapping[Target, Supply],
    *,
    offline: bool = False,
) -> Solution:
    """As `resolve`, where `supplies` tells for some targets what may come from Debian instead of the index."""
    variables = find_variables((*requests.requirements, *requests.options), os.environ, where)
    requests = replace(
        requests,
        requirements=tuple(variables.expand(text) for text in requests.requirements),
        options=tuple(variables.expand(text) for text in _absolute(requests)),
    )
    never = (*GPU_ONLY, *NOT_ON_DEVICES)
    question = Question(
        requests.requirements, tuple(targets), never, requests.options, requests.constraints, offline=offline
    )
    patches = Patches()
    solved = _solve(question, patches)
    while new := [
        each for each in missing_wheels(solved, supplies) if not patches.has(each.target, canonicalize_name(each.name))
    ]:
        for missing in new:
            decide(patches, missing, supplies[missing.target], question)
        solved = _solve(question, patches)
    if isinstance(solved, dict) and not patches.absent:
        solved, patches = _with_companions(question, solved, patches, supplies)
    absent = [
        f"{_no_wheel_text(missing, [missing], where)}; {absence(missing, supplies[target], requests.requirements)}"
        for (target, _), missing in patches.absent.items()
    ]
    if isinstance(solved, str):
        InputError.raise_if_any(absent)
        raise _uv_error(without_secrets(variables.hide(solved)), requests, targets, where, offline)
    _keep_hashed(solved, requests, where)
    solution = Solution({}, {})
    lacking: dict[tuple[str, str], list[NoWheel]] = {}
    for target in targets:
        wheels, without = select_wheels(solved, target)
        wheels = tuple(replace(wheel, url=variables.hide(without_log_in(wheel.url))) for wheel in wheels)
        solution.wheels[target], solution.supplied[target] = split_supplied(wheels, target, patches)
        for package in without:
            lacking.setdefault((package.name, package.version), []).append(package)
    InputError.raise_if_any([*absent, *_lacking_texts(lacking, requests, targets, where, offline)])
    return solution


def _lacking_texts(
    lacking: Mapping[tuple[str, str], list[NoWheel]],
    requests: PackageRequests,
    targets: Sequence[Target],
    where: str,
    offline: bool,
) -> Iterator[str]:
    """What to say of packages that have no wheel for some targets; which versions have is asked for all at once."""
    with ThreadPoolExecutor(_QUESTIONS) as pool:
        others = pool.map(lambda key: _version_with_wheel(key[0], key[1], requests, targets, offline), lacking)
        for ((name, _), packages), other in zip(lacking.items(), others, strict=True):
            yield _no_wheel(packages, other, name in asked_names(requests.requirements), where)
    if lacking and requests.python and not python_fits(requests.python, targets[0].python):
        yield (
            f"{where}: asks for Python {requests.python}, and its versions are of that time; the base has Python "
            f"{targets[0].python}: take newer versions, or an image with that Python as --base"
        )


def _with_companions(
    question: Question, solved: dict[str, Any], patches: Patches, supplies: Mapping[Target, Supply]
) -> tuple[dict[str, Any], Patches]:
    """The solution where Debian's packages stay together, if there is one."""
    more = replace(patches, supplied=dict(patches.supplied))
    found = [decide_companions(more, solved, target, supply, question) for target, supply in supplies.items()]
    if not any(found):
        return solved, patches
    again = _solve(question, more)
    if isinstance(again, str) or missing_wheels(again, supplies):
        return solved, patches
    return again, more


def _solve(question: Question, patches: Patches) -> dict[str, Any] | str:
    """One solution for all targets; what is never taken on a device, and what numpy 2 would break, is seen to."""
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        question = replace(
            question,
            options=(*question.options, *patches.write_stubs(Path(folder))),
            constraints=(*question.constraints, *patches.constraints()),
            overrides=patches.overrides(),
        )
        solved = ask(question)
        if isinstance(solved, dict) and any(package["name"] in LINKED_TO_GPU for package in solved["packages"]):
            question = replace(question, without=NOT_ON_DEVICES)
            solved = ask(question)
        if isinstance(solved, dict) and _breaks_on_numpy_2(solved):
            solved = ask(replace(question, requirements=(*question.requirements, "numpy<2")))
        return solved


def _breaks_on_numpy_2(solved: dict[str, Any]) -> bool:
    """Has the solution numpy 2 beside a package whose wheels were built for numpy 1?"""
    found = [(package["name"], Version(package["version"])) for package in solved["packages"]]
    versions = [(name, version) for name, version in found if version.local != "debian"]
    if not any(name == "numpy" and version >= Version("2") for name, version in versions):
        return False
    return any(name in NUMPY_2_SINCE and version < Version(NUMPY_2_SINCE[name]) for name, version in versions)


def _keep_hashed(solved: dict[str, Any], requests: PackageRequests, where: str) -> None:
    """Of packages with hashes, leave the wheels that have one of these."""
    wanted = dict(requests.hashes)
    problems = []
    for package in solved["packages"]:
        digests = wanted.get(canonicalize_name(package["name"]))
        if digests is None:
            continue
        files = [*package.get("wheels", ()), *([package["archive"]] if "archive" in package else [])]
        kept = [file for file in files if file.get("hashes", {}).get("sha256") in digests]
        if not kept:
            problems.append(
                f"{where}: no wheel of {package['name']} {package.get('version', '')} has one of the hashes given; "
                "give those of the wheels for your platforms, or none"
            )
        if "wheels" in package:
            package["wheels"] = kept
    InputError.raise_if_any(problems)


def _absolute(requests: PackageRequests) -> Iterator[str]:
    """The options with absolute paths, since the resolver runs in another folder."""
    before = ""
    for option in requests.options:
        is_path = before in ("--index-url", "--extra-index-url", "--find-links") and "://" not in option
        yield str(Path(requests.folder, option).absolute()) if is_path else option
        before = option


def _uv_error(
    text: str, requests: PackageRequests, targets: Sequence[Target], where: str, offline: bool
) -> InputError | RemoteError:
    plain = " ".join(text.split())
    unknown = [canonicalize_name(name) for name in _NOT_FOUND.findall(plain)]
    if unknown:
        return InputError(*(_unknown_package(name, requests, where) for name in dict.fromkeys(unknown)))
    if _NETWORK.search(plain):
        hint = "run once without --offline" if offline else "check the network, the proxy settings and the index"
        return RemoteError(f"the Python index cannot be reached ({plain[-300:]}); {hint}")
    without = _NO_WHEEL.search(plain) or _SOURCE_ONLY.search(plain) or _UNREADABLE.search(plain)
    if without:
        name, version, marker = without.group("name"), without.group("version"), without.groupdict().get("marker")
        lacking = [target for target in targets if target.platform.machine in (marker or plain)] or targets
        other = _version_with_wheel(name, version, requests, targets, offline)
        packages = [NoWheel(name, version, target, "build" in without[0]) for target in lacking]
        return InputError(_no_wheel(packages, other, name in asked_names(requests.requirements), where))
    shown = text.replace("edgepack-image", "your environment")
    return InputError(f"{where}: the packages do not fit together on all platforms; change the versions:\n{shown}")


def _unknown_package(name: str, requests: PackageRequests, where: str) -> str:
    if name in requests.from_conda:
        channels = ", ".join(requests.channels) or "conda's default channels"
        return (
            f"{where}: conda package {name!r} (from {channels}) has no package of that name on the Python index; "
            "if it is known there by another name, list that name under `pip:`; if it is a system library, remove "
            "it (wheels bring their own)"
        )
    return (
        f"{where}: package {name!r} is not on the Python index; check its name, or add the index that has it with "
        "an `--extra-index-url` line under `pip:`"
    )


def _no_wheel_text(package: NoWheel, packages: Sequence[NoWheel], where: str) -> str:
    target = package.target
    text = (
        f"{where}: {package.name} {package.version} has no wheel for "
        f"{' and '.join(str(each.target.platform) for each in packages)} "
        f"(Python {target.python}, glibc 2.{target.glibc_minor})"
    ).replace("  ", " ")
    if package.has_source:
        text += ", only source code, which would have to be compiled on the target"
    return text


def _no_wheel(packages: Sequence[NoWheel], other: str | None, direct: bool, where: str) -> str:
    """What to say of a package, of one version, that has no wheel for some targets; `other` is a version that has."""
    text = _no_wheel_text(packages[0], packages, where)
    name, version = packages[0].name, packages[0].version
    if other and direct:
        return f"{text}; version {other} has wheels for all platforms: ask for {name}=={other}"
    if other:
        return f"{text}; version {other} has, but another package asks for {version}: ask for another version of that"
    own = f" (`pip wheel --no-deps -w wheels {name}=={version}` builds one)" if packages[0].has_source else ""
    return (
        f"{text}; ask for another version, leave the platform out with --platform, or put a wheel of your own{own} "
        "into a folder that a `--find-links` line under `pip:` names"
    )


def _version_with_wheel(
    name: str, version: str, requests: PackageRequests, targets: Sequence[Target], offline: bool
) -> str | None:
    """The lowest newer version of a package that has wheels for all targets, else the highest older one, else None."""
    only_wheels = [*requests.options, "--only-binary", ":all:"]
    for operator, resolution in ((">", "lowest-direct"), ("<", "highest")):
        options = (*only_wheels, "--resolution", resolution)
        solved = ask(Question((f"{name}{operator}{version}",), tuple(targets), GPU_ONLY, options, offline=offline))
        if isinstance(solved, dict):
            for package in solved["packages"]:
                if canonicalize_name(package["name"]) == canonicalize_name(name):
                    return str(package["version"])
    return None
