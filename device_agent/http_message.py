"""HTTP as values: a request, a reply and its bytes, the limits, and what a connection needs of the others. Pure."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

from device_agent.request_ids import RequestIds
from device_agent.scorer import Ticket

if TYPE_CHECKING:
    from device_agent.http_connection import Connection

HeaderList = list[tuple[bytes, bytes]]

CLIENT_GONE = 499
WRONG_METHOD_TEXT = "The method is not allowed for the requested URL."
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_STATUS_LINES = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(1000)]


class Limits(NamedTuple):
    """What a client may do. Sizes in bytes, times in seconds."""

    head_bytes: int = 64 * 1024
    body_bytes: int = 100 * 1024 * 1024
    held_bytes: int = 256 * 1024 * 1024
    connections: int = 1024
    client_timeout_s: float = 30.0
    idle_s: float = 65.0


class Reply(NamedTuple):
    """A response. `headers` are complete lines, each with its CRLF, without content-length, date and connection."""

    status: int
    headers: bytes
    body: bytes = b""


class Request:
    """A request: `path` is decoded, `query` raw, header names are in lower case; of repeated headers `header` holds
    the last. `ids`, `lines` (headers of the reply) and `route` are the application's.
    """

    __slots__ = (
        *("body", "client", "head_bytes", "header", "headers", "ids", "is_1_0", "keep_alive", "lines", "method"),
        *("path", "query", "refusal", "route"),
    )

    def __init__(self, method: str, path: str, query: bytes, headers: HeaderList, client: str = "") -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.header = dict(headers)
        self.body = b""
        self.client = client
        self.head_bytes = 0
        self.keep_alive = True
        self.is_1_0 = False
        self.ids = RequestIds(b"", b"")
        self.lines = b""
        self.route = ""
        self.refusal: Reply | None = None


class Application(Protocol):
    """What answers requests."""

    def refuse(self, request: Request) -> Reply | None:
        """Look at a request whose body has not come yet: a reply if there is no need for the body."""
        ...

    def answer(self, request: Request, reply: Callable[[Reply], None]) -> Ticket | None:
        """Answer a whole request, now or later, once. The ticket withdraws one that is under way."""
        ...

    def gone(self, request: Request) -> None:
        """The client of a request under way has left; it was withdrawn."""
        ...

    def error_reply(self, status: int, text: str, request: Request | None = None) -> Reply:
        """A reply for too much of `request`, or for what is no proper request."""
        ...


class Loop(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Call `callback` next."""
        ...


class ServerState:
    """What the connections of one server share."""

    def __init__(self, application: Application, limits: Limits, loop: Loop) -> None:
        self.application = application
        self.limits = limits
        self.loop = loop
        self.connections: set[Connection] = set()
        self.held_bytes = 0
        self.is_draining = False
        self.date_line = b""


class IncomingBody:
    """The body of the request that is being received. What it holds counts until `drop`, or the end of the answer."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def announce(self, size_bytes: int) -> tuple[int, str] | None:
        """Status and text for a body that will be too long."""
        most = self._state.limits.body_bytes
        return (413, f"The request body must not exceed {most} bytes.") if size_bytes > most else None

    def add(self, piece: bytes) -> tuple[int, str] | None:
        """Keep a piece; or drop all, with status and text of the reason."""
        self._pieces.append(piece)
        self.size_bytes += len(piece)
        self._state.held_bytes += len(piece)
        problem = self.announce(self.size_bytes)
        most = self._state.limits.held_bytes
        if problem is None and self._state.held_bytes > most:
            problem = 503, f"The server holds at most {most} bytes of requests at a time."
        if problem is not None:
            self.drop()
        return problem

    def take(self) -> bytes:
        """The whole body; it stays counted."""
        pieces, self._pieces, self.size_bytes = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def drop(self) -> None:
        """Forget what has come."""
        self._state.held_bytes -= self.size_bytes
        self._pieces, self.size_bytes = [], 0


def encode_reply_head(request: Request, reply: Reply, date_line: bytes, *, stays: bool) -> bytes:
    """The head of a response, from the status line to the empty line. `stays`: the connection is kept."""
    return b"%b%b%b%b%b\r\n" % (
        _STATUS_LINES[reply.status],
        date_line,
        reply.headers,
        b"" if reply.status == 204 else b"content-length: %d\r\n" % len(reply.body),
        b"connection: close\r\n" if not stays else b"connection: keep-alive\r\n" if request.is_1_0 else b"",
    )


def encode_head_without_upgrade(method: bytes, target: bytes, headers: HeaderList) -> bytes:
    """The head of a request again, without its offer to speak another protocol."""
    kept = [(name, value) for name, value in headers if name not in (b"upgrade", b"connection")]
    lines = b"".join(b"%b: %b\r\n" % header for header in kept)
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, lines)


def split_target(target: bytes) -> tuple[str, bytes]:
    """The decoded path and the raw query of a request's target, in origin or absolute form."""
    if not target.startswith(b"/"):
        scheme, separator, rest = target.partition(b"://")
        if separator and scheme.isalpha():
            target = b"/" + rest.partition(b"/")[2]
    path, _, query = target.partition(b"#")[0].partition(b"?")
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "replace"), query
