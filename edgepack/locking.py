"""The locks of a project: read the ones beside the inference configuration, or make them from index and mirror.

A lock is used as long as what was asked for is unchanged; `update` makes it anew, `frozen` refuses to.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from edgepack.base.base_image import SuppliedPackage
from edgepack.base_locking import LockedBase, find_base, supplied_versions, supplies_of, with_supplied
from edgepack.download import Downloader
from edgepack.errors import DamagedDataError, InputError
from edgepack.files import write_file
from edgepack.lock_changes import asked_lines, change_lines, lock_changes, stale_reasons
from edgepack.oci.platform import Platform
from edgepack.project import Recipe
from edgepack.resolve.lock import PlatformLock, Wheel, digest_inputs
from edgepack.resolve.lock_file import encode_lock, parse_lock
from edgepack.resolve.package_requests import PackageRequests, with_requirements


def agent_requirements() -> tuple[str, ...]:
    """What the device agent itself needs, as its own requirements file says."""
    import device_agent

    text = Path(device_agent.__file__).with_name("requirements.txt").read_text()
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def all_requests(recipe: Recipe) -> PackageRequests:
    """The recipe's packages together with the agent's."""
    return with_requirements(recipe.requests, agent_requirements())


def lock_path(recipe: Recipe, platform: Platform) -> Path:
    """Where the lock of a platform is: beside the inference configuration."""
    return recipe.lock_folder / f"pylock.{platform.slug}.toml"


def locks_for(
    recipe: Recipe,
    downloader: Downloader,
    *,
    update: bool = False,
    update_base: bool = False,
    frozen: bool = False,
    offline: bool = False,
    without_security: bool = False,
    insecure: bool = False,
    say: Callable[[str], None] = lambda _text: None,
    tell_changes: Callable[[dict[str, Any]], None] = lambda _changes: None,
) -> Mapping[Platform, PlatformLock]:
    """One lock for each platform of the recipe, from its file or made now; new ones are written to their files.

    `update_base` takes the base as it is now; the packages stay if they fit it. Locks that are made anew in place of
    others are compared with them: `say` gets lines, `tell_changes` what `lock_changes.lock_changes` gives.

    Raises:
        InputError: the packages cannot be resolved, or `frozen` and the files do not answer what is asked for.
        RemoteError: index, mirror or registry cannot be reached.
    """
    requests = all_requests(recipe)
    inputs = digest_inputs(_inputs(recipe, requests, without_security=without_security))
    present = None if update else _read_locks(recipe, inputs)
    if present is not None and not update_base:
        return present
    if frozen:
        raise _out_of_date(recipe, requests)
    former = present or _read_former(recipe)
    say("Looking for a newer base ..." if present else "Resolving packages and base ...")
    base = find_base(recipe, requests.system, downloader, without_security=without_security, insecure=insecure)
    made = _kept_packages(base, present, requests) if present else None
    if made is None:
        made = _resolve_packages(recipe, base, requests, downloader, offline)
    locks = _locks_of(recipe, *made, inputs, asked_lines(requests), without_security=without_security)
    if former:
        changes = lock_changes(former, locks)
        tell_changes(changes)
        for line in change_lines(changes) or ["The locks have not changed"]:
            say(line)
    for platform, lock in locks.items():
        write_file(lock_path(recipe, platform), encode_lock(lock, lock.target(platform).marker).encode())
    return locks


def _out_of_date(recipe: Recipe, requests: PackageRequests) -> InputError:
    reasons = stale_reasons(_read_former(recipe), recipe.platforms, recipe.base, asked_lines(requests))
    reasons = reasons or ["what is asked for has changed since the locks were made"]
    names = ", ".join(str(lock_path(recipe, platform)) for platform in recipe.platforms)
    return InputError(
        f"--locked: {names}: out of date; make them anew with --lock\n" + "\n".join(f"  {reason}" for reason in reasons)
    )


def _inputs(recipe: Recipe, requests: PackageRequests, *, without_security: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"requirements": requests.requirements, "options": requests.options, "base": recipe.base}
    more: dict[str, Any] = {"system": requests.system, "constraints": requests.constraints, "hashes": requests.hashes}
    asked |= {key: value for key, value in more.items() if value}  # only those, so that former locks stay good
    return asked | ({"without-security": True} if without_security else {})


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


def _read_former(recipe: Recipe) -> dict[Platform, PlatformLock]:
    """The locks on disk that can be read, to tell what changes."""
    found = {}
    for platform in recipe.platforms:
        path = lock_path(recipe, platform)
        with suppress(DamagedDataError):  # it is about to be made anew
            if path.is_file():
                found[platform] = parse_lock(path.read_text(encoding="utf-8", errors="replace"), str(path))
    return found


_Packages = tuple[LockedBase, Mapping[Platform, tuple[Wheel, ...]], Mapping[Platform, tuple[SuppliedPackage, ...]]]


def _resolve_packages(
    recipe: Recipe, base: LockedBase, requests: PackageRequests, downloader: Downloader, offline: bool
) -> _Packages:
    from edgepack.resolve.index import resolve_with

    targets = tuple(base.targets.values())
    supplies = supplies_of(base, downloader)
    solution = resolve_with(requests, targets, recipe.environment_file, supplies, offline=offline)
    wheels = {platform: solution.wheels[target] for platform, target in base.targets.items()}
    supplied = {platform: solution.supplied[target] for platform, target in base.targets.items()}
    return with_supplied(base, requests.system, supplied), wheels, supplied


def _kept_packages(
    base: LockedBase, present: Mapping[Platform, PlatformLock], requests: PackageRequests
) -> _Packages | None:
    """The packages of the locks on another base, or None if they do not all fit it."""
    for platform, lock in present.items():
        target = base.targets[platform]
        tags = frozenset(target.tags())
        same = lock.target(platform).python_full == target.python_full
        if not same or not all(tags & parse_wheel_filename(wheel.filename)[3] for wheel in lock.wheels):
            return None
        if supplied_versions(base, platform, lock.supplied) != lock.supplied:
            return None
    supplied = {platform: lock.supplied for platform, lock in present.items()}
    wheels = {platform: lock.wheels for platform, lock in present.items()}
    return with_supplied(base, requests.system, supplied), wheels, supplied


def _locks_of(
    recipe: Recipe,
    base: LockedBase,
    wheels: Mapping[Platform, tuple[Wheel, ...]],
    supplied: Mapping[Platform, tuple[SuppliedPackage, ...]],
    inputs: str,
    asked: tuple[str, ...],
    *,
    without_security: bool,
) -> dict[Platform, PlatformLock]:
    solved_for = tuple(str(platform) for platform in recipe.platforms)
    files = [package.sha256 for platform in recipe.platforms for package in base.debian.get(platform, ())]
    files += [image.manifest for image in base.images.values()]
    files += [wheel.sha256 for platform in recipe.platforms for wheel in wheels[platform]]
    solution = digest_inputs({"files": files})
    return {
        platform: PlatformLock(
            str(platform),
            inputs,
            solved_for,
            solution,
            recipe.base,
            base.python,
            base.debian.get(platform, ()),
            wheels[platform],
            base.images.get(platform),
            supplied[platform],
            without_security,
            base.added(platform),
            asked,
        )
        for platform in recipe.platforms
    }
