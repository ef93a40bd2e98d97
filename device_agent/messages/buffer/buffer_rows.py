"""A message as a row of the buffer's table, and back. Pure.

    key         message_key(lane, number)
    arrival_ms  when it arrived, by the buffer's clock
    ttl_s       its time to live, 0 for ever
    head        checksum (CRC-32, 4 bytes), flags (1 byte), then texts, each with its length before it
    body        as it is

The flags hold the priority, and which texts follow output and message id: what has its usual value takes no bytes.
The checksum covers everything but the lane, which is the priority, or SET_ASIDE: so setting aside changes no row.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from device_agent.messages.message import SET_ASIDE, SPARE, Message, Stored, key_lane, key_number

_CHECKED = struct.Struct(">QQI")
_CORRELATION, _CONTENT, _PROPERTIES, _ORIGIN = 0x10, 0x20, 0x40, 0x80
_USUAL_CONTENT = ("application/json", "utf-8")
_SHORT = [bytes([number]) for number in range(256)]
LONGEST_TTL_S = 2**32 - 1


class Row(NamedTuple):
    """See the module."""

    key: int
    arrival_ms: int
    ttl_s: int
    head: bytes
    body: bytes


class DamagedRow(ValueError):
    """The row is not what was written."""


def encode_row(key: int, arrival_ms: int, message: Message) -> Row:
    """The row of a message.

    Raises ValueError for a priority or time to live out of range.
    """
    body, output, message_id, correlation_id, properties, content_type, content_encoding, priority, ttl_s, origin = (
        message
    )
    if not 0 <= priority <= SPARE or not 0 <= ttl_s <= LONGEST_TTL_S:
        raise ValueError(f"priority {priority} or ttl_s {ttl_s} is out of range")
    flags = priority
    rest = [_sized_name(output), _sized(message_id.encode("utf-8", "surrogatepass"))]
    if correlation_id:
        flags |= _CORRELATION
        rest.append(_sized(correlation_id.encode("utf-8", "surrogatepass")))
    if (content_type, content_encoding) != _USUAL_CONTENT:
        flags |= _CONTENT
        rest += (_sized_name(content_type), _sized_name(content_encoding))
    if origin:
        flags |= _ORIGIN
        rest.append(_sized(origin))
    if properties:
        flags |= _PROPERTIES
        rest += (_sized(text.encode("utf-8", "surrogatepass")) for pair in properties for text in pair)
    joined = b"".join((_SHORT[flags], *rest))
    return Row(key, arrival_ms, ttl_s, _checksum(key, arrival_ms, ttl_s, joined, body) + joined, body)


def decode_row(row: Row) -> Stored:
    """The message of a row. Raises DamagedRow."""
    key, arrival_ms, ttl_s, head, body = row
    try:
        if head[:4] != _checksum(key, arrival_ms, ttl_s, head[4:], body):
            raise DamagedRow(f"the checksum of row {key} is wrong")
    except (TypeError, struct.error) as error:
        raise DamagedRow(f"row {key} has a value of another type") from error
    flags = head[4]
    if key_lane(key) not in (flags & 0x0F, SET_ASIDE):
        raise DamagedRow(f"row {key} is in the wrong lane")
    texts = _texts(head)
    output, message_id = _text(texts), _text(texts)
    correlation_id = _text(texts) if flags & _CORRELATION else ""
    content_type, content_encoding = (_text(texts), _text(texts)) if flags & _CONTENT else _USUAL_CONTENT
    origin = next(texts) if flags & _ORIGIN else b""
    properties: tuple[tuple[str, str], ...] = ()
    if flags & _PROPERTIES:
        flat = [text.decode("utf-8", "surrogatepass") for text in texts]
        properties = tuple(zip(flat[::2], flat[1::2], strict=True))
    message = Message(
        body,
        output,
        message_id,
        correlation_id,
        properties,
        content_type,
        content_encoding,
        flags & 0x0F,
        ttl_s,
        origin,
    )
    return Stored(key, deadline_s(arrival_ms, ttl_s), message)


def deadline_s(arrival_ms: int, ttl_s: int) -> float:
    """When it is of no use any more, by the buffer's clock; 0: never."""
    return arrival_ms / 1000 + ttl_s if ttl_s else 0.0


def row_priority(head: bytes) -> int:
    """The priority that a head tells."""
    return head[4] & 0x0F


def _checksum(key: int, arrival_ms: int, ttl_s: int, rest: bytes, body: bytes) -> bytes:
    return crc32(body, crc32(rest, crc32(_CHECKED.pack(key_number(key), arrival_ms, ttl_s)))).to_bytes(4)


def _texts(head: bytes) -> Iterator[bytes]:
    place = 5
    while place < len(head):
        length = head[place]
        place += 1
        if length >= 128:
            size = length - 128
            length = int.from_bytes(head[place : place + size])
            place += size
        yield head[place : place + length]
        place += length


def _text(texts: Iterator[bytes]) -> str:
    return next(texts).decode("utf-8", "surrogatepass")


def _sized(text: bytes) -> bytes:
    """A text with its length before it: one byte below 128, else 128 plus the number of bytes that tell it."""
    length = len(text)
    if length < 128:
        return _SHORT[length] + text
    size = (length.bit_length() + 7) // 8
    return _SHORT[128 + size] + length.to_bytes(size) + text


@lru_cache(64)
def _sized_name(name: str) -> bytes:
    """The same for a text that many messages share."""
    return _sized(name.encode("utf-8", "surrogatepass"))
