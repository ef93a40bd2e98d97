"""A project -> Assembly: the images to build, and with them all modules, routes and credentials of one deployment.

The project's own module stands at the top of `edgepack.yaml`; its image goes to `image` in the output. Modules under
`modules` go to a folder of their name, and those that only name an image are not built here. Where the top describes no
module (neither `models`, `inference_config` nor `module`), there are only these.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgepack import PROJECT_FILE
from edgepack.deployment.manifest import RegistryCredentials
from edgepack.errors import InputError
from edgepack.oci.reference import parse_image_reference
from edgepack.project import BuildOptions, Recipe, project_document, project_name, recipe_of
from edgepack.project_file import ModuleOptions, keep_messages_s, listed_modules, module_options, parse_credentials

_OF_THE_OWN_MODULE = ("models", "inference_config", "module")


@dataclass(frozen=True, slots=True)
class PlacedModule:
    """A module whose image is not built here: a name in a registry."""

    options: ModuleOptions
    image: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """All that goes on a device. `recipes` are in order, by folder in the output, "" for the project's own module.

    `routes` are those of the project as a whole, `keep_messages_s` is how long edgeHub keeps messages; None: not said.
    """

    recipes: Mapping[str, Recipe]
    placed: tuple[PlacedModule, ...] = ()
    routes: Mapping[str, Any] | None = None
    credentials: Mapping[str, RegistryCredentials] = field(default_factory=dict)
    keep_messages_s: int | None = None

    @property
    def is_single(self) -> bool:
        """Whether it is the project's own module and nothing else."""
        return not self.placed and [*self.recipes] == [""]


def read_assembly(folder: Path, options: BuildOptions, environment: Mapping[str, str]) -> Assembly:
    """What `options` name, or what the project in `folder` is, with `options` on top.

    Raises:
        InputError: all problems found; also a variable that credentials name and `environment` lacks.
    """
    document, problems = project_document(folder, options)
    recipes: dict[str, Recipe] = {}
    placed = []
    listed = list(listed_modules(document.get("modules"), problems))
    if not document.get("modules") or any(document.get(key) is not None for key in _OF_THE_OWN_MODULE):
        try:
            recipes[""] = recipe_of(document, folder, options)
        except InputError as error:
            problems += error.problems
    else:
        project_name(document, (), folder, problems)
    for name, part in listed:
        module = module_options(part, name, f"{PROJECT_FILE}: modules.{name}", problems, host_port=None)
        if part.get("models") is None and part.get("inference_config") is None:
            if not part.get("image"):
                problems.append(
                    f"{PROJECT_FILE}: modules.{name}: name its `models` or `inference_config` to build it, or the "
                    "`image` that it runs"
                )
            placed.append(PlacedModule(module, str(part.get("image"))))
            continue
        try:
            recipes[name] = _listed_recipe(document, part, module, folder, options)
        except InputError as error:
            problems += error.problems
    if "" in recipes and recipes[""].module.name in {name for name, _ in listed}:
        name = recipes[""].module.name
        problems.append(f"{PROJECT_FILE}: modules.{name}: the project's own module has that name; rename one")
    problems += _shared_names(recipes)
    credentials = parse_credentials(document.get("credentials"), environment, problems)
    keep_s = keep_messages_s(document.get("store_and_forward"), problems)
    InputError.raise_if_any(dict.fromkeys(problems))
    return Assembly(_with_own_locks(recipes), tuple(placed), document.get("routes"), credentials, keep_s)


def _shared_names(recipes: Mapping[str, Recipe]) -> Iterator[str]:
    """In an engine and in a registry, the image of one module would take the place of another's."""
    modules: dict[str, list[str]] = {}
    for recipe in recipes.values():
        modules.setdefault(str(recipe.image), []).append(recipe.module.name)
    for image, names in modules.items():
        if len(names) > 1:
            yield f"{PROJECT_FILE}: modules {' and '.join(names)} have the same image {image}: name another for one"


def _listed_recipe(
    document: Mapping[str, Any], part: Mapping[str, Any], module: ModuleOptions, folder: Path, options: BuildOptions
) -> Recipe:
    """A module's recipe: base and platforms are the project's, and its image `IMAGE/MODULE:TAG`, unless it has one."""
    short = re.sub(r"[^a-z0-9]+", "-", module.name.lower()).strip("-") or "module"
    image = None if options.image else part.get("image")
    if image is None:
        whole = parse_image_reference(options.image or document.get("image") or project_name(document, (), folder, []))
        image = f"{whole.name}/{short}:{whole.tag}"
    shared = {key: document[key] for key in ("platforms", "base", "exclude") if key in document}
    return recipe_of({**shared, **part, "name": short}, folder, replace(options, image=image), (), module)


def _with_own_locks(recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Two modules that share a folder of configurations keep their locks apart, in `locks/MODULE` below it."""
    folders = [recipe.lock_folder.resolve() for recipe in recipes.values()]
    return {
        name: replace(recipe, lock_folder=recipe.lock_folder / "locks" / name)
        if name and folders.count(recipe.lock_folder.resolve()) > 1
        else recipe
        for name, recipe in recipes.items()
    }
