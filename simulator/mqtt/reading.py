"""Bytes to MQTT 3.1.1 packets. Pure.

Whatever bytes come in, `PacketReader.feed` gives packets; bytes that are no MQTT give a `Malformed`, the last one ever.
A packet is refused by its announced length before its bytes are kept, so a peer cannot fill the memory. Source: OASIS
MQTT 3.1.1, chapters 2 and 3. A CONNECT of another protocol level is read as far as its level, so that it can be refused
with the right code. Not here: what packets mean.
"""

from collections.abc import Callable

from simulator.mqtt.packets import (
    LEVEL_3_1_1,
    LONGEST_REMAINING,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Connack,
    Connect,
    Disconnect,
    Malformed,
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
    Will,
)


class _MalformedError(ValueError):
    """Why the bytes are no MQTT."""


class PacketReader:
    """Cuts a stream of bytes into packets. A packet whose remaining length is over `limit_bytes` is malformed."""

    def __init__(self, limit_bytes: int = LONGEST_REMAINING) -> None:
        self._limit_bytes = limit_bytes
        self._rest = b""
        self._is_over = False

    def feed(self, received: bytes) -> list[Packet]:
        """The packets that are whole now; after a Malformed, none ever."""
        if self._is_over:
            return []
        buffer = self._rest + received if self._rest else received
        packets: list[Packet] = []
        at, end = 0, len(buffer)
        try:
            while at < end:
                body, after = self._bounds(buffer, at)
                if after > end or body == 0:
                    break
                packets.append(_parse(buffer[at], buffer[body:after]))
                at = after
        except _MalformedError as error:
            self._is_over = True
            self._rest = b""
            return [*packets, Malformed(str(error))]
        self._rest = buffer[at:] if at < end else b""
        return packets

    def _bounds(self, buffer: bytes, at: int) -> tuple[int, int]:
        """Where the body of the packet begins and ends; (0, 0) while its length is not whole."""
        if buffer[at] >> 4 != PUBLISH and buffer[at] not in _PARSERS:
            raise _MalformedError(f"there is no packet that begins with 0x{buffer[at]:02x}")
        length, shift, place = 0, 0, at + 1
        while True:
            if place >= len(buffer):
                return 0, 0
            byte = buffer[place]
            place += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise _MalformedError("the remaining length has more than four bytes")
        if length > self._limit_bytes:
            raise _MalformedError(f"a packet of {length} bytes: at most {self._limit_bytes} are taken")
        return place, place + length


