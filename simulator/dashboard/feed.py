"""Asks the simulation once a second what the run looks like, and tells every page that is open.

While nothing answers, pages keep the last snapshot and say so; after `patience_s` seconds of that the feed ends, and
the process with it.
"""

import asyncio
import time
from typing import NamedTuple

from nicegui import Event

from simulator.control_client import ControlClient, RequestRefused, SimulationAway
from simulator.snapshot import Snapshot

EVERY_S = 1.0


class Seen(NamedTuple):
    """The last snapshot, None before the first; `trouble` is why it is not a fresh one, "" when it is."""

    snapshot: Snapshot | None = None
    trouble: str = ""


class Feed:
    """What pages show. `changed` is emitted with every answer, and when the answers stop."""

    def __init__(self, client: ControlClient, patience_s: float) -> None:
        self.client = client
        self.seen = Seen()
        self.changed = Event[Seen]()
        self._patience_s = patience_s

    async def run(self) -> None:
        """Ask until nothing has answered for `patience_s` seconds."""
        answered_s = time.monotonic()
        while True:
            began_s = time.monotonic()
            try:
                self.seen = Seen(await self.client.snapshot())
                answered_s = time.monotonic()
            except SimulationAway as error:
                self.seen = Seen(self.seen.snapshot, str(error))
                if time.monotonic() - answered_s > self._patience_s:
                    return
            except RequestRefused as error:
                self.seen = Seen(self.seen.snapshot, str(error))
                answered_s = time.monotonic()
            self.changed.emit(self.seen)
            await asyncio.sleep(max(0.0, began_s + EVERY_S - time.monotonic()))
