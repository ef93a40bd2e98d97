"""Recipe + image digest -> the deployment manifest. Pure."""

from typing import Any

from edgepack import PROJECT_FILE
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest, parse_routes
from edgepack.project import Recipe


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
    routes = None if recipe.module.routes is None else parse_routes(recipe.module.routes, f"{PROJECT_FILE}: routes")
    return deployment_manifest([module], routes)
