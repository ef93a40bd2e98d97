"""Calls about devices and modules: create, read, update, delete, list, count. Pure but for the registry they change.

Without If-Match a PUT creates, with it a PUT updates. Keys that are not given are made, or stay as they are.
"""

import base64
import binascii
from typing import Any

from simulator.cloud.documents import identity_document, scope
from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import SYSTEM_MODULES, Identity
from simulator.cloud.service_request import (
    Hub,
    Reply,
    Request,
    check_etag,
    etag_header,
    if_match,
    member,
    read_object,
    require_etag,
    whole_number,
)

MOST_LISTED = 1000
_KEY_BYTES = (16, 64)


def get_devices(hub: Hub, request: Request) -> Reply:
    """The first devices, `top` of them."""
    top = whole_number(request.query.get("top", MOST_LISTED), "top", 1, MOST_LISTED)
    return Reply(200, [identity_document(hub.registry, device) for device in hub.registry.devices()[:top]])


def get_device(hub: Hub, request: Request, device_id: str) -> Reply:
    """One device."""
    return _shown(hub, known(hub, device_id))


def put_device(hub: Hub, request: Request, device_id: str) -> Reply:
    """Create or update a device."""
    body = read_object(request)
    _check_name(body, "deviceId", device_id)
    status = member(body, "status", str, None)
    if status not in (None, "enabled", "disabled"):
        raise HubError(400, "status must be enabled or disabled")
    is_edge = member(member(body, "capabilities", dict, {}), "iotEdge", bool, None)
    keys = _keys(body)
    if not if_match(request):
        added = hub.registry.add_device(
            device_id,
            is_edge=bool(is_edge),
            parent=_parent(hub, body, bool(is_edge)) or "",
            keys=keys,
            enabled=status != "disabled",
        )
        return _shown(hub, added)
    before = known(hub, device_id)
    check_etag(request, before.etag)
    parent = _parent(hub, body, before.is_edge if is_edge is None else is_edge)
    enabled = None if status is None else status == "enabled"
    return _shown(hub, hub.registry.update(device_id, enabled=enabled, is_edge=is_edge, parent=parent, keys=keys))


def delete_device(hub: Hub, request: Request, device_id: str) -> Reply:
    """Remove a device and its modules."""
    require_etag(request, known(hub, device_id).etag)
    hub.registry.remove(device_id)
    return Reply(204)


def get_modules(hub: Hub, request: Request, device_id: str) -> Reply:
    """The modules of a device."""
    known(hub, device_id)
    return Reply(200, [identity_document(hub.registry, module) for module in hub.registry.modules_of(device_id)])


def get_module(hub: Hub, request: Request, device_id: str, module_id: str) -> Reply:
    """One module."""
    return _shown(hub, known(hub, device_id, module_id))


def put_module(hub: Hub, request: Request, device_id: str, module_id: str) -> Reply:
    """Create or update a module."""
    body = read_object(request)
    _check_name(body, "deviceId", device_id)
    _check_name(body, "moduleId", module_id)
    managed_by = member(body, "managedBy", str, None)
    keys = _keys(body)
    if not if_match(request):
        added = hub.registry.add_module(device_id, module_id, managed_by=managed_by or "", keys=keys)
        return _shown(hub, added)._replace(status=201)
    before = known(hub, device_id, module_id)
    check_etag(request, before.etag)
    return _shown(hub, hub.registry.update(before.client_id, managed_by=managed_by, keys=keys))


def delete_module(hub: Hub, request: Request, device_id: str, module_id: str) -> Reply:
    """Remove a module."""
    module = known(hub, device_id, module_id)
    if module_id in SYSTEM_MODULES:
        raise HubError(400, f"{module_id} belongs to the edge device and goes with it")
    require_etag(request, module.etag)
    hub.registry.remove(module.client_id)
    return Reply(204)


def get_device_counts(hub: Hub, request: Request) -> Reply:
    """How many devices there are."""
    enabled = [device.enabled for device in hub.registry.devices()]
    counts = {"enabledDeviceCount": sum(enabled), "disabledDeviceCount": len(enabled) - sum(enabled)}
    return Reply(200, {"totalDeviceCount": len(enabled), **counts})


def get_connected_count(hub: Hub, request: Request) -> Reply:
    """How many devices are connected."""
    connected = sum(hub.registry.is_connected(device.client_id) for device in hub.registry.devices())
    return Reply(200, {"connectedDeviceCount": connected})


def known(hub: Hub, device_id: str, module_id: str = "") -> Identity:
    """The identity. Raises HubError 404."""
    if hub.registry.identity(device_id) is None or "/" in device_id:
        raise HubError(404, f"there is no device {device_id[:130]!r}")
    identity = hub.registry.identity(f"{device_id}/{module_id}" if module_id else device_id)
    if identity is None:
        raise HubError(404, f"there is no module {module_id[:130]!r} on {device_id}", "ModuleNotFound")
    return identity


def _shown(hub: Hub, identity: Identity) -> Reply:
    return Reply(200, identity_document(hub.registry, identity), etag_header(identity.etag))


def _check_name(body: dict[str, Any], name: str, expected: str) -> None:
    if member(body, name, str, expected) != expected:
        raise HubError(400, f"{name} in the body is not that of the path, {expected[:130]!r}")


def _keys(body: dict[str, Any]) -> tuple[bytes, bytes] | None:
    authentication = member(body, "authentication", dict, {})
    if (kind := member(authentication, "type", str, "sas")) != "sas":
        raise HubError(400, f"authentication.type is {kind[:40]!r}: only sas is taken here")
    pair = member(authentication, "symmetricKey", dict, {})
    given = [member(pair, name, str, "") for name in ("primaryKey", "secondaryKey")]
    if not any(given):
        return None
    keys = []
    for text in given:
        try:
            keys.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise HubError(400, "symmetricKey: a key is no base64") from error
    if not all(_KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1] for key in keys):
        raise HubError(400, f"symmetricKey: give two keys of {_KEY_BYTES[0]} to {_KEY_BYTES[1]} bytes, or none")
    return keys[0], keys[1]


def _parent(hub: Hub, body: dict[str, Any], is_edge: bool) -> str | None:
    """The device id of the parent that the body names, "" for none, None when it says nothing about it."""
    scopes = member(body, "parentScopes", list, None)
    given = member(body, "deviceScope", str, None)
    if scopes is None and (given is None or is_edge):
        return None
    wanted = scopes[0] if scopes else ("" if is_edge else given or "")
    if wanted == "":
        return ""
    parents = [device.device_id for device in hub.registry.devices() if device.is_edge and scope(device) == wanted]
    if not parents:
        raise HubError(400, f"{str(wanted)[:200]!r} is not the deviceScope of an edge device")
    return parents[0]