class _Body:
    """Reads the parts of a packet's body in their order."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def number(self, size: int) -> int:
        """A big-endian number."""
        return int.from_bytes(self.take(size))

    def take(self, size: int) -> bytes:
        """So many bytes."""
        part = self._raw[self._at : self._at + size]
        if len(part) < size:
            raise _MalformedError("a packet ends in the middle of a field")
        self._at += size
        return part

    def field(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.number(2))

    def text(self) -> str:
        """A text behind its length."""
        return _decoded(self.field())

    def has_more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._raw)

    def end(self) -> None:
        """Nothing may be left."""
        if self.has_more():
            raise _MalformedError("a packet has more bytes than its fields")


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _MalformedError("a text is not UTF-8") from None
    if "\0" in text:
        raise _MalformedError("a text holds a null character")
    return text


def _parse(first: int, body: bytes) -> Packet:
    kind = first >> 4
    if kind == PUBLISH:
        return _parse_publish(first, body)
    if kind == PUBACK and first == 0x40 and len(body) == 2:
        return Puback(body[0] << 8 | body[1])
    reader = _Body(body)
    packet = _PARSERS[first](reader)
    if not (isinstance(packet, Connect) and packet.level != LEVEL_3_1_1):
        reader.end()
    return packet


def _parse_publish(first: int, body: bytes) -> Publish:
    qos = first >> 1 & 3
    if qos == 3 or (first & 8 and not qos):
        raise _MalformedError("PUBLISH with flags that contradict each other")
    size = body[0] << 8 | body[1] if len(body) >= 2 else 0
    at = 2 + size
    if not size or len(body) < at + (2 if qos else 0):
        raise _MalformedError("PUBLISH without a whole topic")
    topic = _decoded(body[2:at])
    if "+" in topic or "#" in topic:
        raise _MalformedError("PUBLISH to a topic with a wildcard")
    mid = 0
    if qos:
        mid = _mid(body[at] << 8 | body[at + 1])
        at += 2
    return Publish(topic, body[at:], qos, mid, bool(first & 1), bool(first & 8))


def _mid(mid: int) -> int:
    if not mid:
        raise _MalformedError("a packet identifier of 0")
    return mid


def _parse_connect(body: _Body) -> Connect:
    if body.text() not in ("MQTT", "MQIsdp"):
        raise _MalformedError("CONNECT names another protocol")
    level = body.number(1)
    if level != LEVEL_3_1_1:
        return Connect(level=level)
    flags, keep_alive_s = body.number(1), body.number(2)
    will_qos = flags >> 3 & 3
    if flags & 1 or will_qos == 3 or (not flags & 4 and flags & 0x38) or (flags & 0xC0) == 0x40:
        raise _MalformedError("CONNECT with flags that contradict each other")
    client_id = body.text()
    will = None
    if flags & 4:
        will = Will(body.text(), body.field(), will_qos, bool(flags & 0x20))
    user = body.text() if flags & 0x80 else None
    password = body.field() if flags & 0x40 else None
    return Connect(client_id, user, password, keep_alive_s, bool(flags & 2), will)


def _parse_connack(body: _Body) -> Connack:
    present, code = body.number(1), body.number(1)
    return Connack(code, bool(present & 1))


def _parse_subscribe(body: _Body) -> Subscribe:
    mid = _mid(body.number(2))
    filters: list[tuple[str, int]] = []
    while body.has_more() or not filters:
        name, qos = _filter(body.text()), body.number(1)
        if qos > 2:
            raise _MalformedError(f"SUBSCRIBE asks for quality {qos}")
        filters.append((name, qos))
    return Subscribe(mid, tuple(filters))


def _parse_suback(body: _Body) -> Suback:
    mid = _mid(body.number(2))
    codes = []
    while body.has_more():
        codes.append(body.number(1))
    return Suback(mid, tuple(codes))


def _parse_unsubscribe(body: _Body) -> Unsubscribe:
    mid = _mid(body.number(2))
    names: list[str] = []
    while body.has_more() or not names:
        names.append(_filter(body.text()))
    return Unsubscribe(mid, tuple(names))


def _filter(name: str) -> str:
    levels = name.split("/")
    if not name or "#" in name[:-1] or ("#" in name and levels[-1] != "#"):
        raise _MalformedError(f"{name[:80]!r} is no topic filter")
    if any("+" in level and level != "+" for level in levels):
        raise _MalformedError(f"{name[:80]!r} is no topic filter")
    return name


def _of_qos_two(kind: int) -> Callable[[_Body], QosTwo]:
    return lambda body: QosTwo(kind, _mid(body.number(2)))


_PARSERS: dict[int, Callable[[_Body], Packet]] = {
    0x10: _parse_connect,
    0x20: _parse_connack,
    0x40: lambda body: Puback(_mid(body.number(2))),
    0x50: _of_qos_two(PUBREC),
    0x62: _of_qos_two(PUBREL),
    0x70: _of_qos_two(PUBCOMP),
    0x82: _parse_subscribe,
    0x90: _parse_suback,
    0xA2: _parse_unsubscribe,
    0xB0: lambda body: Unsuback(_mid(body.number(2))),
    0xC0: lambda _: Pingreq(),
    0xD0: lambda _: Pingresp(),
    0xE0: lambda _: Disconnect(),
}
