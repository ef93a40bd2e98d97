"""Frames between the agent and the script's process: a few fields and a raw body. Pure.

On the wire, big-endian: kind (1 byte), number (4), length of the fields (4), length of the body (8), then
fields, then body. Fields of requests and results are texts in Latin-1, separated by NUL (one inside a text
becomes "?", like a character beyond Latin-1), those of results after three numbers; those of events are a JSON
object. Both ends are this package, of one version; nothing here is a public format.

    to the script's process  EVENT    {"source", "log_format", "log_level"}             once, first
                             REQUEST, LONE_REQUEST
                                      method, path, query, type, client, id, headers    body: the request's
    from it                  EVENT    {"event": "loaded" | "ready" | "failed", ...}
                             RESULT   status, failed, ms; type, headers                 body: the response's
"""

import json
import struct
from itertools import chain
from math import nan
from typing import Any, NamedTuple

from device_agent.scorer import ScoringRequest, ScoringResult

Event = dict[str, Any]

EVENT, REQUEST, RESULT, LONE_REQUEST = range(4)
NUMBER = struct.Struct("=I")
"""How the script's process notes the number of the request that it begins, in memory shared with the agent."""
_HEAD = struct.Struct("!BIIQ")
_OUTCOME = struct.Struct("!Hbd")  # status, failed (-1: not said), milliseconds (not a number: not said)


class Frame(NamedTuple):
    """One frame; `number` ties a result to its request and is 0 for events."""

    kind: int
    number: int
    fields: bytes
    body: bytes


def encode_event(event: Event) -> bytes:
    """An event as bytes."""
    fields = json.dumps(event, separators=(",", ":")).encode()
    return _HEAD.pack(EVENT, 0, len(fields), 0) + fields


def decode_event(frame: Frame) -> Event:
    """The event that `encode_event` wrote."""
    event: Event = json.loads(frame.fields)
    return event


def encode_request(number: int, request: ScoringRequest, *, is_lone: bool = False) -> bytes:
    """What goes before the body of `request`. `is_lone`: a lone caller's, who sends the next after the answer."""
    body, method, path, query, content_type, client, headers, request_id = request
    joined = f"{method}\0{path}\0{query}\0{content_type}\0{client}\0{request_id}"
    if headers or joined.count("\0") != 5:
        joined = _join(method, path, query, content_type, client, request_id, *chain.from_iterable(headers))
    fields = joined.encode("latin-1", "replace")
    return _HEAD.pack(LONE_REQUEST if is_lone else REQUEST, number, len(fields), len(body)) + fields


def decode_request(frame: Frame) -> ScoringRequest:
    """The request that `encode_request` and its body described."""
    method, path, query, content_type, client, request_id, *flat = frame.fields.decode("latin-1").split("\0")
    headers = tuple(zip(flat[::2], flat[1::2], strict=True)) if flat else ()
    return ScoringRequest(frame.body, method, path, query, content_type, client, headers, request_id)


def encode_result(number: int, result: ScoringResult) -> bytes:
    """What goes before the body of `result`."""
    body, status, content_type, failed, ms, headers = result
    joined = content_type
    if headers or "\0" in content_type:
        joined = _join(content_type, *chain.from_iterable(headers))
    outcome = _OUTCOME.pack(status, -1 if failed is None else failed, nan if ms is None else ms)
    fields = outcome + joined.encode("latin-1", "replace")
    return _HEAD.pack(RESULT, number, len(fields), len(body)) + fields


def decode_result(frame: Frame) -> ScoringResult:
    """The result that `encode_result` and its body described."""
    status, failed, ms = _OUTCOME.unpack_from(frame.fields)
    content_type, *flat = frame.fields[_OUTCOME.size :].decode("latin-1").split("\0")
    headers = tuple(zip(flat[::2], flat[1::2], strict=True)) if flat else ()
    return ScoringResult(
        frame.body, status, content_type, None if failed < 0 else failed == 1, None if ms != ms else ms, headers
    )


def _join(*texts: str) -> str:
    return "\0".join([text.replace("\0", "?") for text in texts])


class FrameDecoder:
    """Cuts a stream of bytes into frames, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._buffered = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next bytes of the stream; return the frames that are complete now, in order."""
        buffered = self._buffered
        if buffered or len(piece) < _HEAD.size:
            buffered += piece
            piece = b""
        source = piece or buffered
        frames: list[Frame] = []
        start, available = 0, len(source)
        while available - start >= _HEAD.size:
            kind, number, field_bytes, body_bytes = _HEAD.unpack_from(source, start)
            fields_end = start + _HEAD.size + field_bytes
            end = fields_end + body_bytes
            if available < end:
                break
            frames.append(
                Frame(
                    kind,
                    number,
                    bytes(source[start + _HEAD.size : fields_end]),
                    bytes(memoryview(source)[fields_end:end]),
                )
            )
            start = end
        if piece:
            buffered += piece[start:]
        elif start:
            del buffered[:start]
        return frames
