"""What the registry holds and tells: identities of devices and modules, connections, changes. Pure."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulator.cloud.hub_error import HubError

SYSTEM_MODULES = ("$edgeAgent", "$edgeHub")
EDGE = "iotEdge"
"""`managed_by` of modules that come with a deployment."""

_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")


class RegistryError(HubError):
    """The registry does not take this change of an identity."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A device, or a module of one (`module_id` is "" for a device). Keys are the decoded bytes.

    `parent` is the device id of the edge device that it speaks through, or "". `generation_id` is new when an identity
    is created again, `etag` after every change.
    """

    device_id: str
    module_id: str
    primary_key: bytes
    secondary_key: bytes
    enabled: bool
    is_edge: bool
    parent: str
    generation_id: str
    etag: str
    managed_by: str = ""

    @property
    def client_id(self) -> str:
        """`device` or `device/module`."""
        return f"{self.device_id}/{self.module_id}" if self.module_id else self.device_id

    @property
    def keys(self) -> tuple[bytes, bytes]:
        """Both keys, the primary one first."""
        return self.primary_key, self.secondary_key


class DesiredChanged(NamedTuple):
    """Desired properties changed: what a client is told. A replaced document comes as the patch that makes it."""

    client_id: str
    patch: dict[str, Any]
    version: int


class ReportedChanged(NamedTuple):
    """Reported properties changed."""

    client_id: str
    patch: dict[str, Any]
    version: int


class TagsChanged(NamedTuple):
    """Tags changed."""

    client_id: str


class IdentityChanged(NamedTuple):
    """An identity was added, or one of its fields changed."""

    client_id: str


class IdentityRemoved(NamedTuple):
    """An identity, and its twin, are gone."""

    client_id: str


Change = DesiredChanged | ReportedChanged | TagsChanged | IdentityChanged | IdentityRemoved


class Connection(NamedTuple):
    """Whether a client is connected, and since when it is or is not (seconds since 1970; 0: never was)."""

    is_up: bool = False
    since_s: float = 0.0


def check_id(text: str, kind: str) -> None:
    """Raise RegistryError 400 unless this can be the id of a `kind` (device, module)."""
    if not _ID.fullmatch(text):
        raise RegistryError(
            400, f"{text[:140]!r} is not the id of a {kind}: 1 to 128 ASCII letters, digits and -:.+%_#*?!(),=@;$'"
        )
