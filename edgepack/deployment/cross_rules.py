"""Rules between parts of a manifest: routes and modules, twins and modules, ports, credentials and images.

Pure. The published schemas check none of this; the runtime takes most of it, and then nothing happens.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgepack.deployment.option_rules import in_options, options_of
from edgepack.deployment.problem import SYSTEM_MODULES, SYSTEM_TWINS, Manifest, Place, Problem, Rule, shown
from edgepack.deployment.route_check import check_route
from edgepack.deployment.route_tokens import can_be_spelled
from edgepack.deployment.route_tree import ModuleInput, Route
from edgepack.deployment.runtime_values import choice_of

_MOST_NAMED = 20


def route_modules(manifest: Manifest) -> Iterator[Problem]:
    """Modules that routes name must be in the deployment; a layer's may be in what it is laid over."""
    known = tuple(manifest.modules.members)
    folded = {name.lower() for name in known}
    for place, route in _routes(manifest):
        source, sink = route.source_module, route.sink
        missing = []
        if source is not None and source.lower() not in folded:
            missing.append(_unknown(source, known, "comes from"))
        if isinstance(sink, ModuleInput) and sink.module not in known:
            missing.append(_unknown(sink.module, known, "leads to"))
        for text in missing:
            if manifest.is_layer:
                yield place.warning("route-module-of-base", f"{text}; it must be in the deployment below this layer")
            else:
                what = f"{text}; edgeHub takes the route, and it works if a layer or the hub itself has such a module"
                yield place.warning("route-module", what)


def route_ends(manifest: Manifest) -> Iterator[Problem]:
    """Inputs and outputs that routes name, where a module's environment tells which ones it has."""
    inputs = {name: _names(module, ("EDGEPACK_INPUT",)) for name, module in manifest.modules.items()}
    outputs = {name.lower(): _outputs(module) for name, module in manifest.modules.items()}
    for place, route in _routes(manifest):
        sink, path = route.sink, route.path
        if isinstance(sink, ModuleInput) and inputs.get(sink.module) and sink.input_name not in inputs[sink.module]:
            there = ", ".join(inputs[sink.module])
            what = f"leads to the input {shown(sink.input_name)} of {sink.module}, whose environment sets: {there}"
            yield place.warning("route-input", what)
        is_output = len(path) == 5 and path[3].lower() == "outputs" and route.source_module is not None
        known = outputs.get(path[2].lower(), ()) if is_output else ()
        if known and path[4] != "*" and path[4].lower() not in [name.lower() for name in known]:
            there = ", ".join(known)
            what = f"comes from the output {shown(path[4])} of {path[2]}, whose environment sets: {there}"
            yield place.warning("route-output", what)


def _outputs(module: Place) -> tuple[str, ...]:
    """All of a module's outputs; none where one of them may have the agent's default name."""
    usual = _names(module, ("EDGEPACK_OUTPUT", "EDGEPACK_ERROR_OUTPUT"))
    return usual + _names(module, ("EDGEPACK_CAPTURE_OUTPUT",)) if len(usual) == 2 else ()


def _names(module: Place, variables: tuple[str, ...]) -> tuple[str, ...]:
    values = (module["env"][name]["value"].value for name in variables)
    return tuple(value for value in values if isinstance(value, str) and value)


def spelled_names(manifest: Manifest) -> Iterator[Problem]:
    """Module names that a route's path cannot spell, such as `42` or `not`."""
    for name, module in manifest.modules.items():
        if not can_be_spelled(name):
            what = f"a route cannot name {shown(name)} as a source: choose another name"
            yield module.warning("module-name-in-routes", what, on_key=True)


def twins_without_module(manifest: Manifest) -> Iterator[Problem]:
    """Twins of modules that are not in the deployment; a layer's may be in what it is laid over."""
    for name, twin in manifest.content.items():
        if name.startswith("$"):
            if name not in SYSTEM_TWINS:
                what = f"{shown(name)} is no module: only $edgeAgent and $edgeHub have a $"
                yield twin.error("system-twin", what, on_key=True)
        elif name not in manifest.modules and not manifest.is_layer:
            what = f"has a twin here, but no module {shown(name)} is deployed"
            yield twin.warning("module-twin", what, on_key=True)


def system_names(manifest: Manifest) -> Iterator[Problem]:
    """User modules must not take the names of the system modules."""
    for name in SYSTEM_MODULES:
        if name in manifest.modules:
            what = f"{name} is the name of a system module: rename it"
            yield manifest.modules[name].error("module-name", what, on_key=True)


class _Binding(NamedTuple):
    ports: range
    address: str  # "": every one
    protocol: str
    module: str
    is_stopped: bool
    place: Place
    settings: Place


def host_ports(manifest: Manifest) -> Iterator[Problem]:
    """Two containers cannot listen on one port of the host; one that is stopped does not listen."""
    bindings = [binding for name, module in manifest.all_modules for binding in _bindings(name, module)]
    for binding, other in _clashes([binding for binding in bindings if not binding.is_stopped]):
        what = f"{_port(binding)} is taken by {other.module} already: change one"
        yield in_options(binding.place.error("host-port", what), binding.settings)
    if not any(binding.is_stopped for binding in bindings):
        return
    for binding, other in _clashes(bindings):
        if binding.is_stopped or other.is_stopped:
            what = f"{_port(binding)} is that of {other.module}, too: only one of them can run, and one is stopped"
            yield in_options(binding.place.warning("host-port-stopped", what), binding.settings)


