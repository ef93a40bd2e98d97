"""Where collected data belongs in its folder, without the date: the names of Azure's layouts, made safe."""

import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

REQUESTS = "requests"
"""The collection of captured requests (capture)."""
_INSTANCE = uuid.uuid4().hex


@dataclass(frozen=True)
class Place:
    """Where data belongs, without the date. All parts are safe names."""

    folder: tuple[str, ...]
    name: str
    suffix: str
    hourly: bool


def csv_place(*, workspace: str, parts: tuple[object, ...], name: object, hourly: bool) -> Place:
    """Place of a v1 collector. `workspace` is subscription/group/name; `parts`: service, model, version and
    designation.
    """
    account = [*workspace.split("/", 2), "", ""][:3]
    return Place(("modeldata", *map(safe_name, (*account, *parts))), safe_name(name), ".csv", hourly)


def json_place(*, endpoint: str, deployment: str, collection: str, instance: str) -> Place:
    """Place of a v2 collector, as Azure's service lays it out in blob storage."""
    folder = ("modelDataCollector", safe_name(endpoint), safe_name(deployment), safe_name(collection))
    return Place(folder, safe_name(instance), ".jsonl", True)


def device_place(environment: Mapping[str, str], collection: str) -> Place:
    """Place of a collection of this process, by what the environment says of device and module."""
    return json_place(
        endpoint=environment.get("IOTEDGE_DEVICEID", ""),
        deployment=environment.get("IOTEDGE_MODULEID") or environment.get("SERVICE_NAME", ""),
        collection=collection,
        instance=_INSTANCE,
    )


def safe_name(value: object) -> str:
    """`value` as one name of a path: letters, digits and `._-`, no dot in front, at most 64 characters.

    A name that has to be changed gets a checksum of the original, so that different names stay different. An
    empty one is `default`.
    """
    text = str(value)
    kept = re.sub(r"[^A-Za-z0-9._-]", "_", text[:64])
    kept = "_" + kept[1:] if kept.startswith(".") else kept
    if kept != text and text:
        return f"{kept[:55]}-{zlib.crc32(text.encode('utf-8', 'backslashreplace')):08x}"
    return kept or "default"
