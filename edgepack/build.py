"""`edgepack build`: carries out a plan. Fetches what is locked, makes the layers that the cache lacks, writes `dist/`.

Order on disk: blobs, documents, `index.json`; then SBOMs, deployment manifest and last `build.json`. Each file appears
by rename, so a build that is killed leaves the former output or a complete new part of it, never half a file.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack import __version__
from edgepack.base.debian import find_release
from edgepack.download import Downloader, index_credentials
from edgepack.errors import InputError
from edgepack.files import exclusive, hash_file, write_file
from edgepack.layer_making import make_layers, maker_digest
from edgepack.layers.cache import LayerCache
from edgepack.layers.tarball import zlib_is_reference
from edgepack.locking import locks_for
from edgepack.models.record import ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.oci.image import Image, Layer, assemble_image, assemble_index
from edgepack.oci.layout import write_layout
from edgepack.oci.platform import Platform
from edgepack.oci.validate import verify_layout
from edgepack.plan import (
    BuildPlan,
    Material,
    plan_build,
)
from edgepack.project import Recipe
from edgepack.resolve.conda_env import python_fits
from edgepack.resolve.lock import PlatformLock

_HUGE_WHEEL_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How to build, as against what: where things are kept and what may be used."""

    workspace: Path
    output: Path
    update_lock: bool = False
    frozen_lock: bool = False
    offline: bool = False
    say: Callable[[str], None] = field(default=lambda _text: None)
    warn: Callable[[str], None] = field(default=lambda _text: None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before anything is made: models, locks and the plan."""

    models: tuple[ModelRecord, ...]
    locks: Mapping[Platform, PlatformLock]
    plan: BuildPlan


def prepare(recipe: Recipe, settings: BuildSettings, downloader: Downloader) -> Prepared:
    """Find the models, the locks and the plan.

    Raises:
        InputError: a model is not registered, the module cannot be deployed so, or the packages cannot be had for a
            platform.
    """
    from edgepack.module import deployment_document

    deployment_document(recipe, f"sha256:{'0' * 64}")  # its problems are told before anything is made
    registry = ModelRegistry(settings.workspace)
    found = [registry.get(model.name, model.version) for model in recipe.models]
    models = tuple({(model.name, model.version): model for model in found}.values())
    locks = locks_for(
        recipe,
        downloader,
        update=settings.update_lock,
        frozen=settings.frozen_lock,
        offline=settings.offline,
        say=settings.say,
    )
    return Prepared(models, locks, plan_build(recipe, models, locks, _material(recipe, registry)))


def _downloader(recipe: Recipe, settings: BuildSettings) -> Downloader:
    return Downloader(
        settings.workspace / "cache",
        offline=settings.offline,
        say=settings.say,
        credentials=index_credentials(recipe.requests.options, os.environ),
    )


def dry_run(recipe: Recipe, settings: BuildSettings) -> dict[str, Any]:
    """The plan of a build as a document; locks are made if need be, nothing else."""
    _tell_about(recipe, settings)
    with _downloader(recipe, settings) as downloader:
        return prepare(recipe, settings, downloader).plan.document()


def build(recipe: Recipe, settings: BuildSettings) -> dict[str, Any]:
    """Build the images and all of `dist/`; returns the content of `build.json`.

    Raises:
        InputError, RemoteError, DamagedDataError: see `edgepack.errors`; the former output is then untouched or whole.
    """
    started = time.monotonic()
    _tell_about(recipe, settings)
    if not zlib_is_reference():
        settings.warn(
            "this machine's zlib compresses differently from stock zlib: the image is sound and its configuration "
            "has the usual digest, but layers and index have other digests than on other machines"
        )
    cache = settings.workspace / "cache"
    _make_folders({cache: "--workspace", settings.output: "-o"})
    name = hashlib.sha256(os.fsencode(settings.output.resolve())).hexdigest()[:16]
    with (
        exclusive(cache / "locks" / name),
        _downloader(recipe, settings) as downloader,
    ):
        prepared = prepare(recipe, settings, downloader)
        _warn_about(prepared, settings)
        layers = LayerCache(cache)
        made = make_layers(prepared.plan, layers, downloader, settings.say, settings.warn)
        images = tuple(
            assemble_image(plan.platform, tuple(made[layer.key][0] for layer in plan.layers), plan.run)
            for plan in prepared.plan.images
        )
        blobs = {layer.digest: layers.blob_path(layer.digest) for layer, _ in made.values()}
        index = write_layout(settings.output / "image", images, assemble_index(images, {}), blobs, recipe.image.tag)
        verify_layout(settings.output / "image", diff_ids=False)
        report = _report(recipe, images, index.digest, made)
        _write_documents(recipe, prepared, index.digest, settings.output)
        report |= {
            "seconds": round(time.monotonic() - started, 3),
            "downloads": {"bytes": downloader.bytes_fetched, "seconds": round(downloader.busy_s, 3)},
        }
        write_file(settings.output / "build.json", (json.dumps(report, indent=2) + "\n").encode())
    return report


def _make_folders(folders: Mapping[Path, str]) -> None:
    """Make the folders that a build writes to, or say at once which cannot be made."""
    problems = []
    for folder, option in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                problems.append(f"{folder} cannot be written; choose another folder with {option}")
        except OSError as error:
            problems.append(f"{folder} cannot be made ({error.strerror}); choose another folder with {option}")
    InputError.raise_if_any(problems)


def _write_documents(recipe: Recipe, prepared: Prepared, digest: str, output: Path) -> None:
    from edgepack.module import deployment_document
    from edgepack.sbom import sbom_document

    for platform, lock in prepared.locks.items():
        text = sbom_document(recipe, prepared.models, lock, digest)
        write_file(output / "sbom" / f"{platform.slug}.cdx.json", text)
    manifest = deployment_document(recipe, digest)
    write_file(output / "deployment.json", (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())


def _tell_about(recipe: Recipe, settings: BuildSettings) -> None:
    for text in recipe.warnings:
        settings.warn(text)
    for text in recipe.notes:
        settings.say(f"note: {text}")
    python, pinned = find_release(recipe.base).python, recipe.requests.python
    if pinned and not python_fits(pinned, python):
        settings.warn(
            f"{recipe.environment_file} asks for Python {pinned}; {recipe.base} has Python {python}. Models pickled "
            "under another Python usually load; check yours with its sample request"
        )
    if recipe.image.registry is None:
        settings.say(f"note: the image name {recipe.image} has no registry; to deploy it, give -t REGISTRY/NAME:TAG")


def _warn_about(prepared: Prepared, settings: BuildSettings) -> None:
    huge = {
        f"{wheel.name} {wheel.version} ({(wheel.size_bytes or 0) // 1_000_000} MB, {platform})"
        for platform, lock in prepared.locks.items()
        for wheel in lock.wheels
        if (wheel.size_bytes or 0) > _HUGE_WHEEL_BYTES
    }
    if huge:
        settings.warn(f"very large packages for an edge device: {', '.join(sorted(huge))}")


def _material(recipe: Recipe, registry: ModelRegistry) -> Material:
    agent = _agent_files()
    hashes = {path: hash_file(file) for path, file, _ in (recipe.script.files if recipe.script else ())}
    return Material(registry.file_path, agent, hashes, __version__, maker_digest())


def _agent_files() -> Sequence[tuple[str, Path, str]]:
    import device_agent

    root = Path(device_agent.__file__).parent
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [(path.relative_to(root).as_posix(), path, hash_file(path)) for path in paths]


def _report(
    recipe: Recipe,
    images: Iterable[Image],
    digest: str,
    made: Mapping[str, tuple[Layer, bool]],
) -> dict[str, Any]:
    cached = {layer.digest: was_cached for layer, was_cached in made.values()}
    return {
        "image": str(recipe.image),
        "digest": digest,
        "seconds": 0.0,
        "platforms": {
            str(image.platform): {
                "digest": image.descriptor().digest,
                "size_bytes": sum(layer.size_bytes for layer in image.layers),
                "layers": [
                    {
                        "kind": layer.kind,
                        "title": layer.title,
                        "digest": layer.digest,
                        "size_bytes": layer.size_bytes,
                        "cached": cached[layer.digest],
                    }
                    for layer in image.layers
                ],
            }
            for image in images
        },
    }
