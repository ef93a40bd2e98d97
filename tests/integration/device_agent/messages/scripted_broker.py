"""A broker that answers what a test says: for what no real broker does on request."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.integration.device_agent.messages.mosquitto_server import HOST

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14
ACCEPTED_5 = b"\x20\x03\x00\x00\x00"
ACCEPTED_311 = b"\x20\x02\x00\x00"


class Session:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.version = 0

    async def read(self) -> tuple[int, int, bytes]:
        """The next packet: type, flags and the rest. Raises EOFError at the end."""
        try:
            first = (await self._reader.readexactly(1))[0]
            length = shift = 0
            while True:
                digit = (await self._reader.readexactly(1))[0]
                length |= (digit & 0x7F) << shift
                shift += 7
                if digit < 0x80:
                    break
            body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError from error
        if first >> 4 == CONNECT:
            self.version = body[6]
        return first >> 4, first & 15, body

    async def expect(self, kind: int) -> bytes:
        """The next packet of this type; others are ignored."""
        while True:
            found, _, body = await self.read()
            if found == kind:
                return body

    async def accept(self) -> None:
        """Take the connection and the subscription, in the client's version."""
        await self.expect(CONNECT)
        self.write(ACCEPTED_5 if self.version == 5 else ACCEPTED_311)
        subscription = await self.expect(SUBSCRIBE)
        self.write(
            b"\x90\x04" + subscription[:2] + b"\x00\x01"
            if self.version == 5
            else b"\x90\x03" + subscription[:2] + b"\x01"
        )

    def write(self, packet: bytes) -> None:
        """Send bytes. Raises EOFError when the client is gone."""
        if self._writer.is_closing():
            raise EOFError
        self._writer.write(packet)


@asynccontextmanager
async def scripted_broker(script: Callable[[Session], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve every connection with `script`; gives the port. A script that fails fails the test."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(Session(reader, writer))
        except (EOFError, ConnectionError, asyncio.CancelledError):  # asyncio's server logs a task that was cancelled
            pass
        except AssertionError as error:
            failures.append(error)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not failures, failures


def publish_packet(topic: bytes, mid: int, payload: bytes, properties: bytes | None = None) -> bytes:
    """A PUBLISH with QoS 1; `properties` with their length first, for MQTT 5."""
    rest = struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid) + (properties or b"") + payload
    assert len(rest) < 128
    return b"\x32" + bytes([len(rest)]) + rest
