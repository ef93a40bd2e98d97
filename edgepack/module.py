"""Assembly + image digests -> the deployment manifest. Pure."""

from collections.abc import Mapping
from typing import Any

from edgepack import PROJECT_FILE
from edgepack.assembly import Assembly
from edgepack.deployment.manifest import (
    KEEP_MESSAGES_S,
    EnvironmentValue,
    ImageModule,
    ModuleSpec,
    Route,
    default_routes,
    deployment_manifest,
    parse_routes,
)
from edgepack.errors import InputError
from edgepack.oci.reference import ImageReference
from edgepack.project_file import ModuleOptions


def deployment_document(assembly: Assembly, digests: Mapping[str, str]) -> dict[str, Any]:
    """The manifest that runs all modules of the assembly; `digests` are of the built images (`sha256:HEX`), by module.

    Without routes of the project, each module built here that has none of its own gets the usual ones.

    Raises:
        InputError: a module or a route is not what IoT Edge takes; all problems.
    """
    built = [_spec(recipe.module, recipe.image, digests[recipe.module.name]) for recipe in assembly.recipes.values()]
    placed = [_placed(module.options, module.image) for module in assembly.placed]
    routes: dict[str, Route] = {}
    problems: list[str] = []

    def add(found: Mapping[str, Route], where: str) -> None:
        problems.extend(
            f"{where}: there is another route called {name}; rename one" for name in found if name in routes
        )
        routes.update(found)

    options = {each.name: each for each in _all_options(assembly)}
    stated = {f"{PROJECT_FILE}: modules.{name}.routes": module.routes for name, module in options.items()}
    for where, value in ({f"{PROJECT_FILE}: routes": assembly.routes} | stated).items():
        try:
            add(parse_routes(value or {}, where), where)
        except InputError as error:
            problems += error.problems
    for spec in built:
        if assembly.routes is None and options[spec.name].routes is None:
            add(default_routes(spec), f"module {spec.name}")
    try:
        manifest = deployment_manifest(
            [*built, *placed],
            routes,
            credentials=assembly.credentials,
            keep_messages_s=KEEP_MESSAGES_S if assembly.keep_messages_s is None else assembly.keep_messages_s,
        )
    except InputError as error:
        raise InputError(*problems, *error.problems) from None
    InputError.raise_if_any(problems)
    return manifest


def _all_options(assembly: Assembly) -> list[ModuleOptions]:
    return [recipe.module for recipe in assembly.recipes.values()] + [each.options for each in assembly.placed]


def _spec(module: ModuleOptions, image: ImageReference, digest: str) -> ModuleSpec:
    return ModuleSpec(
        name=module.name,
        repository=image.name,
        digest=digest,
        env=module.env,
        create_options=module.create_options,
        desired=module.desired or None,
        host_port=module.host_port,
        status=module.status,
        restart_policy=module.restart_policy,
        image_pull_policy=module.image_pull_policy,
        startup_order=module.startup_order,
        input_name=_name(module.env, "EDGEPACK_INPUT", "amlInput"),
        output_name=_name(module.env, "EDGEPACK_OUTPUT", "amlOutput"),
        error_output_name=_name(module.env, "EDGEPACK_ERROR_OUTPUT", "amlError"),
        capture_output_name=_name(module.env, "EDGEPACK_CAPTURE_OUTPUT", ""),
    )


def _placed(module: ModuleOptions, image: str) -> ImageModule:
    return ImageModule(
        module.name,
        image,
        env=module.env,
        create_options=module.create_options,
        desired=module.desired or None,
        status=module.status,
        restart_policy=module.restart_policy,
        image_pull_policy=module.image_pull_policy,
        startup_order=module.startup_order,
    )


def _name(env: Mapping[str, EnvironmentValue], variable: str, default: str) -> str:
    """Name of an input or output for the module's own routes, where its environment changes it (* is every input)."""
    name = str(env.get(variable) or default)
    return default if name == "*" else name
