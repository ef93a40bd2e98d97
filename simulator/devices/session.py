"""The MQTT session of one device, without sockets or clocks: bytes in, bytes and events out. Pure.

    open -> CONNECT ... CONNACK -> SUBSCRIBE (what the hub does not remember) -> telemetry ... -> lost, or hang_up

Promises:
- A message that was taken by `offer` is kept until it is acknowledged; only then there is an `Acknowledged`, once.
- Messages go out in the order of `offer`. What was not acknowledged when a connection ended goes first over the next
  one, in the same order, with `dup`, under the same message id.
- At most `window` messages are unacknowledged at a time, and at most `backlog` are held at all: then `offer` refuses.
- With QoS 0 nothing is acknowledged: a message counts as such when an open connection has it, and may be lost.
- A connection is silent for at most half of the keep-alive; one whose other end is silent for a whole one is given up.

Times are seconds of any clock that does not jump. The owner calls, in this order: `open` when bytes can be sent, `feed`
with what comes, `wake` about every second, `lost` at the end; after each of them, and after `offer`, it sends `take()`
and looks at `poll()`.
"""

from collections import deque
from typing import NamedTuple

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
    Suback,
    Subscribe,
)
from simulator.mqtt.reading import PacketReader

_LARGEST_PACKET_BYTES = 1_048_576
_REFUSED_FILTER = 0x80
_CONNECT_TIMEOUT_S = 30.0
_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it is not available",
    4: "it does not accept the user name or the token",
    5: "this device may not connect: is it known and enabled, and is its key right?",
}


class Telemetry(NamedTuple):
    """A message on its way: `created_s` is the machine's clock, seconds since 1970. `is_copy`: it was sent before."""

    message_id: str
    sequence: int
    created_s: float
    topic: str
    body: bytes
    is_copy: bool = False


class Acknowledged(NamedTuple):
    """The other side has this message."""

    message: Telemetry


class Opened(NamedTuple):
    """The other side has accepted the connection, and all subscriptions that it does not refuse."""

    refused_filters: tuple[str, ...] = ()


class Incoming(NamedTuple):
    """Something came under a topic that was subscribed to. It is acknowledged."""

    topic: str
    payload: bytes


Event = Acknowledged | Opened | Incoming


class SessionFault(Exception):
    """The connection is of no use: close it. `is_refusal`: the other side does not want this device."""

    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        self.is_refusal = is_refusal
        super().__init__(reason)


class SessionSettings(NamedTuple):
    """Who connects, and how. `filters` are subscribed to."""

    client_id: str
    user: str | None = None
    filters: tuple[str, ...] = ()
    qos: int = 1
    window: int = 100
    backlog: int = 1000
    keep_alive_s: int = 60


