"""The body with which an engine creates a module's container: createOptions as given, and what the run adds. Pure.

Added or changed, since the hub is on this machine and runs are to leave nothing behind: the image and the variables;
the network is the host's; the workload socket is mounted; named volumes get names of the run's own; the engine does not
restart the container and does not remove it, which is edgeAgent's affair.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.edge_agent.deployment import WantedModule

OWNER_LABEL = "io.edgepack.simulator"
"""Its value names the process that made a container or volume."""
DEVICE_LABEL = "io.edgepack.simulator.device"
_WORKLOAD = "IOTEDGE_WORKLOADURI"
_SOCKET = "unix://"


class ContainerBody(NamedTuple):
    """What to send to the engine, and the volumes to make before, by their names there."""

    body: dict[str, Any]
    volumes: tuple[str, ...]


def container_body(
    module: WantedModule, image: str, environment: Mapping[str, str], labels: Mapping[str, str], volume_prefix: str
) -> ContainerBody:
    """The body for a module whose variables are `environment`, over those of the deployment.

    `volume_prefix` goes before the name of every named volume.
    """
    body: dict[str, Any] = copy.deepcopy(dict(module.create_options))
    variables = {**module.environment, **environment}
    given = [text for text in _list(body.get("Env")) if str(text).partition("=")[0] not in variables]
    host = dict(body.get("HostConfig") or {})
    volumes: list[str] = []
    binds = [_renamed_bind(str(bind), volume_prefix, volumes) for bind in _list(host.get("Binds"))]
    uri = variables.get(_WORKLOAD, "")
    if uri.startswith(_SOCKET):
        path = uri.removeprefix(_SOCKET)
        binds.append(f"{path}:{path}")
    mounts = [_renamed_mount(mount, volume_prefix, volumes) for mount in _list(host.get("Mounts"))]
    host |= {"Binds": binds, "NetworkMode": "host", "AutoRemove": False, "RestartPolicy": {"Name": ""}}
    if mounts:
        host["Mounts"] = mounts
    host.pop("PortBindings", None)  # the network is the host's
    body.pop("NetworkingConfig", None)
    body |= {
        "Image": image,
        "Env": given + [f"{name}={value}" for name, value in sorted(variables.items())],
        "Labels": {**(body.get("Labels") or {}), **labels},
        "HostConfig": host,
    }
    return ContainerBody(body, tuple(dict.fromkeys(volumes)))


def _renamed_bind(bind: str, prefix: str, volumes: list[str]) -> str:
    source, colon, rest = bind.partition(":")
    if not colon or source.startswith(("/", "~", ".")):
        return bind
    volumes.append(prefix + source)
    return f"{prefix}{source}:{rest}"


def _renamed_mount(mount: Any, prefix: str, volumes: list[str]) -> Any:
    if not isinstance(mount, Mapping) or mount.get("Type") != "volume" or not mount.get("Source"):
        return mount
    name = f"{prefix}{mount['Source']}"
    volumes.append(name)
    return {**mount, "Source": name}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
