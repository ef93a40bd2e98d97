"""Whom the hub tells what becomes of each message; the ledger is the one that listens. Pure: an interface."""

from collections.abc import Sequence
from typing import Protocol

from simulator.message import HubMessage

UPSTREAM = "$upstream"


class Account(Protocol):
    """Every message's way, as the hub and edgeHub see it."""

    def accepted(self, message: HubMessage, endpoints: Sequence[str], is_filtered: bool = False) -> str:
        """A sender's message is stored for these endpoints (UPSTREAM, or `MODULE/INPUT`); none: no route takes it, or
        only such as lead to inputs whose topic it would make too long.

        `is_filtered`: there is a route for its source that could carry it to the cloud, and its condition says no.

        Returns the name under which its account is kept, for `HubMessage.trace`.
        """
        ...

    def taken(self, message: HubMessage, module_id: str) -> None:
        """A module has acknowledged it."""
        ...

    def arrived(self, message: HubMessage) -> None:
        """It has arrived in the cloud."""
        ...

    def expired(self, message: HubMessage) -> None:
        """A copy's time to live has ended."""
        ...
