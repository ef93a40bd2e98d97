"""The locks of a project: read the ones beside the inference configuration, or make them from index and mirror.

A lock is used as long as what was asked for is unchanged; `update` makes it anew, `frozen` refuses to.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgepack.base.debian import find_mirror, lock_base, read_apt_sources, read_archive, verify_signature
from edgepack.base.release import find_release
from edgepack.download import Downloader
from edgepack.errors import InputError
from edgepack.files import write_file
from edgepack.oci.platform import Platform
from edgepack.project import Recipe
from edgepack.resolve.conda_env import PackageRequests, with_requirements
from edgepack.resolve.lock import PlatformLock, digest_inputs, target_of
from edgepack.resolve.lock_file import encode_lock, parse_lock

ONNX_REQUIREMENTS = ("onnxruntime>=1.20", "numpy>=1.26")


def agent_requirements() -> tuple[str, ...]:
    """What the device agent itself needs, as its own requirements file says."""
    import device_agent

    text = Path(device_agent.__file__).with_name("requirements.txt").read_text()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def all_requests(recipe: Recipe) -> PackageRequests:
    """The recipe's packages together with the agent's, and ONNX Runtime where the agent serves the model itself."""
    more = agent_requirements() + (() if recipe.script else ONNX_REQUIREMENTS)
    return with_requirements(recipe.requests, more)


def lock_path(recipe: Recipe, platform: Platform) -> Path:
    """Where the lock of a platform is: beside the inference configuration."""
    return recipe.lock_folder / f"pylock.{platform.slug}.toml"


def locks_for(
    recipe: Recipe,
    downloader: Downloader,
    *,
    update: bool = False,
    frozen: bool = False,
    offline: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> Mapping[Platform, PlatformLock]:
    """One lock for each platform of the recipe, from its file or made now; new ones are written to their files.

    Raises:
        InputError: the packages cannot be resolved, or `frozen` and the files do not answer what is asked for.
        RemoteError: index or mirror cannot be reached.
    """
    requests = all_requests(recipe)
    inputs = digest_inputs(_inputs(recipe, requests))
    if not update:
        present = _read_locks(recipe, inputs)
        if present is not None:
            return present
        if frozen:
            names = ", ".join(str(lock_path(recipe, platform)) for platform in recipe.platforms)
            raise InputError(
                f"--locked: {names} are missing or were made for other packages, another base or other platforms; "
                "make them anew with --lock"
            )
    say("Resolving packages and base ...")
    made = _make_locks(recipe, requests, inputs, downloader, offline)
    for platform, lock in made.items():
        text = encode_lock(lock, lock.target(platform).marker)
        write_file(lock_path(recipe, platform), text.encode())
    return made


def _inputs(recipe: Recipe, requests: PackageRequests) -> dict[str, Any]:
    asked = {"requirements": requests.requirements, "options": requests.options, "base": recipe.base}
    return asked | ({"system": requests.system} if requests.system else {})


def _read_locks(recipe: Recipe, inputs: str) -> dict[Platform, PlatformLock] | None:
    """The locks on disk, or None when one is missing or answers another question."""
    found: dict[Platform, PlatformLock] = {}
    for platform in recipe.platforms:
        path = lock_path(recipe, platform)
        if not path.is_file():
            return None
        lock = parse_lock(path.read_text(encoding="utf-8", errors="replace"), str(path))
        if lock.inputs != inputs or lock.base != recipe.base or lock.platform != str(platform):
            return None
        found[platform] = lock
    if len({(lock.solution, lock.solved_for) for lock in found.values()}) != 1:
        return None
    return found


def _make_locks(
    recipe: Recipe, requests: PackageRequests, inputs: str, downloader: Downloader, offline: bool
) -> dict[Platform, PlatformLock]:
    from edgepack.resolve.index import resolve

    release = find_release(recipe.base)
    mirror = find_mirror(os.environ, read_apt_sources)
    debian = lock_base(read_archive(release, recipe.platforms, mirror, downloader, verify_signature), requests.system)
    targets = {platform: target_of(platform, release.python, debian[platform]) for platform in recipe.platforms}
    wheels = resolve(requests, tuple(targets.values()), recipe.environment_file, offline=offline)
    solved_for = tuple(str(platform) for platform in recipe.platforms)
    files = [package.sha256 for platform in targets for package in debian[platform]]
    files += [wheel.sha256 for target in targets.values() for wheel in wheels[target]]
    solution = digest_inputs({"files": files})
    return {
        platform: PlatformLock(
            str(platform), inputs, solved_for, solution, recipe.base, release.python, debian[platform], wheels[target]
        )
        for platform, target in targets.items()
    }
