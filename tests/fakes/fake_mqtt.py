"""The packets of MQTT 3.1.1, as a server reads and writes them. For tests only: it knows what clients here send."""

import struct
from asyncio import StreamReader
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14


class Connect(NamedTuple):
    """What a CONNECT says."""

    client_id: str
    user: str
    password: str
    clean: bool
    keep_alive_s: int


class Publish(NamedTuple):
    """What a PUBLISH says."""

    topic: str
    body: bytes
    qos: int
    dup: bool
    mid: int


async def read_packet(reader: StreamReader) -> tuple[int, int, bytes]:
    """Kind, flags and the rest of the next packet. Raises IncompleteReadError at the end."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return first >> 4, first & 0x0F, await reader.readexactly(length)


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A whole packet."""
    length, head = len(body), bytes([kind << 4 | flags])
    while True:
        length, byte = length >> 7, length & 0x7F
        head += bytes([byte | (0x80 if length else 0)])
        if not length:
            return head + body


def parse_connect(body: bytes) -> Connect:
    """The fields of a CONNECT of MQTT 3.1.1 without a will."""
    protocol, position = _text(body, 0)
    assert (protocol, body[position]) == ("MQTT", 4), "MQTT 3.1.1 only"
    flags = body[position + 1]
    assert not flags & 0x04, "wills are not known here"
    client_id, at = _text(body, position + 4)
    user, at = _text(body, at) if flags & 0x80 else ("", at)
    password, at = _text(body, at) if flags & 0x40 else ("", at)
    assert at == len(body)
    return Connect(client_id, user, password, bool(flags & 2), int.from_bytes(body[position + 2 : position + 4]))


def parse_publish(flags: int, body: bytes) -> Publish:
    """The fields of a PUBLISH."""
    topic, at = _text(body, 0)
    qos = flags >> 1 & 3
    mid = int.from_bytes(body[at : at + 2]) if qos else 0
    return Publish(topic, body[at + (2 if qos else 0) :], qos, bool(flags & 8), mid)


def parse_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Packet id, and the filters with their QoS."""
    filters, at = [], 2
    while at < len(body):
        topic, at = _text(body, at)
        filters.append((topic, body[at]))
        at += 1
    return int.from_bytes(body[:2]), filters


def encode_publish(message: Publish) -> bytes:
    """A PUBLISH."""
    topic = message.topic.encode()
    mid = struct.pack(">H", message.mid) if message.qos else b""
    return packet(
        PUBLISH, message.dup << 3 | message.qos << 1, struct.pack(">H", len(topic)) + topic + mid + message.body
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic matches a filter without +."""
    return topic.startswith(topic_filter[:-1]) if topic_filter.endswith("#") else topic == topic_filter


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2])
    return body[at + 2 : end].decode(), end
