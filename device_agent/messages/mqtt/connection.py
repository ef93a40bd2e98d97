"""One MQTT connection, seen from outside: what it is told, and what it tells. paho_connection is what makes it."""

import ssl
from typing import NamedTuple, Protocol

from device_agent.messages.transport import Loss

LARGEST_PACKET_BYTES = 268_435_455


class ConnectionOptions(NamedTuple):
    """How to connect. `version` is "5" or "3.1.1".

    `will`: topic, payload, QoS, retain. `server_name` is what the certificate must name, "" for the host.
    `connect_timeout_s` is for everything up to the broker's answer. `receive_maximum` (MQTT 5): inputs that may be
    unacknowledged at a time. `window`: the most messages that the owner has unconfirmed at a time.
    """

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    version: str = "3.1.1"
    keep_alive_s: int = 60
    clean_start: bool = False
    will: tuple[str, bytes, int, bool] | None = None
    connect_timeout_s: float = 20.0
    receive_maximum: int = 100
    window: int = 100


class ConnectionEvents(Protocol):
    """Who uses a connection: called on the loop, never from inside a call to the connection."""

    def opened(self, session_present: bool) -> None:
        """The broker has accepted the connection."""
        ...

    def closed(self, loss: Loss, reason: str, code: int | None) -> None:
        """It failed, or is gone; called once. `code` is the broker's reason when it refused the connection: a reason
        code of MQTT 5 (0x84: version not supported), also when 3.1.1 was spoken.
        """
        ...

    def message(
        self, topic: str, payload: bytes, mid: int, qos: int, dup: bool, retain: bool, properties: bytes
    ) -> None:
        """A message has come. With QoS 1 and 2 it waits for `acknowledge`. `properties` (MQTT 5) are encoded."""
        ...

    def confirmed(self, mid: int) -> None:
        """The broker has what was published with QoS 1."""
        ...

    def refused(self, number: int, reason: str, code: int) -> None:
        """The broker (MQTT 5) does not take what was published with this number, for this reason, in words.

        `code` is the same as a reason code, 0x80 and more. The connection stays.
        """
        ...

    def subscribed(self, mid: int, codes: list[int]) -> None:
        """The broker's answer to `subscribe`: for each filter the QoS granted, or 0x80 and more."""
        ...


class BrokerLimits(NamedTuple):
    """What the broker said it can take at most: bytes of a packet, and unconfirmed messages at a time."""

    packet_bytes: int = LARGEST_PACKET_BYTES
    receive_maximum: int = 65535
