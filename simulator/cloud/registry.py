"""Identities of devices and modules, with their twins. Pure: the time, keys and ids come from outside.

An edge device has the modules `$edgeAgent` and `$edgeHub` as long as it is one. A child device's `parent` is the edge
device through which it speaks. Whoever wants to know of changes watches; watchers are called at once, in the order in
which they came, after the change is made. Modules are enabled as their device is.

Not thread-safe: one event loop owns it. Limits: 50 modules a device.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from device_agent.messages.iothub.twin import difference
from simulator.cloud.identity import (
    EDGE,
    SYSTEM_MODULES,
    Change,
    Connection,
    DesiredChanged,
    Identity,
    IdentityChanged,
    IdentityRemoved,
    RegistryError,
    ReportedChanged,
    TagsChanged,
    check_id,
)
from simulator.cloud.twin import Twin, etag_text

__all__ = [
    "Change",
    "Connection",
    "DesiredChanged",
    "Identity",
    "IdentityChanged",
    "IdentityRemoved",
    "Registry",
    "RegistryError",
    "ReportedChanged",
    "TagsChanged",
]

MOST_MODULES = 50


class Registry:
    """All identities of a hub. `now` tells seconds since 1970, `new_key` and `new_id` make what nobody has yet."""

    def __init__(self, now: Callable[[], float], new_key: Callable[[], bytes], new_id: Callable[[], str]) -> None:
        self._now = now
        self._new_key = new_key
        self._new_id = new_id
        self._identities: dict[str, Identity] = {}
        self._twins: dict[str, Twin] = {}
        self._modules: dict[str, dict[str, Identity]] = {}
        self._connections: dict[str, Connection] = {}
        self._watchers: list[Callable[[Change], None]] = []
        self._changes = 0

    def identity(self, client_id: str) -> Identity | None:
        """The identity of a client id, None when there is none."""
        return self._identities.get(client_id)

    def identities(self) -> list[Identity]:
        """All, in the order in which they were added."""
        return list(self._identities.values())

    def devices(self) -> list[Identity]:
        """All devices, in the order in which they were added."""
        return [self._identities[device_id] for device_id in self._modules]

    def modules_of(self, device_id: str) -> list[Identity]:
        """The modules of a device, in the order in which they were added."""
        return list(self._modules.get(device_id, {}).values())

    def twin(self, client_id: str) -> Twin:
        """The twin of an identity; change it through the registry. Raises KeyError."""
        return self._twins[client_id]

    def watch(self, callback: Callable[[Change], None]) -> None:
        """Call `callback` after every change."""
        self._watchers.append(callback)

    def add_device(
        self,
        device_id: str,
        *,
        is_edge: bool = False,
        parent: str = "",
        keys: tuple[bytes, bytes] | None = None,
        enabled: bool = True,
    ) -> Identity:
        """A new device; an edge device comes with its two system modules.

        Raises:
            RegistryError: it exists already (409), the id is none or the parent is no edge device (400).
        """
        check_id(device_id, "device")
        if device_id in self._identities:
            raise RegistryError(409, f"there is a device {device_id} already")
        self._check_parent(device_id, parent)
        identity = self._new_identity(device_id, "", keys, enabled, "")
        identity = replace(identity, is_edge=is_edge, parent=parent)
        self._modules[device_id] = {}
        self._add(identity)
        if is_edge:
            self._add_system_modules(device_id)
        return identity

    def add_module(
        self, device_id: str, module_id: str, *, managed_by: str = "", keys: tuple[bytes, bytes] | None = None
    ) -> Identity:
        """A new module of a device.

        Raises:
            RegistryError: no such device (404), the module exists (409), the id is none (400), too many modules (403).
        """
        device = self._known(device_id)
        check_id(module_id, "module")
        if module_id in self._modules[device_id]:
            raise RegistryError(
                409, f"there is a module {module_id} on {device_id} already", "ModuleAlreadyExistsOnDevice"
            )
        if len([name for name in self._modules[device_id] if name not in SYSTEM_MODULES]) >= MOST_MODULES:
            raise RegistryError(
                403, f"{device_id} has {MOST_MODULES} modules, which is the most", "ModuleCountExceeded"
            )
        identity = self._new_identity(device_id, module_id, keys, device.enabled, managed_by)
        self._modules[device_id][module_id] = identity
        self._add(identity)
        return identity

    def update(
        self,
        client_id: str,
        *,
        enabled: bool | None = None,
        is_edge: bool | None = None,
        parent: str | None = None,
        keys: tuple[bytes, bytes] | None = None,
        managed_by: str | None = None,
    ) -> Identity:
        """Change the fields that are given; the new identity. Raises RegistryError (400, 404)."""
        before = self._known(client_id)
        if parent is not None:
            self._check_parent(client_id, parent)
        for module in self.modules_of(client_id) if enabled is not None else []:
            self.update(module.client_id, enabled=enabled)
        after = replace(
            before,
            enabled=before.enabled if enabled is None else enabled,
            is_edge=before.is_edge if is_edge is None else is_edge,
            parent=before.parent if parent is None else parent,
            primary_key=before.primary_key if keys is None else keys[0],
            secondary_key=before.secondary_key if keys is None else keys[1],
            managed_by=before.managed_by if managed_by is None else managed_by,
            etag=self._next_etag(),
        )
        self._identities[client_id] = after
        if after.module_id:
            self._modules[after.device_id][after.module_id] = after
        self._tell(IdentityChanged(client_id))
        if after.is_edge and not before.is_edge:
            self._add_system_modules(after.device_id)
        if before.is_edge and not after.is_edge:
            for module_id in SYSTEM_MODULES:
                self.remove(f"{client_id}/{module_id}")
            self._free_children(client_id)
        return after

    def remove(self, client_id: str) -> None:
        """Remove a module, or a device with its modules; its children lose their parent. Raises RegistryError (404)."""
        identity = self._known(client_id)
        if identity.module_id:
            del self._modules[identity.device_id][identity.module_id]
            self._drop(client_id)
            return
        for module in self.modules_of(client_id):
            self._drop(module.client_id)
        del self._modules[client_id]
        self._drop(client_id)
        if identity.is_edge:
            self._free_children(client_id)

    def patch_desired(self, client_id: str, patch: Any) -> int:
        """Merge into the desired properties; their new version. Raises KeyError, TwinError."""
        version = self.twin(client_id).patch_desired(patch, self._now())
        self._tell(DesiredChanged(client_id, patch, version))
        return version

    def replace_desired(self, client_id: str, document: Any) -> int:
        """Replace the desired properties; their new version. Raises KeyError, TwinError."""
        twin = self.twin(client_id)
        before = twin.desired
        version = twin.replace_desired(document, self._now())
        self._tell(DesiredChanged(client_id, difference(before, twin.desired), version))
        return version

    def patch_reported(self, client_id: str, patch: Any) -> int:
        """Merge into the reported properties; their new version. Raises KeyError, TwinError."""
        version = self.twin(client_id).patch_reported(patch, self._now())
        self._tell(ReportedChanged(client_id, patch, version))
        return version

    def patch_tags(self, client_id: str, patch: Any) -> None:
        """Merge into the tags. Raises KeyError, TwinError."""
        self.twin(client_id).patch_tags(patch)
        self._tell(TagsChanged(client_id))

    def replace_tags(self, client_id: str, document: Any) -> None:
        """Replace the tags. Raises KeyError, TwinError."""
        self.twin(client_id).replace_tags(document)
        self._tell(TagsChanged(client_id))

    def set_connected(self, client_id: str, is_up: bool, now: float) -> None:
        """Note that a client came or went."""
        if client_id in self._identities:
            self._connections[client_id] = Connection(is_up, now)

    def is_connected(self, client_id: str) -> bool:
        """Whether a client is connected now."""
        return self.connection(client_id).is_up

    def connection(self, client_id: str) -> Connection:
        """Whether a client is connected, and since when."""
        return self._connections.get(client_id, Connection())

    def _known(self, client_id: str) -> Identity:
        identity = self._identities.get(client_id)
        if identity is None:
            device_id, _, module_id = client_id.partition("/")
            if module_id and device_id in self._identities:
                raise RegistryError(404, f"there is no module {module_id} on {device_id}", "ModuleNotFound")
            raise RegistryError(404, f"there is no device {device_id}")
        return identity

    def _check_parent(self, device_id: str, parent: str) -> None:
        seen = {device_id}
        while parent:
            above = self._identities.get(parent)
            if above is None or not above.is_edge:
                raise RegistryError(400, f"{parent} cannot be the parent of {device_id}: there is no such edge device")
            if parent in seen:
                raise RegistryError(400, f"{parent} cannot be the parent of {device_id}: it lies below it")
            seen.add(parent)
            parent = above.parent

    def _new_identity(
        self, device_id: str, module_id: str, keys: tuple[bytes, bytes] | None, enabled: bool, managed_by: str
    ) -> Identity:
        primary, secondary = keys or (self._new_key(), self._new_key())
        etag = self._next_etag()
        return Identity(device_id, module_id, primary, secondary, enabled, False, "", self._new_id(), etag, managed_by)

    def _add_system_modules(self, device_id: str) -> None:
        for module_id in SYSTEM_MODULES:
            self.add_module(device_id, module_id, managed_by=EDGE)

    def _free_children(self, parent: str) -> None:
        for child in [device for device in self.devices() if device.parent == parent]:
            self.update(child.client_id, parent="")

    def _add(self, identity: Identity) -> None:
        self._identities[identity.client_id] = identity
        self._twins[identity.client_id] = Twin(self._now())
        self._tell(IdentityChanged(identity.client_id))

    def _drop(self, client_id: str) -> None:
        del self._identities[client_id]
        del self._twins[client_id]
        self._connections.pop(client_id, None)
        self._tell(IdentityRemoved(client_id))

    def _next_etag(self) -> str:
        self._changes += 1
        return etag_text(self._changes)

    def _tell(self, change: Change) -> None:
        for callback in self._watchers:
            callback(change)
