"""The fastest MQTT server that could be: TLS, any client, every PUBLISH acknowledged. `python puback_server.py FOLDER`.

It writes `ca.pem` to the folder and prints its port; a line on stdin makes it print what it has counted, as JSON. It is
the other side of benchmarks and of tests that count; it does not check tokens (fake_iot_hub does).
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import trustme
import uvloop


class Counted:
    """What the server has seen, over all connections."""

    def __init__(self) -> None:
        self.connects = 0
        self.open = 0
        self.most_open = 0
        self.publishes = 0
        self.repeats = 0
        self.body_bytes = 0
        self.topics: dict[bytes, int] | None = None


class PubackConnection(asyncio.Protocol):
    """One client. Everything that it may say is understood, and nothing is checked."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._rest = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are of no class of asyncio
        self._counted.connects += 1
        self._counted.open += 1
        self._counted.most_open = max(self._counted.open, self._counted.most_open)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._counted.open -= 1

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        data = self._rest + data
        at, end, answers = 0, len(data), []
        while end - at >= 2:
            length, shift, place = 0, 0, at + 1
            while place < end:
                byte = data[place]
                length |= (byte & 0x7F) << shift
                shift += 7
                place += 1
                if byte < 0x80:
                    break
            else:
                break
            if place + length > end:
                break
            answers.append(self._answer(data[at], data[place : place + length]))
            at = place + length
        self._rest = data[at:]
        if answer := b"".join(answers):
            self._transport.write(answer)

    def _answer(self, first: int, body: bytes) -> bytes:
        kind = first >> 4
        if kind == 3:
            return self._take(first, body)
        if kind == 1:
            return b"\x20\x02\0\0"
        if kind == 8:
            filters, at = 0, 2
            while at < len(body):
                at += int.from_bytes(body[at : at + 2]) + 3
                filters += 1
            return bytes((0x90, 2 + filters)) + body[:2] + b"\1" * filters
        return b"\xd0\0" if kind == 12 else b""

    def _take(self, first: int, body: bytes) -> bytes:
        counted = self._counted
        topic_end = 2 + (body[0] << 8 | body[1])
        has_mid = first & 0x06
        if body.startswith(b"$iothub", 2):
            return b""
        counted.publishes += 1
        counted.repeats += bool(first & 8)
        counted.body_bytes += len(body) - topic_end - (2 if has_mid else 0)
        if counted.topics is not None:
            topic = body[2:topic_end]
            counted.topics[topic] = counted.topics.get(topic, 0) + 1
        return b"\x40\x02" + body[topic_end : topic_end + 2] if has_mid else b""


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def serve(folder: Path, ask: Callable[[], str], tell: Callable[[str], None]) -> None:
    """Serve until `ask` gives no more."""
    authority, counted = trustme.CA(), Counted()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PubackConnection(counted), "127.0.0.1", 0, ssl=server_context(authority), backlog=4096
    )
    tell(str(server.sockets[0].getsockname()[1]))
    while line := await loop.run_in_executor(None, ask):
        if line.strip() == "topics":
            counted.topics = {}
        numbers = {name: value for name, value in vars(counted).items() if isinstance(value, int)}
        tell(json.dumps({**numbers, "different": len(counted.topics or ())}))
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.stdin.readline, lambda text: print(text, flush=True)))
