"""The base of a recipe as it is now: a Debian release's packages, or an image's layers, with what wheels must fit."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from edgepack.base.apt import DebPackage
from edgepack.base.base_image import BaseImage, SuppliedPackage
from edgepack.base.choice import FolderBase, RegistryBase, parse_base
from edgepack.base.debian import Archive, find_mirror, lock_base, read_apt_sources, read_archive, verify_signature
from edgepack.base.image_lock import lock_image
from edgepack.base.image_source import open_source
from edgepack.base.python_packages import find_supplied
from edgepack.base.release import RELEASES, Release
from edgepack.download import Downloader
from edgepack.errors import InputError, RemoteError
from edgepack.oci.platform import ARM_V7, Platform
from edgepack.project import Recipe
from edgepack.resolve.lock import Target, image_target, target_of
from edgepack.resolve.supply import Supply

SUPPLIED_PLATFORMS = (ARM_V7,)  # the index has few wheels for them


@dataclass(frozen=True, slots=True)
class LockedBase:
    """A base for each platform: either `debian` or `images` are there. `archive` is where more packages come from."""

    python: str
    targets: Mapping[Platform, Target]
    debian: Mapping[Platform, tuple[DebPackage, ...]] = field(default_factory=dict)
    images: Mapping[Platform, BaseImage] = field(default_factory=dict)
    archive: Archive | None = None

    def added(self, platform: Platform) -> tuple[str, ...]:
        """The Debian packages that are there for what was asked for, beside the plain base."""
        if self.archive is None:
            return ()
        one = replace(self.archive, lists={platform: self.archive.lists[platform]})
        plain = {package.name for package in lock_base(one)[platform]}
        return tuple(package.name for package in self.debian[platform] if package.name not in plain)


def find_base(
    recipe: Recipe,
    system: Sequence[str],
    downloader: Downloader,
    *,
    without_security: bool = False,
    insecure: bool = False,
) -> LockedBase:
    """What the recipe's base is now; `system` are Debian packages to add to it.

    Raises:
        InputError: the base cannot be built upon, or takes no Debian packages.
        RemoteError: mirror or registry cannot be reached.
    """
    choice = parse_base(recipe.base, recipe.base_folder)
    if isinstance(choice, Release):
        mirror = find_mirror(os.environ, read_apt_sources)
        archive = read_archive(
            choice, recipe.platforms, mirror, downloader, verify_signature, with_security=not without_security
        )
        debian = lock_base(archive, system)
        targets = {platform: target_of(platform, choice.python, debian[platform]) for platform in recipe.platforms}
        return LockedBase(choice.python, targets, debian=debian, archive=archive)
    problems = []
    if system:
        problems.append(
            f"{recipe.environment_file}: asks for the Debian packages {', '.join(system)}, but base {recipe.base} is "
            "an image, to which none are added: choose an image that has them, or a Debian base"
        )
    if without_security:
        problems.append(f"--without-security is for Debian bases; {recipe.base} is an image, which is taken as it is")
    InputError.raise_if_any(problems)
    images = _find_images(recipe, choice, downloader, insecure=insecure)
    targets = {platform: image_target(platform, image) for platform, image in images.items()}
    return LockedBase(next(iter(images.values())).python, targets, images=images)


def _find_images(
    recipe: Recipe, choice: RegistryBase | FolderBase, downloader: Downloader, *, insecure: bool
) -> dict[Platform, BaseImage]:
    target = choice.reference.target if isinstance(choice, RegistryBase) else ""
    with open_source(choice, os.environ, offline=downloader.offline, insecure=insecure) as source:
        return lock_image(recipe.base, target, recipe.platforms, source, downloader.blob_path)


def supplies_of(base: LockedBase, downloader: Downloader) -> dict[Target, Supply]:
    """What Debian may supply instead of the index, by target."""
    archive = base.archive
    if archive is None:
        return {}
    return {
        target: _supply(archive, platform, downloader)
        for platform, target in base.targets.items()
        if platform in SUPPLIED_PLATFORMS
    }


def _supply(archive: Archive, platform: Platform, downloader: Downloader) -> Supply:
    lists = archive.lists[platform]

    @cache
    def find(name: str) -> SuppliedPackage | None:
        return find_supplied(name, lists)

    def needs(packages: Sequence[str]) -> frozenset[str]:
        one = replace(archive, lists={platform: lists})
        return frozenset(package.name for package in lock_base(one, supplied={platform: packages})[platform])

    return Supply(archive.release.codename, find, needs, _elsewhere(archive, platform, downloader))


def _elsewhere(
    archive: Archive, platform: Platform, downloader: Downloader
) -> Callable[[str], Sequence[tuple[str, str]]]:
    """A function that looks a package up in the other releases; their lists are read when it is first called."""

    @cache
    def others() -> list[Archive]:
        found = []
        for release in RELEASES.values():
            if release != archive.release:
                try:
                    found.append(
                        read_archive(
                            release, (platform,), archive.mirror, downloader, verify_signature, with_security=False
                        )
                    )
                except RemoteError:
                    continue  # only a hint of an error message is lost
        return found

    def look_up(name: str) -> list[tuple[str, str]]:
        pairs = [(other.release.codename, find_supplied(name, other.lists[platform])) for other in others()]
        return [(codename, found.version) for codename, found in pairs if found]

    return look_up


def with_supplied(
    base: LockedBase, system: Sequence[str], supplied: Mapping[Platform, Sequence[SuppliedPackage]]
) -> LockedBase:
    """The base together with the Debian packages that supply Python packages, and what those need."""
    if base.archive is None or not any(supplied.values()):
        return base
    names = {platform: [each.debian for each in packages] for platform, packages in supplied.items()}
    return replace(base, debian=lock_base(base.archive, system, names))


def supplied_versions(
    base: LockedBase, platform: Platform, supplied: Sequence[SuppliedPackage]
) -> tuple[SuppliedPackage, ...]:
    """The same packages as the base's archive has them now."""
    if base.archive is None:
        return ()
    found = (find_supplied(each.name, base.archive.lists[platform]) for each in supplied)
    return tuple(each for each in found if each)