def _port(binding: _Binding) -> str:
    return f"port {binding.ports.start}/{binding.protocol} of the host"


def _clashes(bindings: Sequence[_Binding]) -> Iterator[tuple[_Binding, _Binding]]:
    """Those whose ports one that begins before them has already, and that one."""
    furthest: dict[tuple[str, str], _Binding] = {}  # by protocol and address, of those that begin before
    furthest_of_all: dict[str, _Binding] = {}
    for binding in sorted(bindings, key=lambda each: each.ports.start):
        protocol, address, start = binding.protocol, binding.address, binding.ports.start
        here, everywhere = furthest.get((protocol, address)), furthest.get((protocol, ""))
        others = (here, everywhere) if address else (furthest_of_all.get(protocol),)
        other = next((each for each in others if each and each.ports.stop > start), None)
        if other:
            yield binding, other
        furthest[protocol, address] = _further(binding, furthest.get((protocol, address)))
        furthest_of_all[protocol] = _further(binding, furthest_of_all.get(protocol))


def _further(one: _Binding, other: _Binding | None) -> _Binding:
    return other if other is not None and other.ports.stop >= one.ports.stop else one


def unused_credentials(manifest: Manifest) -> Iterator[Problem]:
    """Credentials that no image needs are a password in the twin for nothing.

    Where an image names no registry, it comes from the engine's default one, and any credentials may be for that.
    """
    if manifest.is_layer:
        return
    images = [str(module["settings"]["image"].value).strip().lower() for _, module in manifest.all_modules]
    hosts = {registry_of(image) for image in images}
    if "" in hosts or any("$" in host for host in hosts):
        return
    for entry in _credentials(manifest):
        address = entry["address"].value
        if isinstance(address, str) and "$" not in address and _host(address) not in hosts:
            yield entry.warning("unused-credentials", f"no image comes from {shown(address)}: remove the credentials")


def missing_credentials(manifest: Manifest) -> Iterator[Problem]:
    """Images of registries that are private for certain, and no credentials for them."""
    addresses = [entry["address"].value for entry in _credentials(manifest)]
    if manifest.is_layer or any(not isinstance(address, str) or "$" in address for address in addresses):
        return
    known = {_host(str(address)) for address in addresses}
    for _, module in manifest.all_modules:
        image = module["settings"]["image"]
        host = registry_of(image.value.strip().lower()) if isinstance(image.value, str) else ""
        if _PRIVATE.fullmatch(host) and host not in known:
            what = f"{host} is a private registry, and there are no credentials for it: add some to registryCredentials"
            yield image.warning("missing-credentials", what)


_PRIVATE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.azurecr\.(io|cn|us)|[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")


def _credentials(manifest: Manifest) -> Place:
    return manifest.agent["runtime"]["settings"]["registryCredentials"]


def registry_of(image: str) -> str:
    """The registry's host (and port) of an image's name; "" for the engine's own default."""
    host, slash, _ = image.partition("/")
    return host if slash and ("." in host or ":" in host or "$" in host or host == "localhost") else ""


def _host(address: str) -> str:
    return address.lower().removeprefix("https://").split("/")[0]


def _routes(manifest: Manifest) -> Iterator[tuple[Place, Route]]:
    for route in manifest.hub["routes"]:
        place = route["route"] if isinstance(route.value, dict) else route
        found = check_route(place.value).route if isinstance(place.value, str) else None
        if found is not None:
            yield place, found


def _unknown(name: str, known: tuple[str, ...], what: str) -> str:
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    there = f"there are {', '.join(known[:_MOST_NAMED])}{more}" if known else "there are none"
    return f"{what} a module {shown(name)} that is not deployed: {there}"


def _bindings(name: str, module: Place) -> Iterator[_Binding]:
    host = options_of(module)["HostConfig"]
    if host["NetworkMode"].value == "host":
        return
    is_stopped = choice_of(module["status"].value, ("stopped",)) is not None
    for container_port, bindings in host["PortBindings"].items():
        protocol = container_port.partition("/")[2] or "tcp"
        for place in bindings.items_in_order():
            ports, address = _ports(place["HostPort"].value), place["HostIp"].value
            if ports:
                everywhere = not isinstance(address, str) or address in ("", "0.0.0.0", "::")  # noqa: S104
                where = "" if everywhere else str(address)
                yield _Binding(ports, where, protocol, name, is_stopped, place, module["settings"])


def _ports(value: object) -> range:
    first, dash, last = str(value).partition("-")
    if not first.isascii() or not first.isdigit() or len(first) > 5 or int(first) == 0:
        return range(0)
    if not dash:
        return range(int(first), int(first) + 1)
    return range(int(first), int(last) + 1) if last.isascii() and last.isdigit() and len(last) <= 5 else range(0)


RULES: tuple[Rule, ...] = (
    route_modules,
    route_ends,
    spelled_names,
    system_names,
    twins_without_module,
    host_ports,
    unused_credentials,
    missing_credentials,
)
