"""Bytes become requests, one connection's: a parser (`http_parser`) parses, this counts and names. Touches no socket.

A head may be `head_bytes` long, and so may what stands between two pieces of a body, or after it: chunk extensions and
trailers. Trailers are dropped (RFC 9110, section 6.5.1). No other protocol is spoken here: of a request that offers
one, the offer is dropped and the rest is read.
"""

import logging
import re
from collections.abc import Callable
from typing import NamedTuple

from device_agent import http_parser
from device_agent.http_message import (
    WRONG_METHOD_TEXT,
    HeaderList,
    Request,
    encode_head_without_upgrade,
    split_target,
)
from device_agent.scorer import INTERNAL_ERROR_TEXT

_METHOD = re.compile(rb"[A-Z]{1,32} [/*h]")
_LOG = logging.getLogger("edgepack.agent")


class Reader(NamedTuple):
    """Who is told what comes: a head, a piece of the body, the end of the request."""

    on_head: Callable[[Request], None]
    on_body: Callable[[bytes], None]
    on_end: Callable[[], None]


class RequestReader:
    """Feed it what arrives; it calls `reader` in between."""

    def __init__(self, reader: Reader, client: str, head_bytes: int) -> None:
        self._reader = reader
        self._client = client
        self._most_bytes = head_bytes
        self._parser = http_parser.HttpRequestParser(self)
        self._url = b""
        self._headers: HeaderList = []
        self._offer = b""
        self._unseen_bytes = 0
        self._has_begun = False
        self.in_head = False
        """True from the first byte of a head to its last."""
        self.in_request = False
        """True from the first byte of a request to its last."""

    def feed(self, data: bytes) -> tuple[int, str] | None:
        """Parse `data`; status and text when it cannot be, and nothing more should be fed."""
        size_bytes = len(data)
        self._has_begun = False
        try:
            while data:
                data = self._parse(data)
        except http_parser.HttpParserCallbackError:
            _LOG.exception("A request could not be taken")
            return 500, INTERNAL_ERROR_TEXT
        except http_parser.HttpParserError as error:
            if isinstance(error, http_parser.HttpParserInvalidMethodError) and _METHOD.match(data):
                return 405, WRONG_METHOD_TEXT
            return 400, "The request is not valid HTTP/1.1."
        if self.in_request and not self._has_begun:
            self._unseen_bytes += size_bytes
            if self._unseen_bytes > self._most_bytes:
                return self.too_long()
        return None

    def too_long(self) -> tuple[int, str]:
        """Status and text for a head beyond the limit."""
        return 431, f"The header must not exceed {self._most_bytes} bytes."

    def _parse(self, data: bytes) -> bytes:
        """Parse `data`; what is to be parsed next."""
        try:
            self._parser.feed_data(data)
        except http_parser.HttpParserUpgrade as upgrade:
            self._parser = http_parser.HttpRequestParser(self)
            offer, self._offer = self._offer, b""
            return offer + data[upgrade.args[0] :] if offer else b""
        return b""

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._url = b""
        self._headers = []
        self._unseen_bytes = 0
        self._has_begun = self.in_head = self.in_request = True

    def on_url(self, url: bytes) -> None:
        """The target, perhaps in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer."""
        if self.in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self.in_head = False
        parser = self._parser
        method = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._offer = encode_head_without_upgrade(method, self._url, self._headers)
            return
        path, query = split_target(self._url)
        request = Request(method.decode("ascii"), path, query, self._headers, self._client)
        request.keep_alive = parser.should_keep_alive() and method != b"CONNECT"
        request.is_1_0 = parser.get_http_version() == "1.0"
        request.head_bytes = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        self._reader.on_head(request)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._unseen_bytes = 0
        self._has_begun = True
        self._reader.on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if not self._offer:
            self.in_request = False
            self._reader.on_end()
