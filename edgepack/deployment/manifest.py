"""Writes the deployment manifest of one or more modules, as IoT Edge 1.5 and 1.6 take it.

Pure. What comes out is checked with `validate` before it is returned, against the runtime's rules and the
published schemas'. Images are named by digest, because IoT Edge's agent compares only the text of an image.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgepack.deployment.create_options import PIECE_CHARACTERS, chunk, merge, minified
from edgepack.deployment.problem import DESIRED, LOOSE, Problem, shown
from edgepack.deployment.route_tokens import can_be_spelled
from edgepack.deployment.validate import problems
from edgepack.errors import InputError

SCHEMA_VERSION = "1.1"
RUNTIME_VERSION = "1.6"
RUNTIME_IMAGES = "mcr.microsoft.com/azureiotedge"
KEEP_MESSAGES_S = 7200
HTTP_PORT = 5001
BUFFER_FOLDER = "/var/lib/edgepack"

EnvironmentValue = str | int | float | bool

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB_PORTS = ("8883/tcp", "5671/tcp", "443/tcp")


@dataclass(frozen=True, slots=True)
class Route:
    """A route of edgeHub. Priority 0 (first) to 9, None: last; time to live 0 or None: the general one."""

    text: str
    priority: int | None = None
    time_to_live_s: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What the device needs to pull from a private registry; kept as plain text in the twin."""

    address: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A module to deploy: the image `repository@digest` (repository without a tag, digest `sha256:HEX`).

    `create_options` is laid over the defaults (see `default_create_options`). `desired` are the module twin's
    desired properties, None: no twin. `host_port` is published on 127.0.0.1 of the host, None: not at all.
    `capture_output_name` "": captured requests are not sent.
    """

    name: str
    repository: str
    digest: str
    version: str = "1.0"
    env: Mapping[str, EnvironmentValue] = field(default_factory=dict)
    create_options: Mapping[str, Any] = field(default_factory=dict)
    desired: Mapping[str, Any] | None = None
    status: str = "running"
    restart_policy: str = "always"
    image_pull_policy: str = "on-create"
    startup_order: int = 1
    host_port: int | None = HTTP_PORT
    input_name: str = "amlInput"
    output_name: str = "amlOutput"
    error_output_name: str = "amlError"
    capture_output_name: str = ""


@dataclass(frozen=True, slots=True)
class ImageModule:
    """A module whose image somebody else made: nothing is added to what is given, and it gets no routes."""

    name: str
    image: str
    version: str = "1.0"
    env: Mapping[str, EnvironmentValue] = field(default_factory=dict)
    create_options: Mapping[str, Any] = field(default_factory=dict)
    desired: Mapping[str, Any] | None = None
    status: str = "running"
    restart_policy: str = "always"
    image_pull_policy: str = "on-create"
    startup_order: int = 1


def deployment_manifest(
    modules: Sequence[ModuleSpec | ImageModule],
    routes: Mapping[str, Route] | None = None,
    *,
    credentials: Mapping[str, RegistryCredentials] | None = None,
    keep_messages_s: int = KEEP_MESSAGES_S,
    runtime_version: str = RUNTIME_VERSION,
    schema_version: str = SCHEMA_VERSION,
    piece_characters: int = PIECE_CHARACTERS,
) -> dict[str, Any]:
    """The manifest as a JSON document (write it with `json.dumps`).

    `routes`, when given, are all routes; None: `default_routes` of every `ModuleSpec`. `keep_messages_s` is how
    long edgeHub keeps what it cannot deliver, -1 for ever.

    Raises:
        InputError: a value that IoT Edge or the published schemas would not take; all of them.
    """
    InputError.raise_if_any(problem for module in modules for problem in _module_problems(module))
    chosen = routes
    if chosen is None:
        own = (default_routes(module) for module in modules if isinstance(module, ModuleSpec))
        chosen = {name: route for routes in own for name, route in routes.items()}
    agent = {
        "schemaVersion": schema_version,
        "runtime": _runtime(credentials or {}),
        "systemModules": _system_modules(runtime_version, piece_characters),
        "modules": {module.name: _module(module, piece_characters) for module in modules},
    }
    hub = {
        "schemaVersion": schema_version,
        "routes": {name: _route(route) for name, route in chosen.items()},
        "storeAndForwardConfiguration": {"timeToLiveSecs": keep_messages_s},
    }
    content: dict[str, Any] = {"$edgeAgent": {DESIRED: agent}, "$edgeHub": {DESIRED: hub}}
    for module in modules:
        if module.desired is not None:
            content[module.name] = {DESIRED: dict(module.desired)}
    manifest = {"modulesContent": content}
    twice = sorted({module.name for module in modules if [each.name for each in modules].count(module.name) > 1})
    InputError.raise_if_any(
        (
            *(f"there are several modules called {name}: rename all but one" for name in twice),
            *(f"deployment manifest, {problem.pointer}: {problem.message}" for problem in _refused(manifest)),
        )
    )
    return manifest


def _refused(manifest: Mapping[str, Any]) -> list[Problem]:
    """Errors, and what other people's manifests may have: values in loose forms, modules that others deploy."""
    strict = (LOOSE, "route-module")
    return [problem for problem in problems(manifest) if problem.severity == "error" or problem.rule in strict]


