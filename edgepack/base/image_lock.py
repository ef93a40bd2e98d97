"""An image as a base: which bytes its name means now, what is in them, and its layers in the cache."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, cast

from edgepack.base.base_image import BaseImage, BaseLayer
from edgepack.base.file_tree import Member, read_tree, tar_members
from edgepack.base.image_documents import choose_manifest, config_descriptor, read_json, read_settings
from edgepack.base.image_source import ImageSource
from edgepack.base.probe import KEPT, probe
from edgepack.errors import DamagedDataError, InputError
from edgepack.files import CHUNK_BYTES, hash_file
from edgepack.layers.packing import Compression, damage_kinds, unpacked
from edgepack.oci.descriptor import LAYER_GZIP, Descriptor
from edgepack.oci.media_types import INDEXES, LAYER_TAR
from edgepack.oci.platform import Platform

_MOST_CONFIG_BYTES = 8 * 1024 * 1024
_CONNECTIONS = 4


def lock_image(
    name: str,
    target: str,
    platforms: Iterable[Platform],
    source: ImageSource,
    blob_path: Callable[[str], Path],
) -> dict[Platform, BaseImage]:
    """What the image `name` is for each platform now; `target` is its tag or digest, `blob_path` where a blob is kept.

    Raises:
        InputError: a platform is missing, or the image cannot be built upon; all problems together.
        RemoteError: the source cannot be reached.
        DamagedDataError: it holds other bytes than it says.
    """
    index, content = source.manifest(target)
    found: dict[Platform, BaseImage] = {}
    problems: list[str] = []
    for platform in platforms:
        where = f"base {name} for {platform}"
        try:
            found[platform] = _lock_platform(where, index, content, platform, source, blob_path)
        except InputError as error:
            problems += error.problems
    InputError.raise_if_any(problems)
    pythons = {platform: image.python for platform, image in found.items()}
    if len(set(pythons.values())) > 1:
        listing = ", ".join(f"{python} for {platform}" for platform, python in pythons.items())
        raise InputError(f"base {name}: has another Python for each platform ({listing}); build them one by one")
    return found


def _lock_platform(
    where: str,
    index: Descriptor,
    content: bytes,
    platform: Platform,
    source: ImageSource,
    blob_path: Callable[[str], Path],
) -> BaseImage:
    manifest = index
    if index.media_type in INDEXES:
        manifest = choose_manifest(read_json(content, where), platform, where)
        content = source.manifest(manifest.digest)[1]
    document = read_json(content, where)
    config = read_json(source.read_blob(config_descriptor(document, where), _MOST_CONFIG_BYTES), where)
    settings = read_settings(document, config, platform, where)
    fetch_layers(settings.layers, source, blob_path)
    tree = read_tree(_members(layer, blob_path(layer.digest), where) for layer in settings.layers)
    found = probe(tree, platform, where)
    return BaseImage(
        index.digest,
        manifest.digest,
        settings.layers,
        found.interpreter,
        found.python_full,
        found.glibc,
        found.site_folder,
        found.passwd,
        found.group,
        settings.environment,
        settings.labels,
    )


def fetch_layers(layers: Iterable[BaseLayer], source: ImageSource, blob_path: Callable[[str], Path]) -> None:
    """Have the layers where `blob_path` says, from there or from the source; their digests have been checked."""

    def fetch(layer: BaseLayer) -> None:
        if not has_layer(layer, blob_path):
            descriptor = Descriptor(layer.media_type, layer.digest, layer.size_bytes)
            source.fetch_blob(descriptor, blob_path(layer.digest))

    with ThreadPoolExecutor(max_workers=_CONNECTIONS) as pool:
        list(pool.map(fetch, {layer.digest: layer for layer in layers}.values()))


def has_layer(layer: BaseLayer, blob_path: Callable[[str], Path]) -> bool:
    """Whether the layer is where `blob_path` says, whole."""
    path = blob_path(layer.digest)
    if not path.is_file() or path.stat().st_size != layer.size_bytes:
        return False
    return f"sha256:{hash_file(path)}" == layer.digest


class _Hashing:
    """Hashes what is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._source.read(size)
        self.hash.update(content)
        return content


def _members(layer: BaseLayer, path: Path, where: str) -> Iterator[Member]:
    """The members of a layer; at the end, its content has been checked against its diff_id."""
    try:
        with path.open("rb") as file, _plain(layer, file) as plain:
            reader = _Hashing(plain)
            with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r|", bufsize=CHUNK_BYTES) as archive:
                yield from tar_members(archive, KEPT)
            while reader.read(CHUNK_BYTES):
                pass
    except damage_kinds(tarfile.TarError, ValueError, OverflowError) as error:
        raise DamagedDataError(f"{where}: layer {layer.digest} cannot be read ({error})") from error
    if f"sha256:{reader.hash.hexdigest()}" != layer.diff_id:
        raise DamagedDataError(f"{where}: the content of layer {layer.digest} is not what the configuration says")


@contextmanager
def _plain(layer: BaseLayer, file: IO[bytes]) -> Iterator[IO[bytes]]:
    if layer.media_type == LAYER_TAR:
        opened = nullcontext(file)
    else:
        opened = unpacked(file, Compression.GZIP if layer.media_type == LAYER_GZIP else Compression.ZSTD)  # type: ignore[assignment]
    with opened as plain:
        yield plain
