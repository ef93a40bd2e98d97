"""paho-mqtt without a socket: it reads from, and writes to, a pipe in memory; the event loop does the rest.

The two packets that make up nearly all traffic, PUBLISH and its acknowledgement, are decoded here: paho builds eight
objects for each, and takes 100 microseconds for the properties of MQTT 5, which are handed on as bytes. A message with
QoS 2 is confirmed here when its owner acknowledges it; paho confirms it when it comes, before anybody has stored it.

What is overridden is not part of paho's public interface, but the same in every 2.x; the tests of paho_connection fail
if that ever changes.
"""

from collections.abc import Callable
from typing import Literal, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from device_agent.messages.mqtt.connection import ConnectionOptions
from device_agent.messages.mqtt.publish_properties import read_length
from device_agent.messages.mqtt.topic_filter import is_shared

OnMessage = Callable[[str, bytes, int, int, bool, bool, bytes], None]
"""Topic, payload, mid, QoS, dup, retain, properties."""
OnConfirmed = Callable[[int, int], None]
"""Mid, reason code."""


FOR_EVER_S = 0xFFFFFFFF
_HINTS = {
    0x84: "; choose another version of MQTT",
    0x85: "; choose another client id",
    0x86: "; check user and password",
    0x87: "; check user and password, and the user's rights",
}
_RETAINED_IF_NEW = 1
_COMPLETE = (PacketTypes.CONNACK, PacketTypes.DISCONNECT)


class Pipe:
    """What paho takes for its socket. `sent` is what it wants to send; when `is_full`, it keeps the rest."""

    def __init__(self) -> None:
        self.sent: list[bytes | bytearray] = []
        self.is_full = False
        self._received = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        self._received = self._received[self._position :] + data if self.has_more else data
        self._position = 0

    @property
    def has_more(self) -> bool:
        """Whether there are bytes that paho has not read."""
        return self._position < len(self._received)

    def clear(self) -> None:
        """Forget everything: the connection is over."""
        self._received = b""
        self._position = 0
        self.sent.clear()

    def recv(self, buffer_size: int) -> bytes:
        """Up to so many bytes. Raises BlockingIOError when there are none."""
        data = self._received[self._position : self._position + buffer_size]
        if not data:
            raise BlockingIOError
        self._position += len(data)
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        """Take it all. Raises BlockingIOError when full."""
        if self.is_full:
            raise BlockingIOError
        self.sent.append(buffer)
        return len(buffer)

    def close(self) -> None:
        """Nothing: who owns the connection closes it."""

    def fileno(self) -> int:
        """None."""
        return -1

    def setblocking(self, flag: bool) -> None:
        """Nothing: it never blocks."""


class PipedClient(Client):
    """paho's client, on a pipe."""

    def __init__(
        self, pipe: Pipe, options: ConnectionOptions, on_received: OnMessage, on_confirmed: OnConfirmed
    ) -> None:
        is_5 = options.version == "5"
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=None if is_5 else options.clean_start,
            protocol=MQTTProtocolVersion.MQTTv5 if is_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._pipe = pipe
        self._on_received = on_received
        self._on_confirmed = on_confirmed
        self.max_inflight_messages_set(0)  # no limit: that is its owner's affair
        self.username_pw_set(options.user, options.password)
        if options.will is not None:
            self.will_set(*options.will)
        properties = None
        if is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = FOR_EVER_S
            properties.ReceiveMaximum = options.receive_maximum
        self.connect_async(
            options.host, options.port, options.keep_alive_s, clean_start=options.clean_start, properties=properties
        )

    def send(self, topic: str, payload: bytes, qos: int, retain: bool, properties: bytes) -> int:
        """Publish, with encoded properties; return the mid."""
        packed = cast("Properties", _Packed(properties)) if properties else None
        while True:
            sent = self.publish(topic, payload, qos, retain, packed)
            if sent.rc is not MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # else its mid is still in use: try the next
                return sent.mid

    def acknowledge(self, mid: int, qos: int) -> None:
        """Tell the broker that a message is safe. Nothing for QoS 0."""
        if qos == 1:
            self._send_puback(mid)
        elif qos == 2:
            self._send_pubrec(mid)

    def _create_socket(self) -> Pipe:
        return self._pipe

    def _handle_publish(self) -> MQTTErrorCode:
        command, packet = self._in_packet["command"], bytes(self._in_packet["packet"])
        qos = command >> 1 & 3
        mid, block = 0, b""
        try:
            at = 2 + (packet[0] << 8 | packet[1])
            topic = packet[2:at].decode()
            if qos:
                mid = packet[at] << 8 | packet[at + 1]
                at += 2
            if self._protocol is MQTTProtocolVersion.MQTTv5:
                length, at = read_length(packet, at)
                block, at = packet[at : at + length], at + length
        except (IndexError, ValueError):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if qos == 3 or at > len(packet):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._on_received(topic, packet[at:], mid, qos, bool(command & 8), bool(command & 1), block)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubrel(self) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return self._send_pubcomp(packet[0] << 8 | packet[1])

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        mid = packet[0] << 8 | packet[1]
        if self._out_messages.pop(mid, None) is not None:
            self._on_confirmed(mid, packet[2] if len(packet) > 2 else 0)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class _Packed:
    """Properties that are bytes already, as paho wants to have them."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def pack(self) -> bytes:
        return self._encoded


def subscription(topic_filter: str, qos: int) -> tuple[str, SubscribeOptions]:
    """What MQTT 5 is asked for: no retained messages again, and, where that is allowed, none of our own."""
    return topic_filter, SubscribeOptions(qos, noLocal=not is_shared(topic_filter), retainHandling=_RETAINED_IF_NEW)


def name_code(packet: int, code: int) -> str:
    """What a reason code of MQTT 5 (0x80 and more) means, in words; when it answers CONNECT, with a hint what to do.

    Brokers use codes also where the standard does not list them; their meaning is the same in all packets.
    """
    for kind in (packet, *_COMPLETE):
        try:
            name = ReasonCode(kind, identifier=code).getName().lower()
        except (KeyError, ValueError):
            continue
        return name + (_HINTS.get(code, "") if packet == PacketTypes.CONNACK else "")
    return f"reason code {code:#04x}"
