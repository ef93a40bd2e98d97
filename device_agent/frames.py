"""Frames between the agent and the script's process: a header (a JSON object) and a raw body. Pure.

On the wire: header length (4 bytes), body length (8 bytes), both big-endian, then header, then body. Both
ends are this package, of one version; nothing here is a public format.

    to the script's process  {"source", "log_format", "log_level"}                once, first
                             {"id": N, "method", "query", "type", "headers"}      body: the request's
    from it                  {"event": "loaded"|"ready"|"failed", ...}            the stages of its start
                             {"id": N, "status", "type", "failed", "ms"}          body: the response's
"""

import json
import struct
from dataclasses import asdict
from typing import Any

from device_agent.scorer import ScoringRequest, ScoringResult, ScriptSource

Header = dict[str, Any]
Frame = tuple[Header, bytes]

_LENGTHS = struct.Struct("!IQ")
_encode_header = json.JSONEncoder(separators=(",", ":")).encode


def encode_frame(header: Header, body: bytes = b"") -> bytes:
    """One frame as bytes."""
    encoded = _encode_header(header).encode()
    return b"".join((_LENGTHS.pack(len(encoded), len(body)), encoded, body))


class FrameDecoder:
    """Cuts a stream of bytes into frames, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._buffered = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next bytes of the stream; return the frames that are complete now, in order."""
        buffered = self._buffered
        buffered += piece
        frames: list[Frame] = []
        start = 0
        while len(buffered) - start >= _LENGTHS.size:
            header_bytes, body_bytes = _LENGTHS.unpack_from(buffered, start)
            body_start = start + _LENGTHS.size + header_bytes
            end = body_start + body_bytes
            if len(buffered) < end:
                break
            header = json.loads(buffered[start + _LENGTHS.size : body_start].decode())
            frames.append((header, bytes(buffered[body_start:end])))
            start = end
        if start:
            del buffered[:start]
        return frames


def request_header(number: int, request: ScoringRequest) -> Header:
    """The frame header of `request`. Parts that are empty are left out."""
    header: Header = {"id": number}
    if request.method != "POST":
        header["method"] = request.method
    if request.query:
        header["query"] = request.query
    if request.content_type:
        header["type"] = request.content_type
    if request.headers:
        header["headers"] = request.headers
    return header


def decode_request(header: Header, body: bytes) -> ScoringRequest:
    """The request that `request_header` described."""
    headers = tuple((name, value) for name, value in header.get("headers", ()))
    return ScoringRequest(body, header.get("method", "POST"), header.get("query", ""), header.get("type", ""), headers)


def result_header(number: int, result: ScoringResult) -> Header:
    """The frame header of `result`."""
    return {
        "id": number,
        "status": result.status,
        "type": result.content_type,
        "failed": result.script_failed,
        "ms": result.exec_ms,
    }


def decode_result(header: Header, body: bytes) -> ScoringResult:
    """The result that `result_header` described."""
    return ScoringResult(body, header["status"], header["type"], header["failed"], header["ms"])


def load_frame(source: ScriptSource, log_format: str, log_level: str) -> bytes:
    """The first frame that the script's process gets."""
    return encode_frame({"source": asdict(source), "log_format": log_format, "log_level": log_level})
