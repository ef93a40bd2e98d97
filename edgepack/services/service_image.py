"""The image of a service: for this machine's platform only, from the same recipe, locks and layers as `edgepack build`.

Its packages are those of the lock beside the inference configuration if that is up to date, so that a service runs
what a device will; else those of a lock in the workspace, made once for all services that ask for the same packages.
Nothing is written beside the user's files.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgepack import PROJECT_FILE
from edgepack.assembly import Assembly
from edgepack.build import BuildSettings, prepare
from edgepack.download import Downloader
from edgepack.errors import InputError
from edgepack.files import exclusive
from edgepack.host_image import host_platform
from edgepack.layer_making import make_layers
from edgepack.layers.cache import LayerCache
from edgepack.locking import all_requests, lock_path, locks_for
from edgepack.models.naming import ModelReference
from edgepack.models.registry import ModelRegistry
from edgepack.oci.image import assemble_image, assemble_index
from edgepack.oci.layout import write_layout
from edgepack.oci.validate import choose_platform
from edgepack.project import BuildOptions, Recipe, recipe_of
from edgepack.resolve.access import open_downloader
from edgepack.served_model import SERVED_MODEL, served
from edgepack.services.record import ServiceRequest, Voice
from edgepack.services.stored import IMAGE_NAME, LAYOUT, ServiceImage

_SAID = "the inference configuration"  # where it was given in Python, not in a file


def exact_models(workspace: Path, models: tuple[ModelReference, ...]) -> tuple[ModelReference, ...]:
    """The models with the versions that they have now.

    Raises:
        InputError: models that are not registered, all of them.
    """
    registry = ModelRegistry(workspace)
    found: list[ModelReference] = []
    problems: list[str] = []
    for model in models:
        try:
            record = registry.get(model.name, model.version)
            found.append(ModelReference(record.name, record.version))
        except InputError as error:
            problems += error.problems
    InputError.raise_if_any(problems)
    return tuple(found)


def read_recipe(workspace: Path, request: ServiceRequest) -> Recipe:
    """What is to be built for a request; its script is found and read.

    Raises:
        InputError: all that is wrong with inference configuration, script and conda file.
    """
    config = request.inference_config
    document = {"name": request.name, "image": f"{IMAGE_NAME}/{request.name}:latest"}
    options = BuildOptions(
        models=[str(model) for model in request.models],
        inference_config=config if isinstance(config, Path) else None,
        platforms=[str(host_platform())],
        output=workspace / "services" / request.name,
        workspace=workspace,
    )
    inline = {"inference_config": dict(config)} if isinstance(config, Mapping) else {}
    registry = ModelRegistry(workspace)
    models = [registry.get(model.name, model.version) for model in request.models]
    try:
        recipe = recipe_of({**document, **inline}, request.folder, options)
    except InputError as error:
        raise InputError(*map(_in_python, error.problems)) from error
    recipe = served(recipe, models, registry)
    recipe = replace(recipe, variables={**request.variables, **recipe.variables})
    if inline:
        return replace(
            recipe,
            environment_file=_in_python(recipe.environment_file),
            unheeded=tuple(map(_in_python, recipe.unheeded)),
            notes=tuple(map(_in_python, recipe.notes)),
        )
    return recipe


def _in_python(text: str) -> str:
    """A text about a configuration that is no part of a project's file."""
    return text.replace(f"{PROJECT_FILE}: inference_config", _SAID).replace(PROJECT_FILE, _SAID)


def variables_of(recipe: Recipe) -> dict[str, str]:
    """The variables that a recipe sets, but for what tells the agent of a model: that goes with the image's agent."""
    return {name: value for name, value in recipe.variables.items() if name != SERVED_MODEL}


def packages_digest(recipe: Recipe) -> str:
    """A digest of the packages that a recipe asks for."""
    requests = all_requests(recipe)
    platforms = list(map(str, recipe.platforms))
    asked = [requests.requirements, requests.options, requests.system, recipe.base, platforms]
    text = json.dumps([*asked, *([requests.constraints, requests.hashes] if requests.constraints else [])])
    return hashlib.sha256(text.encode()).hexdigest()


def build_image(workspace: Path, recipe: Recipe, folder: Path, voice: Voice) -> ServiceImage:
    """Make the image as the layout `folder/image`, from the cache as far as that goes.

    Raises:
        InputError, RemoteError, DamagedDataError: as `edgepack build`.
    """
    tell_about(recipe, voice)
    cache = workspace / "cache"
    with open_downloader(cache, [recipe.requests], os.environ, say=voice.say) as downloader:
        locked = _with_locks(workspace, recipe, downloader, voice)
        settings = BuildSettings(workspace, folder, frozen_lock=True, say=voice.say, warn=voice.warn)
        prepared = prepare(Assembly({"": locked}), settings, downloader)[""]
        layers = LayerCache(cache)
        made = make_layers(prepared.plan, layers, downloader, voice.say, voice.warn)
    images = tuple(
        assemble_image(plan.platform, tuple(made[layer.key][0] for layer in plan.layers), plan.run)
        for plan in prepared.plan.images
    )
    blobs = {layer.digest: layers.blob_path(layer.digest) for image in images for layer in image.layers}
    layout = folder / LAYOUT
    index = write_layout(layout, images, assemble_index(images, {}), blobs, recipe.image.tag)
    content = choose_platform(layout, str(recipe.platforms[0]))
    return ServiceImage(layout, index.digest, content.config_digest, variables_of(recipe))


def tell_about(recipe: Recipe, voice: Voice) -> None:
    """What `edgepack build` says of a recipe, too."""
    for text in recipe.warnings:
        voice.warn(text)
    for text in dict.fromkeys(recipe.unheeded):
        voice.note(text)
    for text in dict.fromkeys(recipe.notes):
        voice.say(f"note: {text}")


def _with_locks(workspace: Path, recipe: Recipe, downloader: Downloader, voice: Voice) -> Recipe:
    """The recipe, with the folder of a lock that answers it."""
    if all(lock_path(recipe, platform).is_file() for platform in recipe.platforms):
        try:
            locks_for(recipe, downloader, frozen=True)
        except InputError:
            pass  # made for other packages: `edgepack build` will make it anew
        else:
            return recipe
    digest = packages_digest(recipe)
    shared = replace(recipe, lock_folder=workspace / "locks" / "services" / digest[:16])
    with exclusive(workspace / "cache" / "locks" / f"packages-{digest[:16]}"):
        locks_for(shared, downloader, say=voice.say)
    return shared
