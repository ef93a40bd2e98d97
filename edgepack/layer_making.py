"""The layers of a plan: found in the cache, or fetched and made, for all platforms at the same time.

Content becomes entries here, by the kind of content; entries become bytes in `layers.tarball`.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from edgepack.base.apt import DebPackage
from edgepack.base.debian import fetch_base, find_mirror, read_apt_sources
from edgepack.base_pull import pull_layers
from edgepack.download import Downloader, Remote
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry, LinkEntry
from edgepack.layers.packing import Compression
from edgepack.layers.tarball import FORMAT, TarDigests
from edgepack.oci.descriptor import LAYER_GZIP
from edgepack.oci.image import Layer
from edgepack.oci.media_types import LAYER_ZSTD
from edgepack.oci.platform import Platform
from edgepack.plan import (
    BaseContent,
    BuildPlan,
    FileContent,
    ImageLayerContent,
    ImagePlan,
    LayerPlan,
    UserContent,
    WheelContent,
)
from edgepack.resolve.lock import Wheel

_MAKERS = ("layers.entry", "layers.packing", "layers.tarball", "layers.wheel", "base.deb", "base.root")
_MEDIA_TYPES = {Compression.GZIP: LAYER_GZIP, Compression.ZSTD: LAYER_ZSTD}
_CONNECTIONS = 6
_Result = TypeVar("_Result")


def make_layers(
    plan: BuildPlan,
    cache: LayerCache,
    downloader: Downloader,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    *,
    insecure: bool = False,
) -> dict[str, tuple[Layer, bool]]:
    """Every layer of the plan by key, and whether it came from the cache."""
    pulled = pull_layers(plan, downloader, say, insecure=insecure)
    wanted = {
        layer.key: (layer, image.platform) for image in plan.images for layer in image.layers if layer.key not in pulled
    }
    found = _found(wanted, cache.find)
    missing = {key: pair for key, pair in wanted.items() if key not in found}
    if missing:
        say(f"Making {len(missing)} of {len(wanted)} layers ...")
    joined = {key: pair for key, pair in missing.items() if pair[0].parts}
    parts = {part.key: (part, platform) for layer, platform in joined.values() for part in layer.parts}
    found |= _found(parts.keys() - found.keys(), cache.find_part)
    single = [pair for key, pair in (missing | parts).items() if key not in found and key not in joined]

    def make(pair: tuple[LayerPlan, Platform], files: Mapping[str, Path]) -> None:
        layer, platform = pair
        where = f"layer {layer.kind} ({layer.title}) for {platform}"
        as_part = isinstance(layer.content, WheelContent)
        found[layer.key] = cache.make(layer.key, lambda: _entries(layer, platform, files), where, as_part=as_part)

    def join(layer: LayerPlan) -> None:
        made = cache.join(layer.key, {part.key: found[part.key] for part in layer.parts})
        if made is not None:
            found[layer.key] = made

    _fetch_and_make(single, downloader, make)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        _results([pool.submit(join, layer) for layer, _ in joined.values()])
    clashing = [pair for key, pair in joined.items() if key not in found]  # packages that have a file in common
    _fetch_and_make(clashing, downloader, make)
    if missing:
        _tell_clashes(plan, missing, cache, warn)
    return pulled | {
        key: (
            Layer(layer.kind, layer.title, made.digest, made.size_bytes, made.diff_id, _MEDIA_TYPES[cache.compression]),
            key not in missing,
        )
        for key, (layer, _) in wanted.items()
        for made in [found[key]]
    }


def _tell_clashes(plan: BuildPlan, made: Collection[str], cache: LayerCache, warn: Callable[[str], None]) -> None:
    """Say which packages of an image do not agree on a file, whenever one of its layers of packages is new."""
    from edgepack.layers.wheel import wheel_clashes

    told = dict.fromkeys(
        clash
        for image in plan.images
        if any(layer.key in made and isinstance(layer.content, WheelContent) for layer in image.layers)
        for clash in wheel_clashes(_package_files(image, cache))
    )
    for clash in told:
        warn(clash)


def _package_files(image: ImagePlan, cache: LayerCache) -> Iterator[tuple[str, Mapping[str, str]]]:
    for layer in image.layers:
        for part in layer.parts or (layer,):
            if isinstance(part.content, WheelContent):
                with suppress(OSError, ValueError):  # of a layer from former times the parts may be gone
                    yield part.content.wheels[0].name, cache.files_of(part.key)


def _found(keys: Collection[str], find: Callable[[str], TarDigests | None]) -> dict[str, TarDigests]:
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return {key: made for key, made in zip(keys, pool.map(find, keys), strict=True) if made is not None}


def _fetch_and_make(
    layers: Sequence[tuple[LayerPlan, Platform]],
    downloader: Downloader,
    make: Callable[[tuple[LayerPlan, Platform], Mapping[str, Path]], None],
) -> None:
    """Fetch the files that the layers are made of, several at a time, and make each layer as soon as its own are there.

    `make` gets the files by SHA-256. Large layers come first.
    """
    wheels: dict[str, Wheel] = {}
    packages: dict[str, DebPackage] = {}
    ordered = sorted(layers, key=lambda pair: -_weight(pair[0]))
    for layer, _ in ordered:
        if isinstance(layer.content, WheelContent):
            wheels.update({wheel.sha256: wheel for wheel in layer.content.wheels})
        elif isinstance(layer.content, BaseContent):
            packages.update({package.sha256: package for package in layer.content.packages})
    with (
        ThreadPoolExecutor(max_workers=_CONNECTIONS) as connections,
        ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as makers,
    ):
        fetching: dict[Future[Path], str] = {}
        for wheel in wheels.values():
            remote = Remote(wheel.url, wheel.filename, wheel.sha256, wheel.size_bytes)
            fetching[connections.submit(downloader.fetch, remote)] = wheel.sha256
        if packages:
            mirror = find_mirror(os.environ, read_apt_sources)
            for package in packages.values():
                fetching[connections.submit(fetch_base, package, mirror, downloader)] = package.sha256
        files: dict[str, Path] = {}
        making: list[Future[None]] = []
        waiting = {pair[0].key: pair for pair in ordered}
        try:
            for done in chain([None], as_completed(fetching)):
                if done is not None:
                    files[fetching[done]] = done.result()
                ready = [key for key, (layer, _) in waiting.items() if files.keys() >= _needed(layer)]
                making += [makers.submit(make, waiting.pop(key), files) for key in ready]
            _results(making)
        finally:
            jobs: list[Future[Any]] = [*fetching, *making]
            for job in jobs:
                job.cancel()


def _needed(layer: LayerPlan) -> set[str]:
    """SHA-256 of the files that are to be fetched for a layer."""
    if isinstance(layer.content, WheelContent):
        return {wheel.sha256 for wheel in layer.content.wheels}
    return {package.sha256 for package in layer.content.packages} if isinstance(layer.content, BaseContent) else set()


def _results(jobs: Sequence["Future[_Result]"]) -> list[_Result]:
    """The results of all jobs; after a failure (or Ctrl-C), what has not begun need not begin."""
    try:
        return [job.result() for job in jobs]
    finally:
        for job in jobs:
            job.cancel()


def _entries(layer: LayerPlan, platform: Platform, files: Mapping[str, Path]) -> list[Entry]:
    content = layer.content
    if isinstance(content, BaseContent):
        from edgepack.base.deb import read_deb
        from edgepack.base.root import extra_entries, root_entries

        packages = [(package.name, *read_deb(files[package.sha256])) for package in content.packages]
        if not content.python:
            return extra_entries(packages, platform)
        return root_entries(packages, content.python, platform)
    if isinstance(content, UserContent):
        from edgepack.base.root import user_entries

        return user_entries(content.passwd, content.group)
    if isinstance(content, ImageLayerContent):
        raise AssertionError("a layer of a base image is not made")
    if isinstance(content, WheelContent):
        from edgepack.layers.wheel import merged_entries, wheel_entries

        return merged_entries(
            wheel_entries(files[wheel.sha256], content.site_folder, content.interpreter) for wheel in content.wheels
        )
    return [*(FileEntry(*file) for file in content.files), *(LinkEntry(*link) for link in content.links)]


def _weight(layer: LayerPlan) -> int:
    if isinstance(layer.content, WheelContent):
        return sum(wheel.size_bytes or 0 for wheel in layer.content.wheels)
    if isinstance(layer.content, BaseContent):
        return sum(package.size_bytes for package in layer.content.packages)
    return (
        sum(file.stat().st_size for _, file, *_ in layer.content.files) if isinstance(layer.content, FileContent) else 0
    )


def maker_digest(compression: Compression = Compression.GZIP) -> str:
    """A digest of the code that turns content into bytes: layers of an older edgepack are not mistaken for ours."""
    digest = hashlib.sha256(f"{FORMAT} {compression}".encode())
    for name in _MAKERS:
        found = find_spec(f"edgepack.{name}")  # not imported: that costs more than a warm build has need of
        digest.update(Path(found.origin if found and found.origin else "").read_bytes())
    return digest.hexdigest()
