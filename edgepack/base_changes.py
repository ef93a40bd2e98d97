"""What is another between two locks' bases, as lines for people. Pure."""

from collections.abc import Iterator, Mapping

from edgepack.base.base_image import BaseImage
from edgepack.oci.platform import Platform
from edgepack.resolve.lock import PlatformLock

_SHOWN_DIGITS = 19  # of a digest: `sha256:` and twelve


def base_changes(former: Mapping[Platform, PlatformLock], now: Mapping[Platform, PlatformLock]) -> list[str]:
    """A line for each change, with the platforms that it is of; one that says so if there is none."""
    found: dict[str, list[str]] = {}
    for platform, lock in now.items():
        if platform in former:
            for change in _changes(former[platform], lock):
                found.setdefault(change, []).append(str(platform))
    if not found:
        return ["The base has not changed"]
    return [f"{change} ({', '.join(platforms)})" for change, platforms in found.items()]


def _changes(old: PlatformLock, new: PlatformLock) -> Iterator[str]:
    if old.base != new.base:
        yield f"base: {old.base} -> {new.base}"
    if old.image and new.image:
        yield from _image_changes(old.image, new.image)
    before = {package.name: package.version for package in old.debian}
    after = {package.name: package.version for package in new.debian}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name}: {before[name]} is no longer in it"
        elif name not in before:
            yield f"{name}: {after[name]} is new in it"
        elif before[name] != after[name]:
            yield f"{name}: {before[name]} -> {after[name]}"


def _image_changes(old: BaseImage, new: BaseImage) -> Iterator[str]:
    if old.index != new.index:
        yield f"image: {old.index[:_SHOWN_DIGITS]} -> {new.index[:_SHOWN_DIGITS]}"
    if old.manifest != new.manifest:
        kept = {layer.digest for layer in old.layers} & {layer.digest for layer in new.layers}
        yield (
            f"image of the platform: {old.manifest[:_SHOWN_DIGITS]} -> {new.manifest[:_SHOWN_DIGITS]}, "
            f"{len(new.layers) - len(kept)} of {len(new.layers)} layers are new"
        )
    if old.python_full != new.python_full:
        yield f"Python: {old.python_full} -> {new.python_full}"
    if old.glibc != new.glibc:
        yield f"glibc: {old.glibc} -> {new.glibc}"
