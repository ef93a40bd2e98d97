"""The twins that edgeHub answers with: IoT Hub's while it is online, as it knew them last while it is not. Pure.

Offline, clients read what was desired when the link was lost, and their reports are kept, merged, and handed upward
when it is back. Then every client is told how its desired properties differ from what it knew. Nothing is copied for
that: documents of the registry do not change, a change makes new ones, and the last of each client is remembered.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from device_agent.messages.iothub.twin import difference, merge, without_system
from simulator.cloud.registry import Registry
from simulator.cloud.twin import REPORTED
from simulator.cloud.twin_limits import LARGEST_HALF_BYTES, check_change, check_size


class _Desired(NamedTuple):
    version: int
    properties: dict[str, Any]


_NEW = _Desired(1, {})


class EdgeTwins:
    """The twins of one gateway's clients. `tell_desired`: client id, patch, version."""

    def __init__(self, registry: Registry, tell_desired: Callable[[str, dict[str, Any], int], None]) -> None:
        self._registry = registry
        self._tell_desired = tell_desired
        self._is_online = True
        self._seen: dict[str, _Desired] = {}
        """What was desired of a client after the last change that came through."""
        self._missed: dict[str, _Desired] = {}
        """Whose desired properties have changed since the link was lost, and what they were."""
        self._reports: dict[str, dict[str, Any]] = {}

    def document(self, client_id: str) -> dict[str, Any]:
        """See Twins."""
        document = self._registry.twin(client_id).device_document()
        if (missed := self._missed.get(client_id)) is not None:
            document["desired"] = {**missed.properties, "$version": missed.version}
        if (report := self._reports.get(client_id)) is not None:
            document["reported"] = merge(document["reported"], report)
        return document

    def report(self, client_id: str, patch: Any) -> int | None:
        """See Twins. edgeHub tells no version."""
        if self._is_online:
            self._registry.patch_reported(client_id, patch)
            return None
        change = check_change(patch, REPORTED)
        reported = merge(self.document(client_id)["reported"], change)
        check_size(without_system(reported), REPORTED, LARGEST_HALF_BYTES)
        self._reports[client_id] = merge_patches(self._reports.get(client_id, {}), change)
        return None

    def desired_changed(self, client_id: str, patch: dict[str, Any], version: int) -> None:
        """IoT Hub has changed desired properties: the client hears of it, if the link is there."""
        if self._is_online:
            self._seen[client_id] = _Desired(version, self._registry.twin(client_id).desired)
            self._tell_desired(client_id, patch, version)
        elif client_id not in self._missed:
            seen = self._seen.get(client_id, _NEW)
            self._missed[client_id] = seen if seen.version < version else _NEW  # it was removed, and added again

    def go_offline(self) -> None:
        """The link is lost: what is known now is what there is."""
        self._is_online = False

    def go_online(self) -> None:
        """The link is back."""
        self._is_online = True
        missed, self._missed = self._missed, {}
        reports, self._reports = self._reports, {}
        for client_id, patch in reports.items():
            if self._registry.identity(client_id) is not None:
                self._registry.patch_reported(client_id, patch)
        for client_id, before in missed.items():
            if self._registry.identity(client_id) is not None:
                twin = self._registry.twin(client_id)
                self.desired_changed(client_id, difference(before.properties, twin.desired), twin.desired_version)


def merge_patches(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The merge patch that does what both do, one after the other; nulls stay."""
    merged = dict(earlier)
    for name, value in later.items():
        before = merged.get(name)
        merged[name] = merge_patches(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return merged
