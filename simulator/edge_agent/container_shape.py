"""What createOptions ask for that a process of this machine can be given: places to write, and a port. Pure.

Read are `HostConfig.Binds`, `HostConfig.Mounts` (volumes and binds) and `HostConfig.PortBindings`. A bind of a folder
of the device's host is a folder of its own as well: nothing of this machine is written to.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

HTTP_PORT = "5001/tcp"


class VolumeMount(NamedTuple):
    """A volume by the name of its folder, and its place in the container."""

    name: str
    place: str


def volume_mounts(module: str, options: Mapping[str, Any], image_volumes: Iterable[str]) -> tuple[VolumeMount, ...]:
    """Each place in the container that keeps what is written there, once.

    The image's own volumes that createOptions do not name get a folder that belongs to the module.
    """
    host = _object(options.get("HostConfig"))
    found: dict[str, str] = {}
    for bind in _list(host.get("Binds")):
        source, _, rest = str(bind).partition(":")
        place = rest.partition(":")[0]
        if place:
            found[_clean(place)] = _folder_name(source)
    for mount in _list(host.get("Mounts")):
        kind, target = _object(mount).get("Type"), _object(mount).get("Target")
        if kind in ("volume", "bind") and isinstance(target, str):
            found[_clean(target)] = _folder_name(_object(mount).get("Source") or f"{module}{target}")
    for place in image_volumes:
        found.setdefault(_clean(place), _folder_name(f"{module}{place}"))
    return tuple(VolumeMount(name, place) for place, name in found.items())


def host_port(options: Mapping[str, Any], container_port: str = HTTP_PORT) -> int | None:
    """The port of the host under which the container's HTTP port is published, None when it is not."""
    bindings = _object(_object(options.get("HostConfig")).get("PortBindings"))
    for binding in _list(bindings.get(container_port)):
        text = str(_object(binding).get("HostPort", ""))
        if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
            return int(text)
    return None


def moved(text: str, places: Mapping[str, str]) -> str:
    """A variable's value with every path at or below one of `places` moved to where that is on this machine."""
    for place in sorted(places, key=len, reverse=True):
        pattern = rf"(^|[:=\s])(?:{re.escape(place)})(?=$|[/:\s])"
        text = re.sub(pattern, lambda match, place=place: match[1] + places[place], text)  # type: ignore[misc]
    return text


def _folder_name(source: Any) -> str:
    """A name for a folder: a volume's own, or the path of a bind without its slashes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(source)).strip("-.") or "volume"


def _clean(place: str) -> str:
    return place.rstrip("/") or "/"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
