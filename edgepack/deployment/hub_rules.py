"""Rules for `$edgeHub`: schema version, routes by themselves, store and forward.

Pure. From the public schemas of edgeHub 1.0 to 1.2 and from what the runtime (schema 1.0 to 1.3) reads.
"""

import re
from collections.abc import Iterator
from typing import Any

from edgepack.deployment.module_rules import MAX_UINT32
from edgepack.deployment.problem import LOOSE, Manifest, Place, Problem, Rule, integer_problems, object_problems, shown
from edgepack.deployment.route_check import check_route

MAX_PRIORITY = 9
MAX_INT32 = 2147483647

_DOTTED = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(\.[0-9]{1,9}){0,2}", re.ASCII)
ROUTE_NAME = re.compile(r"[^.$# ]+")


def version_of(manifest: Manifest) -> tuple[int, int]:
    """Major and minor of edgeHub's schema version; 1.1 when it cannot be read."""
    match = _DOTTED.fullmatch(_version_text(manifest.hub["schemaVersion"].value))
    return (int(match[1]), int(match[2])) if match else (1, 1)


def _version_text(value: Any) -> str:
    """What edgeHub makes of a schema version; it writes the number 1.0 as "1"."""
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else ""


def schema_version(manifest: Manifest) -> Iterator[Problem]:
    """edgeHub takes 1.0 to 1.3 by major and minor; the published schemas are for `1.0`, `1.1` and `1.2`."""
    place = manifest.hub["schemaVersion"]
    if "schemaVersion" not in manifest.hub:
        return
    if not _DOTTED.fullmatch(_version_text(place.value)):
        yield place.error("hub-schema-version", f'must be a text such as "1.1", not {shown(place.value)}')
    elif not (1, 0) <= version_of(manifest) <= (1, 3):
        yield place.error("hub-schema-version", f'edgeHub does not take {place.value}: write "1.1"')
    elif not isinstance(place.value, str):
        what = f'edgeHub reads the number {place.value} as a version, the schemas want a text: write "{place.value}"'
        yield place.warning(LOOSE, what)
    elif place.value not in ("1.0", "1.1", "1.2"):
        yield place.warning("schema-version-unpublished", f'{place.value} has no published schema: "1.1" is enough')


def hub_members(manifest: Manifest) -> Iterator[Problem]:
    """What edgeHub's desired properties must hold; from 1.1 on that includes storeAndForwardConfiguration."""
    hub, version = manifest.hub, version_of(manifest)
    if not isinstance(hub.value, dict):
        return
    required = ("schemaVersion", "routes") + (("storeAndForwardConfiguration",) if version >= (1, 1) else ())
    known = ("storeAndForwardConfiguration", "mqttBroker", "integrity")
    yield from object_problems(hub, required, known, "hub")
    if "mqttBroker" in hub:
        what = "has no effect, the broker was removed from the runtime in 1.3: remove it"
        yield hub["mqttBroker"].warning("hub-no-effect", what, on_key=True)
    if "integrity" in hub and version < (1, 3):
        what = 'has no effect, it is read from schemaVersion "1.3" on: write that, or remove it'
        yield hub["integrity"].warning("hub-no-effect", what, on_key=True)


def store_and_forward(manifest: Manifest) -> Iterator[Problem]:
    """How long edgeHub keeps messages: seconds, -1 for ever."""
    place = manifest.hub["storeAndForwardConfiguration"]
    if "storeAndForwardConfiguration" not in manifest.hub:
        return
    yield from object_problems(place, ("timeToLiveSecs",), ("storeLimits",), "store-and-forward")
    if "timeToLiveSecs" in place:
        yield from integer_problems(place["timeToLiveSecs"], -1, MAX_INT32, "store-and-forward", " (for ever)")
    limits = place["storeLimits"]
    if limits.value is not None:
        what = "is taken by the runtime, but refused by the published schemas: az iot needs --no-validation"
        yield limits.warning("store-limits-unpublished", what, on_key=True)
        yield from object_problems(limits, ("maxSizeBytes",), (), "store-and-forward")
        if "maxSizeBytes" in limits:
            yield from integer_problems(limits["maxSizeBytes"], 1, 2**63 - 1, "store-and-forward")


def routes(manifest: Manifest) -> Iterator[Problem]:
    """Each route's name and value."""
    place, version = manifest.hub["routes"], version_of(manifest)
    if "routes" in manifest.hub and not isinstance(place.value, dict):
        yield place.error("routes", "must be an object of routes by name")
    for name, route in place.items():
        if not ROUTE_NAME.fullmatch(name):
            what = f"the name {shown(name)} must not have '.', '$', '#' or blanks"
            yield route.error("route-name", what, on_key=True)
        if isinstance(route.value, str):
            yield from _route_text(route, version)
        elif not isinstance(route.value, dict):
            yield route.error("route", f"must be a text, or an object with 'route', not {shown(route.value)}")
        elif version == (1, 0):
            yield route.error("route", 'must be a text in schemaVersion "1.0": write "1.1" for priorities')
        else:
            yield from _route_object(route, version)


def _route_object(route: Place, version: tuple[int, int]) -> Iterator[Problem]:
    yield from object_problems(route, ("route",), ("priority", "timeToLiveSecs"), "route")
    text = route["route"]
    if isinstance(text.value, str):
        yield from _route_text(text, version)
    elif "route" in route:
        yield text.error("route", f"must be a text, not {shown(text.value)}")
    if "priority" in route:
        yield from integer_problems(route["priority"], 0, MAX_PRIORITY, "route-priority", " (first)")
    if "timeToLiveSecs" in route:
        yield from integer_problems(route["timeToLiveSecs"], 0, MAX_UINT32, "route-ttl", " (the general one)")


def _route_text(place: Place, version: tuple[int, int]) -> Iterator[Problem]:
    if not place.value:
        if version == (1, 0):
            yield place.warning("route-empty", "is empty, edgeHub passes over it: remove it")
        else:
            yield place.error("route", "is empty, and edgeHub then refuses all routes: remove it")
        return
    check = check_route(place.value)
    for problem in check.problems:
        if problem.stage == "syntax":
            what = f"{problem}; edgeHub refuses all routes when one cannot be read"
            yield place.error("route-syntax", what, column=problem.column)
        else:
            what = f"{problem}; edgeHub then goes on with the routes it had"
            yield place.error("route-condition", what, column=problem.column)
    for trap in check.traps:
        rule = "route-source" if trap.about_source else "route-trap"
        yield place.warning(rule, str(trap), column=trap.column)


RULES: tuple[Rule, ...] = (schema_version, hub_members, store_and_forward, routes)
