"""`edgepack build`: carries out a plan. Fetches what is locked, makes the layers that the cache lacks, writes `dist/`.

Order on disk: blobs, documents, `index.json`, module by module; then SBOMs, deployment manifest and last `build.json`.
Each file appears by rename, so a build that is killed leaves the former output or a complete new part of it, never half
a file. Layers that several modules have in common are made once.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edgepack import __version__
from edgepack.assembly import Assembly
from edgepack.build_output import BuiltModule, layout_name, write_documents, write_report
from edgepack.build_warnings import build_warnings
from edgepack.deployment.problem import DESIRED
from edgepack.deployment.validate import problems
from edgepack.download import Downloader
from edgepack.errors import InputError
from edgepack.files import exclusive, hash_file
from edgepack.image_making import MadeLayers, MakeImages, assembled_images
from edgepack.ingredients import HashedFile, Licence
from edgepack.layer_making import make_layers, maker_digest
from edgepack.layers.cache import LayerCache
from edgepack.layers.packing import Compression
from edgepack.layers.tarball import zlib_is_reference
from edgepack.licences import wheel_licences
from edgepack.locking import lock_path, locks_for
from edgepack.models.record import ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.module import deployment_document
from edgepack.oci.image import assemble_index
from edgepack.oci.layout import write_layout
from edgepack.oci.platform import Platform
from edgepack.oci.validate import verify_layout
from edgepack.plan import (
    BuildPlan,
    Material,
    plan_build,
)
from edgepack.project import Recipe
from edgepack.resolve.access import open_downloader
from edgepack.resolve.lock import PlatformLock
from edgepack.served_model import served

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How to build, as against what: where things are kept and what may be used."""

    workspace: Path
    output: Path
    update_lock: bool = False
    frozen_lock: bool = False
    offline: bool = False
    layered: bool = False
    say: Callable[[str], None] = field(default=lambda _text: None)
    warn: Callable[[str], None] = field(default=lambda _text: None)
    make_images: MakeImages = assembled_images
    compression: Compression = Compression.GZIP
    update_base: bool = False
    without_security: bool = False
    insecure: bool = False  # registries without TLS, or with a certificate that is not trusted


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of an image before anything is made: models, locks and the plan."""

    recipe: Recipe
    models: tuple[ModelRecord, ...]
    locks: Mapping[Platform, PlatformLock]
    plan: BuildPlan
    lock_changes: Mapping[str, Any] | None = None  # if former locks were made anew


def prepare(assembly: Assembly, settings: BuildSettings, downloader: Downloader) -> dict[str, Prepared]:
    """Find the models, the locks and the plan of each image, by folder in the output.

    Raises:
        InputError: a model is not registered, a module cannot be deployed so, or the packages cannot be had for a
            platform.
    """
    digests = {recipe.module.name: f"sha256:{'0' * 64}" for recipe in assembly.recipes.values()}
    manifest = deployment_document(assembly, digests)  # its problems are told before anything is made
    for problem in problems(manifest):
        if problem.severity == "warning":
            settings.warn(f"deployment manifest, {problem.pointer}: {problem.message}")
    registry = ModelRegistry(settings.workspace)
    models = _for_each(assembly, lambda _folder, recipe: _models(recipe, registry))
    agent = _agent_files()

    def prepared(folder: str, recipe: Recipe) -> Prepared:
        recipe = served(recipe, models[folder], registry)
        changes: list[dict[str, Any]] = []
        locks = locks_for(
            recipe,
            downloader,
            update=settings.update_lock,
            update_base=settings.update_base,
            frozen=settings.frozen_lock,
            offline=settings.offline,
            without_security=settings.without_security,
            insecure=settings.insecure,
            say=settings.say,
            tell_changes=changes.append,
        )
        own = models[folder]
        material = _material(recipe, registry, agent, maker_digest(settings.compression))
        plan = plan_build(recipe, own, locks, material)
        return Prepared(recipe, own, locks, plan, changes[0] if changes else None)

    found = _for_each(assembly, prepared)
    for text in build_warnings((each.recipe, each.models, each.locks) for each in found.values()):
        settings.warn(text)
    return found


def _for_each(assembly: Assembly, make: Callable[[str, Recipe], _Made]) -> dict[str, _Made]:
    """What is made of each recipe, by folder; the problems of all of them are told together."""
    made: dict[str, _Made] = {}
    found: list[str] = []
    for folder, recipe in assembly.recipes.items():
        try:
            made[folder] = make(folder, recipe)
        except InputError as error:
            found += error.problems if assembly.is_single else (f"module {folder}: {each}" for each in error.problems)
    InputError.raise_if_any(found)
    return made


def _models(recipe: Recipe, registry: ModelRegistry) -> tuple[ModelRecord, ...]:
    found = [registry.get(model.name, model.version) for model in recipe.models]
    return tuple({(model.name, model.version): model for model in found}.values())


def _downloader(assembly: Assembly, settings: BuildSettings) -> Downloader:
    return open_downloader(
        settings.workspace / "cache",
        (recipe.requests for recipe in assembly.recipes.values()),
        os.environ,
        offline=settings.offline,
        say=settings.say,
    )


def dry_run(assembly: Assembly, settings: BuildSettings) -> dict[str, Any]:
    """The plan of a build as a document; locks are made if need be, nothing else."""
    _tell_about(assembly, settings)
    with _downloader(assembly, settings) as downloader:
        prepared = prepare(assembly, settings, downloader)
    if assembly.is_single:
        return prepared[""].plan.document()
    digests = {recipe.module.name: f"sha256:{'0' * 64}" for recipe in assembly.recipes.values()}
    hub = deployment_document(assembly, digests)["modulesContent"]["$edgeHub"][DESIRED]
    built = {
        each.recipe.module.name: {
            "image": str(each.recipe.image),
            "layout": layout_name(folder),
            "platforms": each.plan.document(),
        }
        for folder, each in prepared.items()
    }
    placed = {each.options.name: {"image": each.image} for each in assembly.placed}
    return {"modules": {**built, **placed}, "routes": hub["routes"], "credentials": sorted(assembly.credentials)}


def build(assembly: Assembly, settings: BuildSettings) -> dict[str, Any]:
    """Build the images and all of `dist/`; returns the content of `build.json`.

    Raises:
        InputError, RemoteError, DamagedDataError: see `edgepack.errors`; the former output is then untouched or whole.
    """
    started = time.monotonic()
    _tell_about(assembly, settings)
    if settings.compression is Compression.GZIP and not zlib_is_reference():
        settings.warn(
            "this machine's zlib compresses differently from stock zlib: the image is sound and its configuration "
            "has the usual digest, but layers and index have other digests than on other machines"
        )
    cache = settings.workspace / "cache"
    _make_folders({cache: "--workspace", settings.output: "-o"})
    name = hashlib.sha256(os.fsencode(settings.output.resolve())).hexdigest()[:16]
    with (
        exclusive(cache / "locks" / name),
        _downloader(assembly, settings) as downloader,
    ):
        prepared = prepare(assembly, settings, downloader)
        layers = LayerCache(cache, settings.compression)
        whole = BuildPlan(tuple(image for each in prepared.values() for image in each.plan.images))
        made = make_layers(whole, layers, downloader, settings.say, settings.warn, insecure=settings.insecure)
        wheels = [wheel for each in prepared.values() for lock in each.locks.values() for wheel in lock.wheels]
        licences = wheel_licences(wheels, downloader, cache, settings.warn)
        built = {
            folder: _write_image(
                each, settings.output / layout_name(folder), settings.make_images, made, layers, licences
            )
            for folder, each in prepared.items()
        }
        write_documents(settings.output, assembly, built, layered=settings.layered)
        spent = {
            "seconds": round(time.monotonic() - started, 3),
            "downloads": {"bytes": downloader.bytes_fetched, "seconds": round(downloader.busy_s, 3)},
        }
        reports = {folder: module.document() | _lock_report(prepared[folder]) for folder, module in built.items()}
        return write_report(settings.output, assembly, reports, spent)


def _lock_report(prepared: Prepared) -> dict[str, Any]:
    return {} if prepared.lock_changes is None else {"lock_changes": prepared.lock_changes}


def _write_image(
    prepared: Prepared,
    layout: Path,
    make_images: MakeImages,
    made: MadeLayers,
    layers: LayerCache,
    licences: Mapping[str, Licence],
) -> BuiltModule:
    result = make_images(prepared.recipe, prepared.plan, made, layers.blob_path)
    index = write_layout(
        layout, result.images, assemble_index(result.images, {}), result.blobs, prepared.recipe.image.tag
    )
    verify_layout(layout, diff_ids=False, hash_of=layers.hashes.hash_of)
    return BuiltModule(
        prepared.recipe,
        prepared.models,
        prepared.locks,
        result.images,
        index.digest,
        result.cached,
        prepared.plan,
        licences,
        _settings_files(prepared.recipe),
        result.builder,
    )


def _settings_files(recipe: Recipe) -> tuple[HashedFile, ...]:
    """The files that said what to build, and the locks: name and hash."""
    paths = (*recipe.settings_files, *(lock_path(recipe, platform) for platform in recipe.platforms))
    return tuple(HashedFile(path.name, hash_file(path)) for path in paths if path.is_file())


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


def _tell_about(assembly: Assembly, settings: BuildSettings) -> None:
    for text in dict.fromkeys(text for recipe in assembly.recipes.values() for text in recipe.warnings):
        settings.warn(text)
    recipes = assembly.recipes.values()
    for text in dict.fromkeys(text for recipe in recipes for text in (*recipe.unheeded, *recipe.notes)):
        settings.say(f"note: {text}")
    for recipe in assembly.recipes.values():
        if recipe.image.registry is None:
            settings.say(
                f"note: the image name {recipe.image} has no registry; to deploy it, give -t REGISTRY/NAME:TAG"
            )


def _material(recipe: Recipe, registry: ModelRegistry, agent: Sequence[tuple[str, Path, str]], maker: str) -> Material:
    hashes = {path: hash_file(file) for path, file, _ in (recipe.script.files if recipe.script else ())}
    return Material(registry.file_path, agent, hashes, __version__, maker)


def _agent_files() -> Sequence[tuple[str, Path, str]]:
    import device_agent

    root = Path(device_agent.__file__).parent
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [(path.relative_to(root).as_posix(), path, hash_file(path)) for path in paths]
