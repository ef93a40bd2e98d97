"""Layered deployments: a document that adds modules, routes and twin properties to what a base deployment brings. Pure.

A layer names what it sets by paths (`"properties.desired.modules.scorer"` under `$edgeAgent`). System modules, registry
credentials and how long edgeHub keeps messages are the base's.
"""

from collections.abc import Mapping
from typing import Any

from edgepack.deployment.problem import DESIRED, SYSTEM_TWINS


def layer_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The modules, routes and twins of a complete manifest, to be laid over a base that has the rest."""
    content = manifest["modulesContent"]
    agent, hub = (content[name][DESIRED] for name in SYSTEM_TWINS)
    layer = {
        "$edgeAgent": {f"{DESIRED}.modules.{name}": module for name, module in agent["modules"].items()},
        "$edgeHub": {f"{DESIRED}.routes.{name}": route for name, route in hub["routes"].items()},
    }
    own = {name: twin for name, twin in content.items() if name not in SYSTEM_TWINS}
    return {"modulesContent": {name: parts for name, parts in layer.items() if parts} | own}
