"""The twin of a device or module: tags, desired and reported properties. Pure.

A change is a merge patch (RFC 7396: null deletes, arrays are replaced) or a whole document. It is checked against the
hub's limits first, and taken as a whole or not at all. Each half has a version of its own, from 1, without gaps, and
metadata that say when each property was written. The etag changes with tags and desired properties, the twin's version
with everything. `now` is in seconds since 1970.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from device_agent.messages.iothub.twin import merge
from simulator.cloud.twin_limits import LARGEST_HALF_BYTES, LARGEST_TAGS_BYTES, TwinError, check_change, check_size

__all__ = ["Twin", "TwinError", "utc_text"]

DESIRED, REPORTED, TAGS = "properties.desired", "properties.reported", "tags"


def utc_text(unix_s: float) -> str:
    """A time as the hub writes it: `2026-01-01T00:00:00.1234560Z`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def etag_text(number: int) -> str:
    """A number as an etag, as the hub writes them (without quotes)."""
    return base64.b64encode(number.to_bytes(8, "big")).decode()


class Half:
    """The desired or the reported properties of a twin. `numbered`: the metadata tell the version too."""

    __slots__ = ("_name", "_numbered", "metadata", "properties", "version")

    def __init__(self, name: str, numbered: bool, now: float) -> None:
        self._name = name
        self._numbered = numbered
        self.properties: dict[str, Any] = {}
        self.version = 1
        self.metadata = self._stamp(now, 1)

    def patch(self, patch: object, now: float) -> int:
        """Merge; the new version. Raises TwinError."""
        change = check_change(patch, self._name)
        return self._take(merge(self.properties, change), change, self.metadata, now)

    def replace(self, document: object, now: float) -> int:
        """Put this document (nulls count as missing) in place of the properties; the new version. Raises TwinError."""
        change = check_change(document, self._name)
        return self._take(merge({}, change), change, {}, now)

    def numbered_document(self) -> dict[str, Any]:
        """The properties and `$version`."""
        return {**self.properties, "$version": self.version}

    def service_document(self) -> dict[str, Any]:
        """The properties, `$metadata` and `$version`."""
        return {**self.properties, "$metadata": self.metadata, "$version": self.version}

    def _take(
        self, properties: dict[str, Any], change: Mapping[str, Any], metadata: Mapping[str, Any], now: float
    ) -> int:
        check_size(properties, self._name, LARGEST_HALF_BYTES)
        self.properties = properties
        self.version += 1
        self.metadata = _stamped(metadata, change, self._stamp(now, self.version))
        return self.version

    def _stamp(self, now: float, version: int) -> dict[str, Any]:
        stamp: dict[str, Any] = {"$lastUpdated": utc_text(now)}
        if self._numbered:
            stamp["$lastUpdatedVersion"] = version
        return stamp


class Twin:
    """One identity's twin. Its documents are the twin's own: callers must not change them."""

    __slots__ = ("_desired", "_etag", "_reported", "tags", "version")

    def __init__(self, now: float) -> None:
        self.tags: dict[str, Any] = {}
        self.version = 1
        self._etag = 1
        self._desired = Half(DESIRED, True, now)
        self._reported = Half(REPORTED, False, now)

    @property
    def desired(self) -> dict[str, Any]:
        """The desired properties."""
        return self._desired.properties

    @property
    def reported(self) -> dict[str, Any]:
        """The reported properties."""
        return self._reported.properties

    @property
    def desired_version(self) -> int:
        """`$version` of the desired properties."""
        return self._desired.version

    @property
    def reported_version(self) -> int:
        """`$version` of the reported properties."""
        return self._reported.version

    @property
    def etag(self) -> str:
        """Another one after every change of tags or desired properties."""
        return etag_text(self._etag)

    def patch_desired(self, patch: object, now: float) -> int:
        """Merge into the desired properties; their new version. Raises TwinError."""
        version = self._desired.patch(patch, now)
        self._changed_by_service()
        return version

    def replace_desired(self, document: object, now: float) -> int:
        """Replace the desired properties; their new version. Raises TwinError."""
        version = self._desired.replace(document, now)
        self._changed_by_service()
        return version

    def patch_reported(self, patch: object, now: float) -> int:
        """Merge into the reported properties; their new version. Raises TwinError."""
        version = self._reported.patch(patch, now)
        self.version += 1
        return version

    def patch_tags(self, patch: object) -> None:
        """Merge into the tags. Raises TwinError."""
        self._take_tags(merge(self.tags, check_change(patch, TAGS)))

    def replace_tags(self, document: object) -> None:
        """Replace the tags. Raises TwinError."""
        self._take_tags(merge({}, check_change(document, TAGS)))

    def device_document(self) -> dict[str, Any]:
        """What a device or module gets: both halves with `$version`, no tags."""
        return {"desired": self._desired.numbered_document(), "reported": self._reported.numbered_document()}

    def service_properties(self) -> dict[str, Any]:
        """What a service gets as `properties`: both halves with `$metadata` and `$version`."""
        return {"desired": self._desired.service_document(), "reported": self._reported.service_document()}

    def _take_tags(self, tags: dict[str, Any]) -> None:
        check_size(tags, TAGS, LARGEST_TAGS_BYTES)
        self.tags = tags
        self._changed_by_service()

    def _changed_by_service(self) -> None:
        self._etag += 1
        self.version += 1


def _stamped(metadata: Mapping[str, Any], change: Mapping[str, Any], stamp: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata after a change: everything that it wrote, and what holds it, gets the stamp."""
    after = {**metadata, **stamp}
    for key, value in change.items():
        before = after.pop(key, {})
        if isinstance(value, Mapping):
            after[key] = _stamped(before, value, stamp)
        elif value is not None:
            after[key] = dict(stamp)
    return after
