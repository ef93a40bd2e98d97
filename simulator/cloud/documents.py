"""Identities and twins as the service interface shows them. Pure.

Times are UTC texts, `0001-01-01T00:00:00Z` for what never happened. The scope of an edge device names it and its
generation; a child shows its parent's.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.cloud.identity import Identity
from simulator.cloud.registry import Registry
from simulator.cloud.twin import utc_text

NEVER = "0001-01-01T00:00:00Z"

Statuses = Mapping[str, Mapping[str, str]]
"""By device, the configurations that target it, each with its status."""


def identity_document(registry: Registry, identity: Identity) -> dict[str, Any]:
    """A device or module with its keys."""
    document: dict[str, Any] = {"deviceId": identity.device_id}
    if identity.module_id:
        document |= {"moduleId": identity.module_id, "managedBy": identity.managed_by or None}
    document |= {
        "generationId": identity.generation_id,
        "etag": identity.etag,
        **_connection(registry, identity),
        "cloudToDeviceMessageCount": 0,
        "authentication": {
            "type": "sas",
            "symmetricKey": {
                "primaryKey": base64.b64encode(identity.primary_key).decode(),
                "secondaryKey": base64.b64encode(identity.secondary_key).decode(),
            },
            "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
        },
    }
    if not identity.module_id:
        document |= {
            "status": _status(identity),
            "statusReason": None,
            "statusUpdatedTime": NEVER,
            **_capabilities(registry, identity),
        }
    return document


def twin_document(registry: Registry, identity: Identity, statuses: Statuses) -> dict[str, Any]:
    """A twin with everything around it. Devices and edge agents show the configurations that target them."""
    twin = registry.twin(identity.client_id)
    document: dict[str, Any] = {"deviceId": identity.device_id}
    if identity.module_id:
        document["moduleId"] = identity.module_id
    document |= {
        "etag": twin.etag,
        "deviceEtag": identity.etag,
        "status": _status(identity),
        "statusUpdateTime": NEVER,
        **_connection(registry, identity),
        "cloudToDeviceMessageCount": 0,
        "authenticationType": "sas",
        "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
        "modelId": "",
        "version": twin.version,
        "tags": twin.tags,
    }
    if identity.module_id in ("", "$edgeAgent") and (configurations := statuses.get(identity.device_id)):
        document["configurations"] = {name: {"status": status} for name, status in configurations.items()}
    document["properties"] = twin.service_properties()
    return document | ({} if identity.module_id else _capabilities(registry, identity))


def twin_documents(registry: Registry, source: str, statuses: Statuses) -> Iterator[dict[str, Any]]:
    """The twins of all `devices` or of all `devices.modules`."""
    identities = registry.devices() if source == "devices" else registry.identities()
    for identity in identities:
        if source == "devices" or identity.module_id:
            yield twin_document(registry, identity, statuses)


def scope(identity: Identity) -> str:
    """The name of an edge device's scope."""
    return f"ms-azure-iot-edge://{identity.device_id}-{identity.generation_id}"


def _capabilities(registry: Registry, identity: Identity) -> dict[str, Any]:
    parent = registry.identity(identity.parent) if identity.parent else None
    above = scope(parent) if parent else ""
    return {
        "capabilities": {"iotEdge": identity.is_edge},
        "deviceScope": scope(identity) if identity.is_edge else above,
        "parentScopes": [above] if above else [],
    }


def _connection(registry: Registry, identity: Identity) -> dict[str, str]:
    connection = registry.connection(identity.client_id)
    since = utc_text(connection.since_s) if connection.since_s else NEVER
    return {
        "connectionState": "Connected" if connection.is_up else "Disconnected",
        "connectionStateUpdatedTime": since,
        "lastActivityTime": since,
    }


def _status(identity: Identity) -> str:
    return "enabled" if identity.enabled else "disabled"
