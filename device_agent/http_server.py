"""Listens, makes a Connection of every client, and keeps time for all of them. Ends within the time it is given."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence

from device_agent.http_connection import Connection
from device_agent.http_message import Application, Limits, ServerState

_LONGEST_TICK_S = 1.0


class HttpServer:
    """Serves `application` on listening sockets; use it on one event loop.

    A tick at least once a second checks the time limits and renews the Date header.
    """

    def __init__(self, application: Application, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._state = ServerState(application, limits, self._loop)
        self._tick_s = min(_LONGEST_TICK_S, limits.client_timeout_s / 4, limits.idle_s / 4)
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connection_count(self) -> int:
        """Clients connected now."""
        return len(self._state.connections)

    @property
    def answering_count(self) -> int:
        """Clients whose answer is awaited, or not taken whole yet."""
        return sum(connection.is_answering for connection in self._state.connections)

    @property
    def held_bytes(self) -> int:
        """Bytes of request bodies held now."""
        return self._state.held_bytes

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Take clients from now on. The sockets belong to the server afterwards."""
        loop = self._loop
        self._tick()
        for listener in listeners:
            self._servers.append(await loop.create_server(lambda: Connection(self._state), sock=listener))

    def drain(self) -> None:
        """Listen no more, close idle connections, and the others after the answer that they wait for."""
        self._state.is_draining = True
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.drain()

    async def close(self, grace_s: float) -> None:
        """Drain, wait at most `grace_s` for answers to be taken, then drop every client."""
        self.drain()
        deadline_s = self._state.loop.time() + grace_s
        while self._state.connections and self._state.loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for connection in list(self._state.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 0.5)

    def _tick(self) -> None:
        now_s = self._state.loop.time()
        self._state.date_line = time.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime()).encode()
        for connection in list(self._state.connections):
            connection.check(now_s)
        self._timer = self._loop.call_later(self._tick_s, self._tick)
