"""Recipe + image digest -> the deployment manifest. Pure."""

from collections.abc import Mapping
from typing import Any

from edgepack.deployment.manifest import ModuleSpec, Route, deployment_manifest
from edgepack.errors import InputError
from edgepack.project import PROJECT_FILE, Recipe

_ROUTE_KEYS = {"route", "priority", "timeToLiveSecs"}


def deployment_document(recipe: Recipe, digest: str) -> dict[str, Any]:
    """The manifest that runs the image `digest` (`sha256:HEX`) as the recipe's module.

    Raises:
        InputError: the module or a route is not what IoT Edge takes; all problems.
    """
    module = ModuleSpec(
        name=recipe.module.name,
        repository=recipe.image.name,
        digest=digest,
        env=recipe.module.env,
        create_options=recipe.module.create_options,
        desired=recipe.module.desired or None,
    )
    routes = None if recipe.module.routes is None else _routes(recipe.module.routes)
    return deployment_manifest([module], routes)


def _routes(given: Mapping[str, Any]) -> dict[str, Route]:
    problems: list[str] = []
    routes: dict[str, Route] = {}
    for name, value in given.items():
        where = f"{PROJECT_FILE}: routes.{name}"
        match value:
            case str():
                routes[name] = Route(value)
            case {"route": str(text)} if not value.keys() - _ROUTE_KEYS:
                figures = {key: value.get(key) for key in ("priority", "timeToLiveSecs")}
                problems += [
                    f"{where}.{key} must be a whole number, not {figure!r}"
                    for key, figure in figures.items()
                    if figure is not None and type(figure) is not int
                ]
                routes[name] = Route(text, figures["priority"], figures["timeToLiveSecs"])
            case _:
                problems.append(
                    f"{where} must be the text of a route, or a mapping with `route`, `priority`, `timeToLiveSecs`"
                )
    InputError.raise_if_any(problems)
    return routes
