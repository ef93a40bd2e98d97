"""Images that an engine built, taken out of it: the configuration as it is, the layers compressed here.

The configuration's bytes stay, so the image keeps its ID. How an engine compresses when it pushes is its own affair;
here a layer is compressed as edgepack's own are, once, and kept by the digest of its content.
"""

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from edgepack.engine_archive import open_saved, read_saved
from edgepack.errors import RemoteError
from edgepack.files import CHUNK_BYTES, full_disk_named, hash_file, new_file, write_file
from edgepack.image_making import MadeImages
from edgepack.oci.descriptor import digest_of
from edgepack.oci.image import NO_OPERATION, Layer, image_of, step_title
from edgepack.oci.platform import Platform

_LEVEL = 6
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """A layer whose compressed bytes are on this machine already."""

    layer: Layer
    path: Path

    def layer_called(self, kind: str, title: str) -> Layer:
        """The layer, as part of an image in which it is called so."""
        return replace(self.layer, kind=kind, title=title)


def taken_image(
    save: Callable[[], Iterable[bytes]],
    image_id: str,
    platform: Platform,
    known: Mapping[str, KnownLayer],
    added: Sequence[tuple[str, str]],
    cache: Path,
) -> MadeImages:
    """The image `image_id` of an engine, where `save()` gives the pieces of its archive.

    `known` are layers by their diff_id, `added` is the (kind, title) of each layer that the Dockerfile adds, in order.
    `cache` is a folder that may be shared with other processes.

    Raises:
        RemoteError: the engine's archive is not what it should be, or the image is for another platform.
    """
    found = dict(known)

    def missing(ids: Sequence[str]) -> list[str]:
        kept = {diff_id: _kept_layer(cache, diff_id) for diff_id in ids if diff_id not in found}
        found.update({diff_id: layer for diff_id, layer in kept.items() if layer})
        return [diff_id for diff_id, layer in kept.items() if layer is None]

    config = _kept_config(cache, image_id)
    made: set[str] = set()
    if config is None or missing(_diff_ids(config)):
        with _saved(save, cache) as archive:
            config, names = read_saved(archive)
            files = dict(zip(_diff_ids(config), names, strict=True))
            made = set(missing([*files]))
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
                layers = pool.map(lambda diff_id: _compress(archive, files[diff_id], diff_id, cache), made)
                found.update(zip(made, layers, strict=True))
        write_file(cache / f"{image_id.removeprefix('sha256:')}.json", config)
    document = json.loads(config)
    _check_platform(document, platform, image_id)
    ids = _diff_ids(config)
    titles = {
        diff_id: (found[diff_id].layer.kind, found[diff_id].layer.title) if diff_id in known else named
        for diff_id, named in zip(ids, _titles(document, added), strict=True)
    }
    image = image_of(config, platform, tuple(found[id_].layer_called(*titles[id_]) for id_ in ids))
    digests = {id_: found[id_].layer.digest for id_ in ids}
    cached = {digest: id_ not in made for id_, digest in digests.items()}
    return MadeImages((image,), {digest: found[id_].path for id_, digest in digests.items()}, cached)


@contextmanager
def _saved(save: Callable[[], Iterable[bytes]], cache: Path) -> Iterator[Path]:
    """Yield the archive as a file, which is gone after the block."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, prefix=".", suffix=".part") as file:
        with full_disk_named(cache / "image"):
            for piece in save():
                file.write(piece)
            file.flush()
        yield Path(file.name)


def _diff_ids(config: bytes) -> list[str]:
    match json.loads(config):
        case {"rootfs": {"diff_ids": list(ids)}}:
            return [str(id_) for id_ in ids]
    raise RemoteError("the Docker engine saved an image without `rootfs.diff_ids`", retryable=False)


def _kept_config(cache: Path, image_id: str) -> bytes | None:
    """The configuration as it was taken before; an image ID is its digest (an engine that has others keeps none)."""
    try:
        content = (cache / f"{image_id.removeprefix('sha256:')}.json").read_bytes()
    except OSError:
        return None
    return content if digest_of(content) == image_id else None


def _kept_layer(cache: Path, diff_id: str) -> KnownLayer | None:
    """The compressed layer, in a folder of its diff_id under its own digest; a damaged one is made again."""
    for path in sorted((cache / diff_id.removeprefix("sha256:")).glob("[0-9a-f]*")):
        if hash_file(path) == path.name:
            return KnownLayer(Layer("", "", f"sha256:{path.name}", path.stat().st_size, diff_id), path)
        path.unlink(missing_ok=True)
    return None


def _compress(archive: Path, name: str, diff_id: str, cache: Path) -> KnownLayer:
    """Compress one layer of a saved image, checked against its diff_id."""
    plain, packed = hashlib.sha256(), hashlib.sha256()
    folder = cache / diff_id.removeprefix("sha256:")
    with open_saved(archive, name) as raw, new_file(folder=folder) as file:
        target = _Hashing(file.stream, packed)
        source = gzip.GzipFile(fileobj=raw) if raw.read(2) == _GZIP_MAGIC else raw
        raw.seek(0)
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=target, mtime=0) as layer:
            while chunk := source.read(CHUNK_BYTES):
                plain.update(chunk)
                layer.write(chunk)
        if f"sha256:{plain.hexdigest()}" != diff_id:
            raise RemoteError(f"the engine saved layer {diff_id} with digest sha256:{plain.hexdigest()}")
        file.name = packed.hexdigest()
    path = folder / packed.hexdigest()
    return KnownLayer(Layer("", "", f"sha256:{path.name}", path.stat().st_size, diff_id), path)


class _Hashing:
    """Passes writes on and hashes them."""

    def __init__(self, target: IO[bytes], digest: Any) -> None:
        self._target = target
        self._digest = digest

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._target.write(content)

    def flush(self) -> None:
        self._target.flush()


def _check_platform(config: Mapping[str, Any], platform: Platform, image_id: str) -> None:
    found = "/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key))
    if found not in (str(platform), f"{platform}/v8"):
        raise RemoteError(
            f"the engine built image {image_id} for {found}, not for {platform}: does the Dockerfile begin with an "
            "image for one platform only?",
            retryable=False,
        )


def _titles(config: Mapping[str, Any], added: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Kind and title of each layer: as in the plan where the steps that add files are edgepack's, else the step."""
    history = config.get("history")
    listed = history if isinstance(history, list) else []
    steps = [str(step.get("created_by", "")) for step in listed if not step.get("empty_layer")]
    count = len(config["rootfs"]["diff_ids"])
    steps = (steps + [""] * count)[:count]
    own = [number for number, step in enumerate(steps) if step.startswith(f"{NO_OPERATION}ADD file:")]
    named = dict(zip(own, added, strict=True)) if len(own) == len(added) else {}
    return [named.get(number, ("step", step_title(step))) for number, step in enumerate(steps)]
