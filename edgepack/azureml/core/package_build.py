"""The build of a package: as `edgepack build` does it, and for a Dockerfile the folder that an engine builds from."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from edgepack import PROJECT_FILE
from edgepack.assembly import Assembly
from edgepack.azureml.core.inference_config import InferenceConfig
from edgepack.azureml.exceptions import of_arguments
from edgepack.build import BuildSettings, build
from edgepack.dockerfile import LAYER_FOLDER, render_dockerfile
from edgepack.errors import InputError
from edgepack.files import copy_or_link, write_file
from edgepack.host_image import host_platform
from edgepack.image_making import MadeImages, MadeLayers, assembled_images
from edgepack.models.naming import ModelReference
from edgepack.plan import BuildPlan
from edgepack.project import BuildOptions, Recipe, recipe_of

_SAID = "the inference configuration"
_TEMPLATE = "@{packages}\n@{agent}\n@{models}\n@{script}\n@{settings}\n"


def package_recipe(
    workspace: Path,
    models: tuple[ModelReference, ...],
    config: InferenceConfig | None,
    name: str,
    *,
    for_here: bool,
) -> Recipe:
    """What is to be built, for all platforms or this machine's alone. Its locks are kept in the workspace.

    Raises:
        InputError: all that is wrong with script, conda file or name.
    """
    short = name.rpartition("/")[2].partition(":")[0]
    options = BuildOptions(
        models=[str(model) for model in models],
        platforms=[str(host_platform())] if for_here else None,
        workspace=workspace,
    )
    document: Mapping[str, object] = {
        "name": short.replace(".", "-"),
        "image": name,
        **({} if config is None else {"inference_config": config.document()}),
    }
    recipe = recipe_of(document, Path.cwd() if config is None else config.folder, options)
    folder = workspace / "locks" / "packages" / short
    return replace(recipe, lock_folder=folder, environment_file=recipe.environment_file.replace(PROJECT_FILE, _SAID))


def build_package(
    workspace: Path, recipe: Recipe, output: Path, tell: Callable[[str], None], *, with_dockerfile: bool
) -> None:
    """Build all of `output` as `edgepack build` does; `with_dockerfile`: and `context` in it.

    Raises:
        InputError, RemoteError, DamagedDataError: as `edgepack build`.
    """

    def with_context(recipe: Recipe, plan: BuildPlan, made: MadeLayers, blob_path: Callable[[str], Path]) -> MadeImages:
        write_context(output / "context", plan, made, blob_path)
        return assembled_images(recipe, plan, made, blob_path)

    settings = BuildSettings(
        workspace,
        output,
        say=lambda text: tell(of_arguments(text)),
        warn=lambda text: tell(f"warning: {of_arguments(text)}"),
        make_images=with_context if with_dockerfile else assembled_images,
    )
    build(Assembly({"": recipe}), settings)


def write_context(folder: Path, plan: BuildPlan, made: MadeLayers, blob_path: Callable[[str], Path]) -> None:
    """Write a Dockerfile that begins with nothing and adds each layer, the base's too, and the layers beside it.

    Raises:
        InputError: a value of the environment does not fit in a line of a Dockerfile.
    """
    (image,) = plan.images
    base = [layer for layer in image.layers if layer.kind == "base"]
    files = {f"{LAYER_FOLDER}/base-{number:03}.tar.gz": layer for number, layer in enumerate(base, 1)}
    added = "".join(f'ADD ["{path}", "/"]\n' for path in files)
    dockerfile = render_dockerfile(f"FROM @{{base}}\n{added}{_TEMPLATE}", "the Dockerfile", image, "scratch")
    if dockerfile.arguments:
        raise InputError(
            "a value of the environment has line breaks or more than 8192 bytes, and does not fit in a Dockerfile: "
            "make an image (generate_dockerfile=False)"
        )
    if folder.is_dir():
        shutil.rmtree(folder)  # with the layers of a former Dockerfile
    for path, layer in {**files, **dockerfile.layers}.items():
        copy_or_link(blob_path(made[layer.key][0].digest), folder / path)
    write_file(folder / "Dockerfile", dockerfile.text.encode())