class Session:
    """See the module."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._waiting: deque[Telemetry] = deque()
        self._unacknowledged: dict[int, Telemetry] = {}
        self._granted: set[str] = set()
        self._subscribing: tuple[int, tuple[str, ...]] | None = None
        self._mid = 0
        self._reader = PacketReader(_LARGEST_PACKET_BYTES)
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._is_connecting = False
        self._holds_back = False
        self._sent_s = self._received_s = 0.0
        self._begun_s: float | None = None
        self._ping_s: float | None = None
        self.is_open = False
        self.is_paused = False
        """Set by the owner while the connection takes no more bytes: no message is handed to it then."""
        self.repeats = 0
        """Messages that were sent again after a lost connection."""

    @property
    def held(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._waiting) + len(self._unacknowledged)

    @property
    def under_way(self) -> int:
        """Messages that were sent and are not acknowledged yet."""
        return len(self._unacknowledged)

    @property
    def has_room(self) -> bool:
        """Whether `offer` takes another message."""
        return self.held < self._settings.backlog

    def offer(self, message: Telemetry) -> bool:
        """Take a message, to be sent as soon as possible; False when the backlog is full, and it was not taken."""
        if not self.has_room:
            return False
        self._waiting.append(message)
        self._pump()
        return True

    def held_messages(self) -> list[Telemetry]:
        """What is not acknowledged yet, oldest first."""
        return [*self._unacknowledged.values(), *self._waiting]

    def say(self, topic: str, payload: bytes) -> None:
        """Send this with QoS 0, now: requests and answers, which mean nothing over a later connection."""
        if self.is_open:
            self._out.append(encode(Publish(topic, payload)))

    def hold_back(self) -> None:
        """Hand no more messages to this connection: it is about to be replaced."""
        self._holds_back = True

    def open(self, password: bytes | None, now_s: float) -> None:
        """There is a connection: sign in."""
        self.lost()
        settings = self._settings
        self._reader = PacketReader(_LARGEST_PACKET_BYTES)
        self._is_connecting = True
        self._holds_back = self.is_paused = False
        self._begun_s = self._received_s = now_s
        connect = Connect(settings.client_id, settings.user, password, settings.keep_alive_s, clean=False)
        self._out.append(encode(connect))

    def lost(self) -> None:
        """The connection is gone."""
        self.is_open = self._is_connecting = False
        self._subscribing = self._begun_s = self._ping_s = None
        self._out.clear()

    def hang_up(self) -> None:
        """Say goodbye: the owner closes the connection after this was sent, and calls `lost`."""
        self._holds_back = True
        self._out.append(encode(Disconnect()))

    def feed(self, received: bytes, now_s: float) -> None:
        """Bytes have come. Raises SessionFault."""
        self._received_s = now_s
        self._ping_s = None
        for packet in self._reader.feed(received):
            if type(packet) is Puback:
                message = self._unacknowledged.pop(packet.mid, None)
                if message is not None:
                    self._events.append(Acknowledged(message))
            else:
                self._take(packet)
        self._pump()

    def wake(self, now_s: float) -> None:
        """Look at the time. Raises SessionFault when the other side is silent for too long."""
        limit_s = self._settings.keep_alive_s / 2
        silent_s = now_s - self._received_s
        if not self.is_open:
            if self._begun_s is not None and now_s - self._begun_s > _CONNECT_TIMEOUT_S:
                raise SessionFault(f"no answer to CONNECT and SUBSCRIBE in {_CONNECT_TIMEOUT_S:g} s")
        elif self._ping_s is not None:
            if now_s - self._ping_s > limit_s:
                raise SessionFault(f"nothing came for {silent_s:.0f} s")
        elif silent_s >= limit_s or now_s - self._sent_s >= limit_s:
            self._out.append(encode(Pingreq()))
            self._ping_s = self._sent_s = now_s

    def take(self, now_s: float) -> bytes:
        """The bytes to send now."""
        if not self._out:
            return b""
        self._sent_s = now_s
        taken = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return taken

    def poll(self) -> list[Event]:
        """What has happened since the last call."""
        if not self._events:
            return []
        events, self._events = self._events, []
        return events

    def pump(self) -> None:
        """Go on after `is_paused` was taken back."""
        self._pump()

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Malformed):
            raise SessionFault(f"the other side does not speak MQTT: {packet.reason}")
        if isinstance(packet, Connack) and self._is_connecting:
            self._connected(packet)
        elif self._is_connecting and not isinstance(packet, Publish | Suback):
            raise SessionFault(f"a {type(packet).__name__} came instead of a CONNACK")
        elif isinstance(packet, Publish):
            if packet.qos > 1:
                raise SessionFault("a message with QoS 2 came, though 1 was the most that we asked for")
            if packet.qos:
                self._out.append(encode(Puback(packet.mid)))
            self._events.append(Incoming(packet.topic, packet.payload))
        elif isinstance(packet, Suback):
            self._subscribed(packet)
        elif not isinstance(packet, Pingresp):
            raise SessionFault(f"a {type(packet).__name__} came, which is nothing for a client")

    def _connected(self, packet: Connack) -> None:
        if packet.code:
            reason = _REFUSALS.get(packet.code, f"code {packet.code}")
            raise SessionFault(f"the connection is refused: {reason}", is_refusal=True)
        self._is_connecting = False
        if not packet.session_present:
            self._granted.clear()
        self._repeat()
        filters = tuple(name for name in self._settings.filters if name not in self._granted)
        if not filters:
            self._open(())
            return
        mid = self._next_mid()
        self._subscribing = mid, filters
        self._out.append(encode(Subscribe(mid, tuple((name, 1) for name in filters))))

    def _repeat(self) -> None:
        """What the other side may or may not have, under new packet identifiers: a session may have been forgotten."""
        before, self._unacknowledged = self._unacknowledged, {}
        for message in before.values():
            mid = self._next_mid()
            self._unacknowledged[mid] = message
            self._out.append(encode(Publish(message.topic, message.body, 1, mid, dup=True)))
        self.repeats += len(before)

    def _subscribed(self, packet: Suback) -> None:
        if self._subscribing is None or packet.mid != self._subscribing[0]:
            return
        filters = self._subscribing[1]
        self._subscribing = None
        if len(packet.codes) != len(filters):
            raise SessionFault("a SUBACK came with another number of filters")
        refused = tuple(name for name, code in zip(filters, packet.codes, strict=True) if code >= _REFUSED_FILTER)
        self._granted.update(set(filters) - set(refused))
        self._open(refused)

    def _open(self, refused: tuple[str, ...]) -> None:
        self.is_open = True
        self._events.append(Opened(refused))

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % 65_535 + 1
            if self._mid not in self._unacknowledged:
                return self._mid

    def _pump(self) -> None:
        if not self._waiting or not self.is_open or self._holds_back or self.is_paused:
            return
        waiting, unacknowledged, out = self._waiting, self._unacknowledged, self._out
        if self._settings.qos == 0:
            out += [encode(Publish(message.topic, message.body)) for message in waiting]
            self._events += map(Acknowledged, waiting)
            waiting.clear()
            return
        window = self._settings.window
        while waiting and len(unacknowledged) < window:
            message = waiting.popleft()
            mid = self._next_mid()
            unacknowledged[mid] = message
            out.append(encode(Publish(message.topic, message.body, 1, mid)))