def default_routes(module: ModuleSpec) -> dict[str, Route]:
    """Leaf devices' messages into the module (`MODULEInput`); its results (`MODULEOutput`), what it could not score
    (`MODULEErrors`) and the requests it keeps (`MODULECaptured`) to IoT Hub. What no route takes is lost.
    """
    endpoint = f'BrokeredEndpoint("/modules/{module.name}/inputs/{module.input_name}")'
    outputs = f"/messages/modules/{module.name}/outputs"
    routes = {
        f"{module.name}Input": Route(f"FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO {endpoint}"),
        f"{module.name}Output": Route(f"FROM {outputs}/{module.output_name} INTO $upstream"),
        f"{module.name}Errors": Route(f"FROM {outputs}/{module.error_output_name} INTO $upstream"),
    }
    if module.capture_output_name:
        routes[f"{module.name}Captured"] = Route(f"FROM {outputs}/{module.capture_output_name} INTO $upstream")
    return routes


def default_create_options(name: str, host_port: int | None) -> dict[str, Any]:
    """What a module's container is created with, when nothing else is asked for.

    A read-only root with a `/tmp` in memory, a named volume for the buffer, the HTTP port on the host's
    loopback address only, and logs of at most 30 MB.
    """
    host: dict[str, Any] = {
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=64m"},  # noqa: S108
        "Binds": [f"{name}-buffer:{BUFFER_FOLDER}"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }
    if host_port is None:
        return {"HostConfig": host}
    port = f"{HTTP_PORT}/tcp"
    host["PortBindings"] = {port: [{"HostIp": "127.0.0.1", "HostPort": str(host_port)}]}
    return {"ExposedPorts": {port: {}}, "HostConfig": host}


def parse_routes(value: Any, where: str) -> dict[str, Route]:
    """Read routes as a manifest has them: names with a text, or with `{route, priority, timeToLiveSecs}`.

    `where` (such as "edgepack.yaml: routes") begins each problem's text.

    Raises:
        InputError: anything of another shape; all problems at once. Ranges are left to `deployment_manifest`.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: must be routes by name, not {shown(value)}")
    found: dict[str, Route] = {}
    wrong = []
    for name, route in value.items():
        body = {"route": route} if isinstance(route, str) else route
        if not isinstance(name, str) or not isinstance(body, dict) or not isinstance(body.get("route"), str):
            wrong.append(f"{where}: {name}: must be a text, or have 'route' with a text, not {shown(route)}")
            continue
        for key in body:
            if key not in ("route", "priority", "timeToLiveSecs"):
                wrong.append(f"{where}: {name}: unknown key {key!r}: use route, priority, timeToLiveSecs")
        found[name] = Route(body["route"], body.get("priority"), body.get("timeToLiveSecs"))
    InputError.raise_if_any(wrong)
    return found


def _module(module: ModuleSpec | ImageModule, piece_characters: int) -> dict[str, Any]:
    image = module.image if isinstance(module, ImageModule) else f"{module.repository}@{module.digest}"
    return {
        "version": module.version,
        "type": "docker",
        "status": module.status,
        "restartPolicy": module.restart_policy,
        "imagePullPolicy": module.image_pull_policy,
        "startupOrder": module.startup_order,
        "env": {name: {"value": value} for name, value in module.env.items()},
        "settings": {"image": image, **chunk(minified(_options(module)), piece_characters)},
    }


def _options(module: ModuleSpec | ImageModule) -> Mapping[str, Any]:
    if isinstance(module, ImageModule):
        return module.create_options
    return merge(default_create_options(module.name, module.host_port), module.create_options)


def _system_modules(runtime_version: str, piece_characters: int) -> dict[str, Any]:
    ports = {port: [{"HostPort": port.split("/")[0]}] for port in _HUB_PORTS}
    hub_options = minified({"HostConfig": {"PortBindings": ports}})
    return {
        "edgeAgent": {
            "type": "docker",
            "imagePullPolicy": "on-create",
            "settings": {"image": f"{RUNTIME_IMAGES}-agent:{runtime_version}", "createOptions": "{}"},
        },
        "edgeHub": {
            "type": "docker",
            "status": "running",
            "restartPolicy": "always",
            "imagePullPolicy": "on-create",
            "startupOrder": 0,
            "settings": {
                "image": f"{RUNTIME_IMAGES}-hub:{runtime_version}",
                **chunk(hub_options, piece_characters),
            },
        },
    }


def _runtime(credentials: Mapping[str, RegistryCredentials]) -> dict[str, Any]:
    settings: dict[str, Any] = {"minDockerVersion": "v1.25"}
    if credentials:
        settings["registryCredentials"] = {
            name: {"address": each.address, "username": each.username, "password": each.password}
            for name, each in credentials.items()
        }
    return {"type": "docker", "settings": settings}


def _route(route: Route) -> str | dict[str, Any]:
    if route.priority is None and route.time_to_live_s is None:
        return route.text
    extras = {"priority": route.priority, "timeToLiveSecs": route.time_to_live_s}
    return {"route": route.text} | {key: value for key, value in extras.items() if value is not None}


def _module_problems(module: ModuleSpec | ImageModule) -> list[str]:
    found = _own_problems(module) if isinstance(module, ModuleSpec) else []
    try:
        minified(_options(module))
    except (TypeError, ValueError) as error:
        found.append(f"module {module.name}: create_options cannot be written as JSON: {error}")
    return found


def _own_problems(module: ModuleSpec) -> list[str]:
    found = []
    if not _DIGEST.fullmatch(module.digest):
        found.append(f"module {module.name}: digest {shown(module.digest)} must be sha256: and 64 hex digits")
    last = module.repository.rsplit("/", 1)[-1]
    if "@" in module.repository or ":" in last:
        found.append(f"module {module.name}: repository {shown(module.repository)} must come without tag and digest")
    names = (module.output_name, module.error_output_name, module.capture_output_name)
    for what, name in (("input", module.input_name), *(("output", name) for name in names if name)):
        if not can_be_spelled(name):
            found.append(f"module {module.name}: {what} {shown(name)} cannot be named in a route: choose another name")
    return found
