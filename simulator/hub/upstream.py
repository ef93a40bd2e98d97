"""The link from an edgeHub to IoT Hub: takes what waits, in order, a batch at a time, and removes what has arrived.

A batch is at most 100 messages (edgeHub's 10 senders of 10). It is removed when its confirmation has come back; where
the link goes down, or loses the connection, between arrival and confirmation, it is sent again, and the cloud sees its
messages twice under the same ids, as with the real one. All times are simulated seconds.
"""

import asyncio
from collections.abc import Callable

from simulator.clock import Clock
from simulator.hub.edge_hub import EdgeHub
from simulator.hub.iot_hub import IotHub
from simulator.hub.links import UPSTREAM_LINK, Channel, LinkCondition, Network
from simulator.hub.queues import Waiting

BATCH = 100
_RECONNECT_S = 1.0
_CONFIRMATION_BYTES = 40


class Upstream:
    """One gateway's link. `run` until it is cancelled. `chance` gives numbers from 0 to 1."""

    def __init__(
        self, edge_hub: EdgeHub, hub: IotHub, network: Network, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._edge_hub = edge_hub
        self._hub = hub
        self._network = network
        self._clock = clock
        self._chance = chance
        self._there, self._back = Channel(), Channel()
        self._wake = asyncio.Event()
        self._cuts = 0
        self._changed = asyncio.Event()
        edge_hub.on_upstream = self._wake.set
        network.watch(self._on_change)

    async def run(self) -> None:
        """Carry messages for ever."""
        while True:
            await self._wake.wait()
            condition = self._network.condition(UPSTREAM_LINK)
            batch = self._edge_hub.next_upstream(BATCH) if condition.up and not condition.half_open else []
            if batch:
                await self._carry(batch)
            else:
                self._wake.clear()

    def _on_change(self, link: str, condition: LinkCondition) -> None:
        if link == UPSTREAM_LINK:
            if not condition.up or condition.half_open:
                self._cuts += 1
            self._there, self._back = Channel(), Channel()
            self._wake.set()
            self._changed.set()

    async def _carry(self, batch: list[Waiting]) -> None:
        size_bytes = sum(len(waiting.message.body) for waiting in batch)
        cuts = self._cuts
        if not await self._pass(True, size_bytes, cuts):
            return
        for waiting in batch:
            while wait_s := self._hub.limit.wait_s(self._clock.now_s()):
                await self._clock.sleep(wait_s)
            if cuts != self._cuts:
                return
            self._hub.receive(waiting.message)
        if await self._pass(False, _CONFIRMATION_BYTES * len(batch), cuts):
            for waiting in batch:
                self._edge_hub.upstream.remove(waiting)

    async def _pass(self, is_there: bool, size_bytes: int, cuts: int) -> bool:
        """Let bytes pass, there or back; False when they did not arrive. A better link speeds up what is on its way."""
        if self._network.condition(UPSTREAM_LINK).is_perfect:
            await asyncio.sleep(0)
            return cuts == self._cuts
        due_s: float | None = None
        while cuts == self._cuts:
            self._changed.clear()
            channel, now_s = self._there if is_there else self._back, self._clock.now_s()
            condition = self._network.condition(UPSTREAM_LINK)
            arrival_s = channel.arrival_s(condition, size_bytes, now_s, self._chance)
            if arrival_s is None and due_s is None:
                await self._clock.sleep(_RECONNECT_S)
                return False
            due_s = min(each for each in (arrival_s, due_s) if each is not None)
            try:
                await asyncio.wait_for(self._changed.wait(), self._clock.real_s(max(0.0, due_s - now_s)))
            except TimeoutError:
                return cuts == self._cuts
        return False
