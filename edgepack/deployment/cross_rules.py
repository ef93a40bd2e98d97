"""Rules between parts of a manifest: routes and modules, twins and modules, ports, credentials and images.

Pure. The published schemas check none of this; the runtime takes most of it, and then nothing happens.
"""

from collections.abc import Iterator

from edgepack.deployment.create_options import join, parse
from edgepack.deployment.problem import SYSTEM_MODULES, Manifest, Place, Problem, Rule, shown
from edgepack.deployment.route_shape import RouteShape, RouteShapeError, can_be_spelled, read_shape
from edgepack.errors import InputError


def route_modules(manifest: Manifest) -> Iterator[Problem]:
    """Modules that routes name must be in the deployment."""
    known = tuple(manifest.modules.members)
    folded = {name.lower() for name in known}
    for place, shape in _shapes(manifest):
        if shape.source_module is not None and shape.source_module.lower() not in folded:
            yield place.error("route-module", _unknown(shape.source_module, known, "comes from"))
        if shape.module is not None and shape.module not in known:
            yield place.error("route-module", _unknown(shape.module, known, "leads to"))


def spelled_names(manifest: Manifest) -> Iterator[Problem]:
    """Module names that a route's path cannot spell, such as `42` or `not`."""
    for name, module in manifest.modules.items():
        if not can_be_spelled(name):
            yield module.warning("module-name", f"a route cannot name {shown(name)} as a source: choose another name")


def twins_without_module(manifest: Manifest) -> Iterator[Problem]:
    """Twins of modules that are not in the deployment."""
    for name, twin in manifest.content.items():
        if name.startswith("$"):
            if name not in ("$edgeAgent", "$edgeHub"):
                yield twin.error("module-twin", f"{shown(name)} is no module: only $edgeAgent and $edgeHub have a $")
        elif name not in manifest.modules:
            yield twin.warning("module-twin", f"has a twin here, but no module {shown(name)} is deployed")


def system_names(manifest: Manifest) -> Iterator[Problem]:
    """User modules must not take the names of the system modules."""
    for name in SYSTEM_MODULES:
        if name in manifest.modules:
            yield manifest.modules[name].error("module-name", f"{name} is the name of a system module: rename it")


def host_ports(manifest: Manifest) -> Iterator[Problem]:
    """Two containers cannot listen on one port of the host."""
    taken: list[tuple[str, str, range, str]] = []
    for name, module in manifest.all_modules:
        for address, protocol, ports in _bindings(module):
            for other_address, other_protocol, other_ports, other in taken:
                meets = protocol == other_protocol and _overlap(ports, other_ports)
                if meets and (address == other_address or "" in (address, other_address)):
                    port = max(ports.start, other_ports.start)
                    yield module["settings"]["createOptions"].error(
                        "host-port",
                        f"port {port}/{protocol} of the host is taken by {other} already: change one",
                    )
            taken.append((address, protocol, ports, name))


def unused_credentials(manifest: Manifest) -> Iterator[Problem]:
    """Credentials that no image needs are a password in the twin for nothing.

    Where an image names no registry, it comes from the engine's default one, and any credentials may be for that.
    """
    place = manifest.agent["runtime"]["settings"]["registryCredentials"]
    images = [str(module["settings"]["image"].value).strip().lower() for _, module in manifest.all_modules]
    hosts = [image.split("/")[0] if "/" in image else "" for image in images]
    if any("." not in host and ":" not in host and host != "localhost" for host in hosts):
        return
    for entry in place:
        address = entry["address"].value
        if isinstance(address, str) and "$" not in address:
            host = address.lower().removeprefix("https://").split("/")[0]
            if host not in hosts:
                yield entry.warning("unused-credentials", f"no image comes from {address}: remove the credentials")


def _shapes(manifest: Manifest) -> Iterator[tuple[Place, RouteShape]]:
    for route in manifest.hub["routes"]:
        place = route["route"] if isinstance(route.value, dict) else route
        if isinstance(place.value, str):
            try:
                yield place, read_shape(place.value)
            except RouteShapeError:
                continue


def _unknown(name: str, known: tuple[str, ...], what: str) -> str:
    there = f"there are {', '.join(known)}" if known else "there are none"
    return f"{what} a module {shown(name)} that is not deployed: {there}"


def _bindings(module: Place) -> Iterator[tuple[str, str, range]]:
    try:
        options = parse(join(module["settings"].members))
    except InputError:
        return
    for container_port, bindings in Place("", options)["HostConfig"]["PortBindings"].items():
        _, _, protocol = container_port.partition("/")
        for binding in bindings.value if isinstance(bindings.value, list) else ():
            place = Place("", binding)
            ports = _ports(place["HostPort"].value)
            if ports:
                address = place["HostIp"].value
                everywhere = not isinstance(address, str) or address in ("0.0.0.0", "::")  # noqa: S104
                yield "" if everywhere else str(address), protocol or "tcp", ports


def _ports(value: object) -> range:
    first, dash, last = str(value).partition("-")
    if not first.isascii() or not first.isdigit() or len(first) > 5 or int(first) == 0:
        return range(0)
    if not dash:
        return range(int(first), int(first) + 1)
    return range(int(first), int(last) + 1) if last.isascii() and last.isdigit() and len(last) <= 5 else range(0)


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


RULES: tuple[Rule, ...] = (
    route_modules,
    spelled_names,
    system_names,
    twins_without_module,
    host_ports,
    unused_credentials,
)
