"""The service interface: a call -> an answer, by one table. Pure but for the state of the hub that calls change.

Checked in this order: the path and method, the caller, the api-version, the rate, then what each call checks. After
every change the automatic deployments are applied.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from simulator.cloud import service_configurations as deployments
from simulator.cloud import service_identities as identities
from simulator.cloud import service_twins as twins
from simulator.cloud.configurations import apply_configurations
from simulator.cloud.hub_error import HubError
from simulator.cloud.service_access import (
    OWN_DEVICE,
    OWN_MODULE,
    REGISTRY_READ,
    REGISTRY_WRITE,
    SERVICE,
    check_access,
)
from simulator.cloud.service_request import Hub, MethodCall, Reply, Request

OLDEST_VERSION = "2018-06-30"
_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](-preview)?")


class Route(NamedTuple):
    """`path` has its ids in braces; `own` says who may call it with its own key; the throttle counts by `kind`."""

    method: str
    path: str
    right: str
    answer: Callable[..., Reply | MethodCall]
    own: str = ""
    kind: str = ""


ROUTES = (
    Route("GET", "devices", REGISTRY_READ, identities.get_devices),
    Route("POST", "devices/query", SERVICE, twins.post_query, kind="queries"),
    Route("GET", "devices/{d}", REGISTRY_READ, identities.get_device, OWN_DEVICE),
    Route("PUT", "devices/{d}", REGISTRY_WRITE, identities.put_device, kind="identities"),
    Route("DELETE", "devices/{d}", REGISTRY_WRITE, identities.delete_device, kind="identities"),
    Route("POST", "devices/{d}/applyConfigurationContent", SERVICE, deployments.post_content, kind="configurations"),
    Route("GET", "devices/{d}/modules", REGISTRY_READ, identities.get_modules, OWN_DEVICE),
    Route("GET", "devices/{d}/modules/{m}", REGISTRY_READ, identities.get_module, OWN_DEVICE),
    Route("PUT", "devices/{d}/modules/{m}", REGISTRY_WRITE, identities.put_module, OWN_DEVICE, "identities"),
    Route("DELETE", "devices/{d}/modules/{m}", REGISTRY_WRITE, identities.delete_module, OWN_DEVICE, "identities"),
    Route("GET", "statistics/devices", REGISTRY_READ, identities.get_device_counts),
    Route("GET", "statistics/service", SERVICE, identities.get_connected_count),
    Route("GET", "twins/{d}", SERVICE, twins.get_twin),
    Route("PATCH", "twins/{d}", SERVICE, twins.patch_twin),
    Route("PUT", "twins/{d}", SERVICE, twins.put_twin),
    Route("POST", "twins/{d}/methods", SERVICE, twins.post_method, OWN_MODULE),
    Route("GET", "twins/{d}/modules/{m}", SERVICE, twins.get_twin),
    Route("PATCH", "twins/{d}/modules/{m}", SERVICE, twins.patch_twin),
    Route("PUT", "twins/{d}/modules/{m}", SERVICE, twins.put_twin),
    Route("POST", "twins/{d}/modules/{m}/methods", SERVICE, twins.post_method, OWN_MODULE),
    Route("GET", "configurations", SERVICE, deployments.get_configurations, kind="configurations"),
    Route("POST", "configurations/testQueries", SERVICE, deployments.post_test_queries, kind="configurations"),
    Route("GET", "configurations/{c}", SERVICE, deployments.get_configuration, kind="configurations"),
    Route("PUT", "configurations/{c}", SERVICE, deployments.put_configuration, kind="configurations"),
    Route("DELETE", "configurations/{c}", SERVICE, deployments.delete_configuration, kind="configurations"),
)


def answer(hub: Hub, request: Request) -> Reply | MethodCall:
    """What the hub says to a call, after the changes that it asked for; or the method that is to be called."""
    try:
        route, ids = _route(request)
        check_access(hub, request, route.right, route.own, ids[0] if ids else "")
        _check_version(request)
        wait_s = hub.throttle.wait_s(route.kind, request.now_s) if hub.throttle else 0.0
        if wait_s:
            refused = refusal(HubError(429, f"too many calls about {route.kind}: try again in {wait_s:.0f} s"), request)
            return refused._replace(headers={"Retry-After": str(int(wait_s) + 1)})
        found = route.answer(hub, request, *ids)
    except HubError as error:
        return refusal(error, request)
    if request.method != "GET":
        apply_configurations(hub.registry, hub.configurations)
    return found


def refusal(error: HubError, request: Request) -> Reply:
    """The answer to a call that is refused."""
    where = f"{request.method} /{'/'.join(request.path)}"[:300]
    document: dict[str, Any] = {"Message": f"ErrorCode:{error.code};{error.text}", "ExceptionMessage": where}
    headers = {"WWW-Authenticate": "SharedAccessSignature"} if error.status == 401 else {}
    return Reply(error.status, document, headers | {"iothub-errorcode": error.code})


def _route(request: Request) -> tuple[Route, list[str]]:
    here = [(route, _ids(route.path.split("/"), request.path)) for route in ROUTES]
    matching = [(route, ids) for route, ids in here if ids is not None]
    for route, ids in matching:
        if route.method == request.method:
            return route, ids
    if matching:
        allowed = ", ".join(sorted({route.method for route, _ in matching}))
        raise HubError(405, f"{request.method[:20]} is not answered here; there are {allowed}")
    raise HubError(404, "the simulated hub has no such path", "ResourceNotFound")


def _ids(pattern: list[str], path: tuple[str, ...]) -> list[str] | None:
    if len(pattern) != len(path):
        return None
    ids: list[str] = []
    for wanted, given in zip(pattern, path, strict=True):
        if wanted.startswith("{"):
            ids.append(given)
        elif wanted.lower() != given.lower():
            return None
    return ids if all(ids) else None


def _check_version(request: Request) -> None:
    version = request.query.get("api-version", "")
    if not _VERSION.fullmatch(version) or version[:10] < OLDEST_VERSION:
        said = f"is {version[:30]!r}" if version else "is missing"
        raise HubError(
            400, f"api-version {said}: give one from {OLDEST_VERSION} on, such as 2021-04-12", "InvalidProtocolVersion"
        )
