"""The way to one server, which many devices share: they go one after the other, and look its address up once.

Devices that start, or lost a server, together do not all knock at the same moment. No thread for each connection: while
a fleet is busy, each would wait for its turn at the interpreter.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

from device_agent.messages.iothub.connection_string import Endpoint
from device_agent.messages.mqtt.dialing import Destination, resolve, tls_failure

_TIMEOUT_S = 20.0


class NoEntrance(Exception):
    """No connection, in one sentence."""


class Entrance:
    """See the module. At most `rate_per_s` attempts a second begin, and `at_a_time` are under way."""

    def __init__(self, server: Endpoint, rate_per_s: float = 200.0, at_a_time: int = 64) -> None:
        self._server = server
        self._pause_s = 1 / rate_per_s
        self._places = asyncio.Semaphore(at_a_time)
        self._next_s = 0.0
        self._address = ""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and keep it meanwhile."""
        async with self._places:
            now_s = asyncio.get_running_loop().time()
            self._next_s = max(self._next_s + self._pause_s, now_s)
            if self._next_s > now_s:
                await asyncio.sleep(self._next_s - now_s)
            yield

    async def connect(self, tls: ssl.SSLContext, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Connect, and give the connection to a protocol that `protocol` makes. Raises NoEntrance."""
        host, port = self._server
        to = Destination(host, port, tls, host)
        loop = asyncio.get_running_loop()
        reason = ""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                for address in [self._address] if self._address else await self._addresses():
                    try:
                        await loop.create_connection(protocol, address, port, ssl=tls, server_hostname=host)
                    except ssl.SSLError as error:
                        raise NoEntrance(tls_failure(to, error)[1]) from error
                    except OSError as error:
                        reason = error.strerror or str(error)
                    else:
                        self._address = address
                        return
        except TimeoutError:
            reason = f"no connection in {_TIMEOUT_S:g} s"
        self._address = ""
        raise NoEntrance(f"Cannot connect to {to}: {reason}")

    async def _addresses(self) -> list[str]:
        """Of the server; at least one."""
        try:
            found = await resolve(*self._server)
        except (OSError, UnicodeError) as error:
            raise NoEntrance(f"The name {self._server.host} cannot be resolved: {error}") from error
        return list(dict.fromkeys(str(address[0]) for _, address in found))
