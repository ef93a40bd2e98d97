"""A client that speaks bytes, made by hand, over TLS: for what no library would send."""

import socket
import ssl
from types import TracebackType
from typing import Any, Self

from tests.integration.simulator.paho_peer import password, user_name
from tests.integration.simulator.sdk_world import DEADLINE_S, SimulationUnderTest

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


def field(value: bytes | str) -> bytes:
    """Bytes behind their length."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2) + raw


def packet(first: int, body: bytes = b"") -> bytes:
    """A packet: its first byte, the length of what follows, what follows."""
    left, length = len(body), b""
    while True:
        left, low = divmod(left, 128)
        length += bytes([low | 0x80 if left else low])
        if not left:
            return bytes([first]) + length + body


def connect(
    client_id: str,
    user: str,
    secret: str,
    *,
    level: int = 4,
    name: str = "MQTT",
    flags: int = 0xC0,
    keep_alive_s: int = 60,
) -> bytes:
    """CONNECT. Of level 5 with empty properties."""
    head = field(name) + bytes([level, flags]) + keep_alive_s.to_bytes(2) + (b"\0" if level == 5 else b"")
    return packet(0x10, head + field(client_id) + field(user) + field(secret))


def publish(topic: str, body: bytes = b"", *, qos: int = 1, mid: int = 1) -> bytes:
    """PUBLISH."""
    return packet(0x30 | qos << 1, field(topic) + (mid.to_bytes(2) if qos else b"") + body)


def subscribe(name: str, qos: int = 1, mid: int = 1) -> bytes:
    """SUBSCRIBE."""
    return packet(0x82, mid.to_bytes(2) + field(name) + bytes([qos]))


class RawClient:
    """A TLS connection to the hub; a context manager."""

    def __init__(self, sim: SimulationUnderTest) -> None:
        plain = socket.create_connection((sim.host, 8883), DEADLINE_S)
        self._socket = ssl.create_default_context(cadata=sim.ca_pem).wrap_socket(plain, server_hostname=sim.host)

    @classmethod
    def signed_in(cls, sim: SimulationUnderTest, client_id: str, **more: Any) -> Self:
        """A client that the hub has let in."""
        made = cls(sim)
        made.send(connect(client_id, user_name(sim, client_id), password(sim, client_id), **more))
        assert made.read(4)[:2] == b"\x20\x02"
        return made

    def send(self, *packets: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(b"".join(packets))

    def read(self, count: int) -> bytes:
        """So many bytes, or fewer where the connection ends."""
        found = b""
        while len(found) < count and (part := self._receive(count - len(found))):
            found += part
        return found

    def rest(self) -> bytes:
        """All that comes until the hub ends the connection."""
        found = b""
        while part := self._receive(65_536):
            found += part
        return found

    def _receive(self, count: int) -> bytes:
        try:
            return self._socket.recv(count)
        except (ConnectionError, ssl.SSLEOFError):
            return b""  # ended without a word

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
