"""h11 with the interface of httptools: as much of it as the agent uses.

An offer of another protocol is read as if it were not there, so `HttpParserUpgrade` is never raised; the agent drops
such offers. A request without Host is refused, which httptools leaves to others (RFC 9112, section 3.2).
"""

from typing import Any

import h11

_NO_LIMIT = 1 << 40  # whoever feeds counts
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"})


class HttpParserError(Exception):
    """What was fed is no HTTP/1.1."""


class HttpParserCallbackError(HttpParserError):
    """What is told of the events has failed."""


class HttpParserInvalidMethodError(HttpParserError):
    """A request of a method that is not known."""


class HttpParserUpgrade(Exception):
    """Never raised here."""


class HttpRequestParser:
    """Feed it bytes of requests, one after another; it calls `on_message_begin`, `on_url`, `on_header`,
    `on_headers_complete`, `on_body` and `on_message_complete` of `protocol`."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._connection: h11.Connection | None = None  # of the request that has begun
        self._head = h11.Request(method=b"GET", target=b"/", headers=[(b"host", b"")])

    def feed_data(self, data: bytes) -> None:
        """Parse some bytes.

        Raises:
            HttpParserError: they are no HTTP; nothing more should be fed.
        """
        while data:
            if self._connection is None:
                data = data.lstrip(b"\r\n")
                if not data:
                    return
                self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_NO_LIMIT)
                self._call("on_message_begin")
            data = self._feed(self._connection, data)

    def get_method(self) -> bytes:
        """The method of the request."""
        return bytes(self._head.method)

    def get_http_version(self) -> str:
        """`1.1` or `1.0`."""
        return bytes(self._head.http_version).decode("ascii")

    def should_keep_alive(self) -> bool:
        """Whether the client wants to send another request on this connection."""
        options = self._options()
        if b"upgrade" in options:
            return True
        return b"close" not in options if self.get_http_version() == "1.1" else b"keep-alive" in options

    def should_upgrade(self) -> bool:
        """Never: see above."""
        return False

    def _feed(self, connection: h11.Connection, data: bytes) -> bytes:
        """Parse on; what comes after the end of the request."""
        connection.receive_data(data)
        while True:
            event = _next_event(connection)
            if isinstance(event, h11.Request):
                self._on_head(event)
            elif isinstance(event, h11.Data):
                self._call("on_body", bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                for name, value in event.headers.raw_items():
                    self._call("on_header", name, value)
                rest, _ = connection.trailing_data
                self._connection = None
                self._call("on_message_complete")
                return bytes(rest)
            else:
                return b""

    def _on_head(self, head: h11.Request) -> None:
        names = [name for name, _ in head.headers]
        if head.method not in _METHODS:
            raise HttpParserInvalidMethodError(f"method {head.method!r} is not known")
        if b"transfer-encoding" in names and b"content-length" in names:
            raise HttpParserError("Content-Length beside Transfer-Encoding")
        self._head = head
        self._call("on_url", bytes(head.target))
        offers = b"upgrade" in names and b"upgrade" in self._options() and head.method != b"CONNECT"
        for name, value in head.headers:
            if not (offers and name in (b"upgrade", b"connection")):
                self._call("on_header", bytes(name), bytes(value))
        self._call("on_headers_complete")

    def _options(self) -> set[bytes]:
        values = [value for name, value in self._head.headers if name == b"connection"]
        return {option.strip().lower() for value in values for option in value.split(b",")}

    def _call(self, name: str, *arguments: bytes) -> None:
        try:
            getattr(self._protocol, name)(*arguments)
        except Exception as error:
            raise HttpParserCallbackError(f"{name} has failed") from error


class HttpResponseParser:
    """Feed it the bytes of one response; it calls `on_body` and `on_message_complete` of `protocol`."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._status = 0
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_NO_LIMIT)
        self._connection.send(h11.Request(method=b"GET", target=b"/", headers=[(b"host", b"")]))
        self._connection.send(h11.EndOfMessage())

    def feed_data(self, data: bytes) -> None:
        """Parse some bytes.

        Raises:
            HttpParserError: they are no HTTP.
        """
        self._connection.receive_data(data)
        while True:
            event = _next_event(self._connection)
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._protocol.on_body(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._protocol.on_message_complete()
                return
            elif not isinstance(event, h11.InformationalResponse):
                return

    def get_status_code(self) -> int:
        """The status, 0 before it is known."""
        return self._status


def _next_event(connection: h11.Connection) -> Any:
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        raise HttpParserError(str(error)) from error
