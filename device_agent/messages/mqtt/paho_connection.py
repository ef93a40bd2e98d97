"""One MQTT connection: paho-mqtt speaks the protocol, the event loop does all input and output.

    socket <-> event loop (TCP, TLS) --data_received--> Pipe --recv--> paho --> ConnectionEvents
                                    <--write, once a turn-- Pipe <--send--

paho has no thread and no socket here: what it takes for its socket is a pipe in memory. So nothing blocks, there is no
lock to wait for, packets that are sent in one turn of the loop leave in one write, and TLS is the loop's.

Rules:
- One PahoConnection is one connection, with a fresh paho client: paho would send what was not confirmed again by itself
  after a reconnect, and here its owner does that, from the disk.
- `closed` is called exactly once, whatever happens, unless `shut` was called first. Nothing is called after it.
- Silence is noticed within 1.5 keep-alives, also while we keep sending: paho asks for a sign of life after one.
- Messages beyond what the broker takes at a time (Receive Maximum) wait here; their owner keeps within its window.

Limits: no websockets, no proxy. A broker that sets the keep-alive to 0 switches the test for silence off.
"""

import asyncio
import collections
import ssl
import time
from collections.abc import Sequence
from typing import cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device_agent.messages.mqtt.connection import (
    LARGEST_PACKET_BYTES,
    BrokerLimits,
    ConnectionEvents,
    ConnectionOptions,
)
from device_agent.messages.mqtt.dialing import Destination, DialFailure, dial, tls_failure
from device_agent.messages.mqtt.paho_pipe import Pipe, PipedClient, name_code, subscription
from device_agent.messages.transport import Loss

_KEEP_ALIVE_TIMEOUT = 0x8D
_TICKS_A_KEEP_ALIVE = 10
_SILENT_TICKS = 14
_READ_TURN_S = 0.003
_FAILURES = 0x80
_GOODBYE_S = 0.9


