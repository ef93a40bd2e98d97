"""One client's connection to the hub, from CONNECT to its end. Sans-IO: bytes in, bytes out through a `Wire`.

The rules of MQTT 3.1.1 that need no knowledge of messages are here: CONNECT first and once, no QoS 2, keep-alive. What
a client may do and what becomes of its packets is its `Service`'s affair. The end of a connection is told once.
"""

from collections import deque
from typing import Protocol

from simulator.mqtt.encoding import encode
from simulator.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Subscribe,
    Unsubscribe,
    Will,
)
from simulator.mqtt.reading import PacketReader

LARGEST_MESSAGE_BYTES = 262_144
_LARGEST_PACKET_BYTES = LARGEST_MESSAGE_BYTES + 65_535 + 4
_CONNECT_WITHIN_S = 60.0


class Wire(Protocol):
    """Where a connection's bytes go."""

    def write(self, sent: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """End the connection when what was written is sent."""
        ...


class Service(Protocol):
    """What serves a client once it is admitted."""

    def published(self, connection: "Connection", packet: Publish) -> str:
        """Take a message; returns why the connection has to end, "" if it goes on."""
        ...

    def subscribed(self, connection: "Connection", packet: Subscribe) -> None:
        """Answer with a Suback."""
        ...

    def unsubscribed(self, connection: "Connection", packet: Unsubscribe) -> None:
        """Answer with an Unsuback."""
        ...

    def acknowledged(self, connection: "Connection", mid: int) -> None:
        """The client has taken a message."""
        ...

    def left(self, connection: "Connection", will: Will | None) -> None:
        """The connection has ended; `will` when it was not in order."""
        ...


class Gate(Protocol):
    """Decides who gets in."""

    def admit(self, connection: "Connection", connect: Connect) -> None:
        """Call `connection.accept`, `refuse`, or `end`; later, if the network is away: then `take_early`, too."""
        ...


class Connection:
    """See the module. `now_s` are real seconds of any one clock."""

    def __init__(self, gate: Gate, wire: Wire, now_s: float) -> None:
        self.client_id = ""
        self.link = ""
        """The link over which it comes, "" before that is known."""
        self.ends_at_s: float | None = None
        """When its token ends."""
        self._gate = gate
        self._wire = wire
        self._reader = PacketReader(_LARGEST_PACKET_BYTES)
        self._service: Service | None = None
        self._will: Will | None = None
        self._has_connect = False
        self._is_over = False
        self._silent_after_s = _CONNECT_WITHIN_S
        self._heard_s = now_s
        self._out: list[bytes] | None = None
        self._early: deque[Packet] = deque()

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self._is_over

    def received(self, data: bytes, now_s: float) -> None:
        """Bytes from the client. What they cause is written in one piece."""
        if self._is_over:
            return
        self._heard_s = now_s
        out: list[bytes] = []
        self._out = out
        try:
            for packet in self._reader.feed(data):
                self._take(packet)
                if self._is_over:
                    break
        finally:
            self._out = None
            if out:
                self._wire.write(b"".join(out))
            if self._is_over:
                self._wire.close()

    def take_early(self) -> None:
        """Take what came behind the CONNECT while it waited for its answer."""
        while self._early and not self._is_over:
            self._take(self._early.popleft())

    def send(self, packet: Packet) -> None:
        """Send a packet; nothing after the end."""
        if self._is_over:
            return
        if self._out is not None:
            self._out.append(encode(packet))
        else:
            self._wire.write(encode(packet))

    def accept(self, service: Service, client_id: str, session_present: bool) -> None:
        """Let the client in."""
        self._service = service
        self.client_id = client_id
        self.send(Connack(0, session_present))

    def refuse(self, code: int) -> None:
        """Say no (see Connack for codes) and end the connection."""
        self.send(Connack(code))
        self.end()

    def end(self) -> None:
        """End the connection from this side, as the hub does: without a word (MQTT 3.1.1 has none)."""
        self._finish(self._will)

    def lost(self) -> None:
        """The network says that it has ended."""
        self._finish(self._will)

    def check(self, now_s: float, wall_s: float) -> None:
        """End it if the client is silent for one and a half times its keep-alive, or its token has ended."""
        is_silent = self._silent_after_s and now_s - self._heard_s > self._silent_after_s
        if is_silent or (self.ends_at_s is not None and wall_s >= self.ends_at_s):
            self.end()

    def _finish(self, will: Will | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._out is None:
            self._wire.close()
        if self._service is not None:
            self._service.left(self, will)

    def _take(self, packet: Packet) -> None:
        service = self._service
        if service is None:
            self._take_first(packet)
        elif type(packet) is Publish:
            if packet.qos == 2 or service.published(self, packet):
                self.end()
        elif type(packet) is Puback:
            service.acknowledged(self, packet.mid)
        else:
            self._take_other(service, packet)

    def _take_first(self, packet: Packet) -> None:
        if self._has_connect and not isinstance(packet, Connect | Malformed):
            self._early.append(packet)  # legal: a client need not wait for the answer
            return
        if not isinstance(packet, Connect) or self._has_connect:
            self.end()
            return
        self._has_connect = True
        self._will = packet.will
        self._silent_after_s = packet.keep_alive_s * 1.5
        if packet.level != 4:
            self.refuse(1)
        else:
            self._gate.admit(self, packet)

    def _take_other(self, service: Service, packet: Packet) -> None:
        match packet:
            case Subscribe():
                service.subscribed(self, packet)
            case Unsubscribe():
                service.unsubscribed(self, packet)
            case Pingreq():
                self.send(Pingresp())
            case Disconnect():
                self._finish(None)
            case Malformed() | _:
                self.end()
