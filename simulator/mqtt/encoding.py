"""MQTT 3.1.1 packets to bytes. Pure. Source: OASIS MQTT 3.1.1, chapters 2 and 3."""

from collections.abc import Iterable

from simulator.mqtt.packets import (
    LONGEST_REMAINING,
    PUBREL,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    QosTwo,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)

LONGEST_TEXT_BYTES = 65_535


def encode(packet: Packet) -> bytes:
    """The bytes of a packet. Raises ValueError for texts over 65,535 bytes and for what is too long to announce."""
    if type(packet) is Puback:
        return b"\x40\x02" + packet.mid.to_bytes(2)
    if type(packet) is Publish:
        topic = _text(packet.topic)
        flags = 0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain
        head = topic + packet.mid.to_bytes(2) if packet.qos else topic
        return bytes((flags,)) + _length(len(head) + len(packet.payload)) + head + packet.payload
    match packet:
        case Connect():
            return _encode_connect(packet)
        case Connack(code, session_present):
            return bytes((0x20, 2, session_present, code))
        case Subscribe(mid, filters):
            body = b"".join(_text(name) + bytes((qos,)) for name, qos in filters)
            return _framed(0x82, mid.to_bytes(2) + body)
        case Suback(mid, codes):
            return _framed(0x90, mid.to_bytes(2) + bytes(codes))
        case Unsubscribe(mid, names):
            return _framed(0xA2, mid.to_bytes(2) + b"".join(map(_text, names)))
        case Unsuback(mid):
            return b"\xb0\x02" + mid.to_bytes(2)
        case Pingreq():
            return b"\xc0\x00"
        case Pingresp():
            return b"\xd0\x00"
        case Disconnect():
            return b"\xe0\x00"
        case QosTwo(kind, mid):
            return bytes((kind << 4 | (2 if kind == PUBREL else 0), 2)) + mid.to_bytes(2)
    raise ValueError(f"{packet!r} cannot be sent")


def _encode_connect(packet: Connect) -> bytes:
    flags = packet.clean << 1
    parts = [_text(packet.client_id)]
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | packet.will.retain << 5
        parts += [_text(packet.will.topic), _bytes(packet.will.payload)]
    if packet.user is not None:
        flags |= 0x80
        parts.append(_text(packet.user))
    if packet.password is not None:
        flags |= 0x40
        parts.append(_bytes(packet.password))
    head = b"\0\4MQTT" + bytes((packet.level, flags)) + packet.keep_alive_s.to_bytes(2)
    return _framed(0x10, head + b"".join(parts))


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    if length > LONGEST_REMAINING:
        raise ValueError(f"a packet of {length} bytes is too long for MQTT")
    encoded = bytearray()
    while length >= 0x80:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(raw: bytes) -> bytes:
    if len(raw) > LONGEST_TEXT_BYTES:
        raise ValueError(f"a text of {len(raw)} bytes is too long for MQTT")
    return len(raw).to_bytes(2) + raw


def encode_all(packets: Iterable[Packet]) -> bytes:
    """The bytes of several packets."""
    return b"".join(map(encode, packets))