class PahoConnection(asyncio.Protocol):
    """See the module. `open` it once."""

    def __init__(self, options: ConnectionOptions, events: ConnectionEvents, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._events = events
        self._loop = loop
        self._to = Destination(options.host, options.port, options.tls, options.server_name or options.host)
        self._pipe = Pipe()
        self._client = PipedClient(self._pipe, options, self._on_received, self._on_confirmed)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_socket_register_write = self._on_register_write
        self._dialing: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._answer_by_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._is_open = False
        self._has_ended = False
        self._is_shut = False
        self._silent_ticks = 0
        self._numbers = 0
        self._in_flight: dict[int, int] = {}
        self._limit = options.window
        self._waiting: collections.deque[tuple[int, str, bytes, int, bool, bytes]] = collections.deque()
        self.broker_limits = BrokerLimits()

    def open(self) -> None:
        """Begin to connect: `opened` or `closed` follows."""
        self._answer_by_s = self._loop.time() + self._options.connect_timeout_s
        self._dialing = self._loop.create_task(self._dial())

    async def _dial(self) -> None:
        try:
            await dial(self._to, self._options.connect_timeout_s, lambda: self)
        except DialFailure as failure:
            self._end(failure.loss, str(failure))
        finally:
            if self._transport is None:  # whatever happened
                self._end(Loss.UNREACHABLE, f"Cannot connect to {self._to}")

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, properties: bytes = b"") -> int:
        """Send a message; `confirmed` or `refused` follows with this number, with QoS 1. While open only.

        `properties` (MQTT 5) are encoded, their length first. Raises ValueError for a topic or a size that MQTT does
        not allow.
        """
        self._numbers += 1
        if qos and (self._waiting or len(self._in_flight) >= self._limit):
            self._waiting.append((self._numbers, topic, payload, qos, retain, properties))
        else:
            self._send(self._numbers, topic, payload, qos, retain, properties)
        return self._numbers

    def _send(self, number: int, topic: str, payload: bytes, qos: int, retain: bool, properties: bytes) -> None:
        mid = self._client.send(topic, payload, qos, retain, properties)
        if qos:
            self._in_flight[mid] = number

    def acknowledge(self, mid: int, qos: int) -> None:
        """Tell the broker that a message that came over this connection is safe. Nothing for QoS 0 or after the end."""
        if self._is_open:
            self._client.acknowledge(mid, qos)

    def subscribe(self, topics: Sequence[tuple[str, int]]) -> int:
        """Subscribe to filters with a QoS each; `subscribed` follows with the number that is returned here.

        With MQTT 5, retained messages come only for a subscription that the session does not have yet, and what is
        published over this connection does not come back, but for shared subscriptions: there that is not allowed.
        Raises ValueError for a filter that MQTT does not allow.
        """
        if self._options.version == "5":
            return self._client.subscribe([subscription(topic, qos) for topic, qos in topics])[1] or 0
        return self._client.subscribe(list(topics))[1] or 0

    def close(self, loss: Loss, reason: str) -> None:
        """End the connection, or the attempt; `closed` follows. With Loss.PLANNED the broker is told: no last will."""
        self._end(loss, reason)

    async def shut(self) -> None:
        """Send what was published, say goodbye, and be gone within a second. Nothing is called any more."""
        self._is_shut = True
        self._end(Loss.PLANNED, "")
        if self._dialing is not None:
            await asyncio.wait({self._dialing})
        if self._transport is not None:
            await self._gone.wait()

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected: say CONNECT."""
        if self._has_ended:
            cast("asyncio.Transport", transport).abort()  # dial is being cancelled: no connection_lost may follow
            return
        self._transport = cast("asyncio.Transport", transport)
        self._timer = self._loop.call_at(self._answer_by_s, self._on_no_answer)
        self._client.reconnect()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: let paho read them, for a few milliseconds at a time; HTTP is served by the same loop."""
        if self._has_ended:
            return
        self._silent_ticks = 0
        self._pipe.feed(data)
        self._read()

    def _read(self) -> None:
        until_s = time.monotonic() + _READ_TURN_S
        while self._pipe.has_more:
            self._client.loop_read()
            if self._pipe.has_more and time.monotonic() > until_s and self._transport is not None:
                self._transport.pause_reading()
                self._loop.call_soon(self._read_on)
                return

    def _read_on(self) -> None:
        self._read()
        if not self._pipe.has_more and self._transport is not None and not self._has_ended:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer reads slower than we send: keep the rest in paho."""
        self._pipe.is_full = True

    def resume_writing(self) -> None:
        """Send on."""
        self._pipe.is_full = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._transport = None
        self._gone.set()
        if self._is_open:
            self._end(Loss.CLOSED, f"{self._to} closed the connection" + (f": {exc}" if exc else ""))
        elif isinstance(exc, ssl.SSLError):
            self._end(*tls_failure(self._to, exc))
        else:
            self._end(Loss.CLOSED, f"{self._to} closed the connection without an answer")

    # paho calls these, from loop_read, loop_write or loop_misc.

    def _on_register_write(self, _client: Client, _userdata: object, _socket: object) -> None:
        if not self._pipe.is_full:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._client.loop_write()
        if self._transport is not None and self._pipe.sent:
            self._transport.write(b"".join(self._pipe.sent))
            self._pipe.sent.clear()

    def _on_connect(
        self, _client: Client, _userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._is_open:
            self._end(Loss.CLOSED, f"{self._to} accepted the connection twice")
            return
        if reason.value != 0:
            text = f"{self._to} refused the connection: {name_code(PacketTypes.CONNACK, reason.value)}"
            self._end(Loss.REFUSED, text, reason.value)
            return
        self.broker_limits = BrokerLimits(
            getattr(properties, "MaximumPacketSize", LARGEST_PACKET_BYTES), getattr(properties, "ReceiveMaximum", 65535)
        )
        if getattr(properties, "MaximumQoS", 1) == 0:
            self._end(Loss.REFUSED, f"{self._to} confirms no messages (QoS 1): nothing could be kept safe")
            return
        self._limit = min(self._options.window, self.broker_limits.receive_maximum)
        self._is_open = True
        self._stop_timer()
        if self._client.keepalive:
            self._tick()
        self._events.opened(flags.session_present)

    def _on_received(
        self, topic: str, payload: bytes, mid: int, qos: int, dup: bool, retain: bool, properties: bytes
    ) -> None:
        if self._is_open:
            self._events.message(topic, payload, mid, qos, dup, retain, properties)
        else:
            self._end(Loss.CLOSED, f"{self._to} sent a message before it accepted the connection")

    def _on_confirmed(self, mid: int, code: int) -> None:
        number = self._in_flight.pop(mid)
        if code >= _FAILURES:
            self._events.refused(number, name_code(PacketTypes.PUBACK, code), code)
        else:
            self._events.confirmed(number)
        if self._waiting and self._is_open:
            self._send(*self._waiting.popleft())

    def _on_subscribe(
        self, _client: Client, _userdata: object, mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if self._is_open:
            self._events.subscribed(mid, [code.value for code in codes])

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode | None,
        _properties: Properties | None,
    ) -> None:
        name = reason.getName().lower() if reason is not None else "no reason given"
        if flags.is_disconnect_packet_from_server:
            self._end(Loss.CLOSED, f"{self._to} ended the connection: {name}")
        elif reason is not None and reason.value == _KEEP_ALIVE_TIMEOUT:
            self._end(Loss.SILENT, f"{self._to} did not answer a ping")
        else:
            self._end(Loss.CLOSED, f"{self._to} does not keep to MQTT {self._options.version}: {name}")

    # The end.

    def _tick(self) -> None:
        self._silent_ticks += 1
        if self._silent_ticks >= _SILENT_TICKS:
            silence_s = _SILENT_TICKS * self._client.keepalive / _TICKS_A_KEEP_ALIVE
            self._end(Loss.SILENT, f"{self._to} has been silent for {silence_s:g} s, and did not answer a ping")
            return
        self._client.loop_misc()
        if not self._has_ended:
            self._timer = self._loop.call_later(self._client.keepalive / _TICKS_A_KEEP_ALIVE, self._tick)

    def _on_no_answer(self) -> None:
        timeout_s = self._options.connect_timeout_s
        self._end(Loss.SILENT, f"{self._to} did not answer within {timeout_s:g} s; check that it speaks MQTT")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, loss: Loss, reason: str, code: int | None = None) -> None:
        if self._has_ended:
            return
        was_open, self._is_open, self._has_ended = self._is_open, False, True
        self._stop_timer()
        self._pipe.clear()
        self._waiting.clear()
        self._client.on_disconnect = None
        if self._transport is None:
            if self._dialing is not None:
                self._dialing.cancel()
        elif was_open and loss is Loss.PLANNED:
            self._loop.call_soon(self._say_goodbye)
        else:
            self._transport.abort()
        self._loop.call_soon(self._report_end, loss, reason, code)

    def _say_goodbye(self) -> None:
        """Tell the broker, which then closes. Until it does, what comes is read: unread bytes would make it a reset."""
        self._pipe.is_full = False
        self._client.disconnect()
        self._flush()
        if self._transport is not None:
            self._transport.resume_reading()
            self._loop.call_later(_GOODBYE_S, self._transport.abort)

    def _report_end(self, loss: Loss, reason: str, code: int | None) -> None:
        if not self._is_shut:
            self._events.closed(loss, reason, code)
