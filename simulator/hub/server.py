"""The MQTT endpoint on TLS: sockets to connections, through what the network does to them.

Bytes of a perfect link pass at once. On any other they wait, in order, for the time that `links.Channel` says; on a
half-open one until it is open again. Times of the network are simulated ones. Keep-alives and tokens, which programs
outside of the simulator live by, are looked at once a real second.
"""

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from simulator.clock import Clock
from simulator.hub.connection import Connection
from simulator.hub.front import Front
from simulator.hub.links import Channel, LinkCondition, Network

_SWEEP_S = 1.0
_LOOK_S = 0.05
_BACKLOG = 1024


class HubServer:
    """Listens; see the module. `seed` makes the network's losses repeatable; `wall_s` is the hub's clock for tokens."""

    def __init__(
        self,
        front: Front,
        network: Network,
        clock: Clock,
        context: ssl.SSLContext,
        seed: int,
        wall_s: Callable[[], float],
    ) -> None:
        self.front = front
        self.network = network
        self.clock = clock
        self.chance = random.Random(seed).random  # noqa: S311 - a simulation's chance, no secret
        self.sockets: set[_Socket] = set()
        self._wall_s = wall_s
        self.port = 0
        self._context = context
        self._host = ""
        self._server: asyncio.Server | None = None
        self._away_until_s: float | None = None
        network.watch(self._on_change)

    async def start(self, host: str, port: int) -> None:
        """Listen on host:port (0: a free one, the same at every later start). Raises OSError."""
        self._host = host
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Socket(self), host, port or self.port, ssl=self._context, backlog=_BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def restart(self, away_s: float) -> None:
        """End all connections, and listen again after so many simulated seconds; sessions and stores stay.

        A second restart while it is away makes that longer, if at all.
        """
        is_away = self._away_until_s is not None
        self._away_until_s = max(self._away_until_s or 0.0, self.clock.now_s() + away_s)
        if is_away:
            return
        self._stop_listening()
        while (left_s := self._away_until_s - self.clock.now_s()) > 0:
            await self.clock.sleep(min(left_s, self.clock.speed * _LOOK_S))
        self._away_until_s = None
        await self.start(self._host, self.port)

    def come_back(self) -> None:
        """End an absence now."""
        if self._away_until_s is not None:
            self._away_until_s = 0.0

    async def stop(self) -> None:
        """End everything."""
        self._stop_listening()
        while self.sockets:
            await asyncio.sleep(0.001)

    async def sweep(self) -> None:
        """Look at keep-alives and tokens, for ever."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now_s, wall_s = time.monotonic(), self._wall_s()
            for each in list(self.sockets):
                each.connection.check(now_s, wall_s)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
        for each in list(self.sockets):
            each.abort()

    def _on_change(self, link: str, condition: LinkCondition) -> None:
        for each in list(self.sockets):
            if each.connection.link == link:
                each.changed(condition)


class _Socket(asyncio.Protocol):
    """One client's socket; the Wire of its connection."""

    def __init__(self, server: HubServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.connection = Connection(server.front, self, time.monotonic())
        self._inward, self._outward = _Lane(server, self._deliver), _Lane(server, self._emit)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio
        self._server.sockets.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._inward.push(self.connection.link, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client, or this side, has ended it."""
        self._server.sockets.discard(self)
        self._transport = None
        self._inward.cancel()
        self._outward.cancel()
        self.connection.lost()

    # --- Wire

    def write(self, sent: bytes) -> None:
        """See Wire."""
        self._outward.push(self.connection.link, sent)

    def close(self) -> None:
        """See Wire. The end takes its turn behind what was written, and does not pass a half-open link either."""
        if self._transport is None:
            return
        link = self.connection.link
        if self._outward.is_empty and not (link and self._server.network.condition(link).half_open):
            self._transport.close()
        else:
            self._outward.push(link, b"")

    # --- for the server

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    def changed(self, condition: LinkCondition) -> None:
        """The link has another condition."""
        if not condition.up:
            self.abort()
            return
        for lane in (self._inward, self._outward):
            lane.changed(condition)

    def _deliver(self, data: bytes | None) -> None:
        if data is None:
            self.abort()
        else:
            self.connection.received(data, time.monotonic())

    def _emit(self, data: bytes | None) -> None:
        if self._transport is None:
            return
        if data is None:
            self._transport.abort()
        elif data:
            self._transport.write(data)
        if not self.connection.is_open and self._outward.is_empty:
            self._transport.close()


class _Lane:
    """One direction of a socket: bytes that wait for their time, in order. Gives None where the connection ends."""

    def __init__(self, server: HubServer, deliver: Callable[[bytes | None], None]) -> None:
        self._server = server
        self._deliver = deliver
        self._channel = Channel()
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def push(self, link: str, data: bytes) -> None:
        """Bytes that come in at this end."""
        server = self._server
        condition = server.network.condition(link) if link else None
        if condition is None or (condition.is_perfect and not self._waiting):
            self._deliver(data)
            return
        now_s = server.clock.now_s()
        arrival_s = self._channel.arrival_s(condition, len(data), now_s, server.chance)
        self._waiting.append((now_s, None) if arrival_s is None else (arrival_s, data))
        self._is_held = condition.half_open
        self._wait()

    def changed(self, condition: LinkCondition) -> None:
        """The link has another condition: what waits arrives as on the new one, and no later than it would have."""
        server, self._channel = self._server, Channel()
        self._is_held = condition.half_open
        now_s = server.clock.now_s()
        waiting, self._waiting = self._waiting, deque()
        for due_s, data in waiting:
            arrival_s = self._channel.arrival_s(condition, len(data or b""), now_s, server.chance)
            self._waiting.append((due_s if arrival_s is None else min(due_s, arrival_s), data))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wait()

    def cancel(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        if self._timer is None and self._waiting and not self._is_held:
            clock = self._server.clock
            late_s = max(0.0, clock.real_s(self._waiting[0][0] - clock.now_s()))
            self._timer = asyncio.get_running_loop().call_later(late_s, self._due)

    def _due(self) -> None:
        self._timer = None
        now_s = self._server.clock.now_s()
        while self._waiting and not self._is_held and self._waiting[0][0] <= now_s:
            self._deliver(self._waiting.popleft()[1])
        self._wait()
