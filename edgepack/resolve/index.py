"""The shell around the resolver: asks the Python index through uv and turns its answer into wheels for each platform.

uv solves once for all platforms together, from the metadata of the index, for a Python that need not be installed
here. It runs nothing of the target. Which wheel each platform takes is chosen from its answer by `lock.select_wheels`.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from edgepack.download import trusted_roots
from edgepack.errors import InputError, RemoteError
from edgepack.resolve.conda_env import PackageRequests
from edgepack.resolve.conda_names import GPU_ONLY, LINKED_TO_GPU, NUMPY_2_SINCE
from edgepack.resolve.lock import NoWheel, Target, Wheel, select_wheels

_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Could not connect|dns error|Request failed|timed out|"
    r"Network connectivity is disabled|network was disabled|tcp connect error",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    r"(?:Because|and) ([A-Za-z0-9_.\-]+) was not found in the (?:package registry|provided package)"
)


_NO_WHEEL = re.compile(
    r"Because ([A-Za-z0-9_.\-]+?)==(\S+) has no (?:(?:\S+ )*?wheels? with a matching|`([^`]*)`-compatible wheels)"
)


def marker_of(target: Target) -> str:
    """The environment marker that is true on the target's platform alone."""
    return f"sys_platform == 'linux' and platform_machine == '{target.platform.machine}'"


def resolve(
    requests: PackageRequests, targets: Sequence[Target], where: str, *, offline: bool = False
) -> dict[Target, tuple[Wheel, ...]]:
    """Exact wheels for each target, one solution for all.

    Raises:
        InputError: a package is unknown, versions contradict each other, or a package has no wheel for a platform;
            every such package is named.
        RemoteError: the index cannot be reached.
    """
    requests = replace(requests, options=tuple(_absolute(requests)))
    requirements, left_out = requests.requirements, GPU_ONLY
    solved = _run_uv(_project(requirements, targets, left_out), requests.options, offline)
    if isinstance(solved, dict) and any(package["name"] in LINKED_TO_GPU for package in solved["packages"]):
        left_out = ()
        solved = _run_uv(_project(requirements, targets, left_out), requests.options, offline)
    if isinstance(solved, dict) and _breaks_on_numpy_2(solved):
        requirements = (*requirements, "numpy<2")
        solved = _run_uv(_project(requirements, targets, left_out), requests.options, offline)
    if isinstance(solved, str):
        raise _uv_error(solved, requests, targets, where, offline)
    found: dict[Target, tuple[Wheel, ...]] = {}
    missing: dict[tuple[str, str], list[NoWheel]] = {}
    for target in targets:
        found[target], without = select_wheels(solved, target)
        for package in without:
            missing.setdefault((package.name, package.version), []).append(package)
    InputError.raise_if_any(
        _no_wheel(
            name,
            version,
            [str(package.target.platform) for package in packages],
            packages[0].has_source,
            _version_with_wheel(name, version, requests, targets, offline),
            name in _asked(requests.requirements),
            targets[0],
            where,
        )
        for (name, version), packages in missing.items()
    )
    return found


def _breaks_on_numpy_2(solved: dict[str, Any]) -> bool:
    """Has the solution numpy 2 beside a package whose wheels were built for numpy 1?"""
    versions = {package["name"]: Version(package["version"]) for package in solved["packages"]}
    if "numpy" not in versions or versions["numpy"] < Version("2"):
        return False
    return any(name in versions and versions[name] < Version(since) for name, since in NUMPY_2_SINCE.items())


def _absolute(requests: PackageRequests) -> Iterator[str]:
    """The options with absolute paths, since the resolver runs in another folder."""
    before = ""
    for option in requests.options:
        is_path = before in ("--index-url", "--extra-index-url", "--find-links") and "://" not in option
        yield str(Path(requests.folder, option).absolute()) if is_path else option
        before = option


def _asked(requirements: Sequence[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def _project(requirements: Sequence[str], targets: Sequence[Target], without: Sequence[str]) -> dict[str, Any]:
    asked = _asked(requirements)
    markers = [f"{marker_of(target)} and implementation_name == 'cpython'" for target in targets]
    unusable = [f"{name} ; sys_platform == 'never'" for name in without if name not in asked]
    return {
        "project": {
            "name": "edgepack-image",
            "version": "0",
            "requires-python": f"=={targets[0].python}.*",
            "dependencies": list(requirements),
        },
        "tool": {
            "uv": {
                "environments": markers,
                "required-environments": markers,
                "override-dependencies": unusable,
            }
        },
    }


def _run_uv(project: dict[str, Any], options: Sequence[str], offline: bool) -> dict[str, Any] | str:
    """The resolver's lock, or what it said when there is none."""
    import tomli_w
    from uv import find_uv_bin

    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        Path(folder, "pyproject.toml").write_text(tomli_w.dumps(project))
        python = project["project"]["requires-python"].removeprefix("==").removesuffix(".*")
        command = [
            find_uv_bin(),
            "pip",
            "compile",
            "pyproject.toml",
            "--universal",
            "--format",
            "pylock.toml",
        ]
        command += ["--python-version", python, "--python", sys.executable, "--no-header", "--color", "never"]
        command += ["--output-file", "pylock.toml", "--quiet", *options, *(["--offline"] if offline else [])]
        ignored = ("VIRTUAL_ENV", "UV_NO_CONFIG")  # the latter would hide the platforms and overrides in pyproject.toml
        environment = {name: value for name, value in os.environ.items() if name not in ignored}
        if trusted_roots() is not None:  # trust what this machine trusts; the older and the newer name of the switch
            environment = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true"} | environment
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0:
            return result.stderr.strip()
        return tomllib.loads(Path(folder, "pylock.toml").read_text())


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
    without = _NO_WHEEL.search(plain)
    if without:
        name, version, marker = without.groups()
        platforms = [str(target.platform) for target in targets if target.platform.machine in (marker or plain)] or [
            str(target.platform) for target in targets
        ]
        other = _version_with_wheel(name, version, requests, targets, offline)
        return InputError(
            _no_wheel(name, version, platforms, False, other, name in _asked(requests.requirements), targets[0], where)
        )
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


def _no_wheel(
    name: str,
    version: str,
    platforms: Sequence[str],
    has_source: bool,
    other: str | None,
    direct: bool,
    target: Target,
    where: str,
) -> str:
    text = (
        f"{where}: {name} {version} has no wheel for {' and '.join(platforms)} "
        f"(Python {target.python}, glibc 2.{target.glibc_minor})"
    )
    if has_source:
        text += ", only source code, which would have to be compiled on the target"
    if other and direct:
        return f"{text}; version {other} has wheels for all platforms: ask for {name}=={other}"
    if other:
        return f"{text}; version {other} has, but another package asks for {version}: ask for another version of that"
    return (
        f"{text}; ask for another version, leave the platform out with --platform, or put a wheel of your own into "
        "a folder that a `--find-links` line under `pip:` names"
    )


def _version_with_wheel(
    name: str, version: str, requests: PackageRequests, targets: Sequence[Target], offline: bool
) -> str | None:
    """The lowest newer version of a package that has wheels for all targets, else the highest older one, else None."""
    only_wheels = [*requests.options, "--only-binary", ":all:"]
    for operator, resolution in ((">", "lowest-direct"), ("<", "highest")):
        project = _project([f"{name}{operator}{version}"], targets, GPU_ONLY)
        solved = _run_uv(project, [*only_wheels, "--resolution", resolution], offline)
        if isinstance(solved, dict):
            for package in solved["packages"]:
                if canonicalize_name(package["name"]) == canonicalize_name(name):
                    return str(package["version"])
    return None
