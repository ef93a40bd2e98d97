"""A deployment configuration of type `iot` -> Assembly: the model as a module of IoT Edge, with what stands beside it.

Secrets of the file do not go into what is built: credentials are written as placeholders, and `edgepack manifest
render` puts in the values of environment variables where the deployment is made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepack.assembly import Assembly, PlacedModule
from edgepack.deployment.manifest import RegistryCredentials
from edgepack.deployment_targets import AcrCredentials, EdgeModule, IotDeployment
from edgepack.project import BuildOptions, recipe_of
from edgepack.project_file import ModuleOptions

_PLACEHOLDER = re.compile(r"\$\w+|\$\{\w+\}")


@dataclass(frozen=True, slots=True)
class EdgeAssembly:
    """What to build, and the environment variables whose values the manifest needs before it is deployed."""

    assembly: Assembly
    variables: tuple[str, ...]


def edge_assembly(
    deployment: IotDeployment, options: BuildOptions, config: Mapping[str, Any] | None, folder: Path
) -> EdgeAssembly:
    """What the model, the inference configuration (in `options`, or the document `config`) and the deployment make.

    Raises:
        InputError: all that is wrong with inference configuration, script, conda file and names.
    """
    module = _options(deployment.module)
    document = {"module": {"name": module.name}, **({"inference_config": dict(config)} if config else {})}
    recipe = recipe_of(document, folder, options)
    told = {name: value for name, value in deployment.variables.items() if name not in recipe.variables}
    recipe = replace(recipe, module=replace(module, env={**told, **module.env}))
    placed = tuple(PlacedModule(_options(each), each.image or "") for each in deployment.external_modules)
    credentials = _credentials(deployment.credentials)
    variables = [
        text.strip("${}")
        for each in credentials.values()
        for text in (each.username, each.password)
        if _PLACEHOLDER.fullmatch(text)
    ]
    assembly = Assembly({"": recipe}, placed, deployment.routes, credentials)
    return EdgeAssembly(assembly, tuple(dict.fromkeys(variables)))


def _options(module: EdgeModule) -> ModuleOptions:
    return ModuleOptions(module.name, module.create_options, module.environment, module.desired)


def _credentials(given: Sequence[AcrCredentials]) -> dict[str, RegistryCredentials]:
    """By a name from the registry's address; what is no placeholder yet becomes one."""
    found: dict[str, RegistryCredentials] = {}
    for each in given:
        name = re.sub(r"\W+", "_", each.location.partition(".")[0]) or "registry"
        while name in found:
            name += "_"
        user, password = (
            text if _PLACEHOLDER.fullmatch(text) else f"${{CONTAINER_REGISTRY_{what}_{name}}}"
            for what, text in (("USERNAME", each.user), ("PASSWORD", each.password))
        )
        found[name] = RegistryCredentials(each.location, user, password)
    return found
