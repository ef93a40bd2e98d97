"""The desired properties of `$edgeHub`, read as edgeHub reads them: all of them, or none. Pure.

The rules are those of `edgepack.deployment.hub_rules`; what they only warn of is taken here.
"""

from typing import Any, NamedTuple

from edgepack.deployment.hub_rules import RULES
from edgepack.deployment.problem import DESIRED, manifest_of
from edgepack.deployment.route_tree import RouteError
from edgepack.deployment.router import DEFAULT_PRIORITY, Router, RouteSpec
from edgepack.deployment.runtime_values import integer_of

KEEP_MESSAGES_S = 7200
_OTHERS = ("route-condition", "route-name")
"""Rules that do not end in a 400: conditions are looked at later, names are IoT Hub's affair."""


class Configuration(NamedTuple):
    """What the desired properties of `$edgeHub` came to: `problem` is "" when they are in force.

    As in the product, `code` is 200 where routes can be read, though their conditions cannot be carried out.
    """

    code: int
    problem: str


class HubSettings(NamedTuple):
    """Desired properties that are in order. `keep_s`: how long messages are kept, -1 for ever."""

    router: Router
    keep_s: int


def read_configuration(desired: dict[str, Any]) -> HubSettings | Configuration:
    """The settings, or why there are none."""
    manifest = manifest_of({"modulesContent": {"$edgeHub": {DESIRED: desired}}})
    problems = [problem for check in RULES for problem in check(manifest) if problem.severity == "error"]
    wrong = [f"{_place(problem.pointer)}: {problem.message}" for problem in problems if problem.rule not in _OTHERS]
    if wrong:
        return Configuration(400, f"Error while parsing desired properties - {'; '.join(wrong)}")
    try:
        router = Router.compile({name: _spec(route) for name, route in desired["routes"].items() if route})
    except RouteError as error:
        return Configuration(200, f"the routes are not taken, and the old ones stay in force: {error}")
    store = desired.get("storeAndForwardConfiguration", {})
    return HubSettings(router, _number(store, "timeToLiveSecs", KEEP_MESSAGES_S))


def _place(pointer: str) -> str:
    """The last steps of a pointer: `routes/up/priority`."""
    return "/".join(pointer.split("/")[4:]) or "$edgeHub"


def _spec(route: str | dict[str, Any]) -> RouteSpec:
    body: dict[str, Any] = {"route": route} if isinstance(route, str) else route
    return RouteSpec(body["route"], _number(body, "priority", DEFAULT_PRIORITY), _number(body, "timeToLiveSecs", 0))


def _number(body: dict[str, Any], key: str, default: int) -> int:
    number = integer_of(body.get(key))
    return default if number is None else number
