"""One HTTP/1.1 connection: what is read (http_reader) is answered, in order, within limits.

    idle -> receiving -> answering -> idle        one request at a time; what is pipelined waits its turn

Limits, so that no client can hurt the others: size of a head (431) and of a body (413), bytes of all bodies that
are held (503), time to send a request (408) and to take an answer. A request that is refused before its body
has come is answered at once and the connection is closed after the rest was thrown away for a moment, so that
the client sees the answer and not a reset. A client that closes its sending side only still gets its answer; one
that is gone is noticed, and what it waited for is withdrawn. Routes and meanings are the application's (http).
"""

import asyncio
from collections import deque

from device_agent.http_message import IncomingBody, Reply, Request, ServerState, encode_reply_head
from device_agent.http_reader import Reader, RequestReader
from device_agent.scorer import Ticket

_SMALL_BYTES = 64 * 1024
_DISCARD_BYTES = 1024 * 1024
_MOST_PENDING = 256
_LINGER_S = 2.0
_LEAST_BYTES_PER_S = 16 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """The protocol of one client. `check` has to be called about once a second."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._reader: RequestReader = None  # type: ignore[assignment]
        self._since_s = state.loop.time()
        self._idle_s = state.limits.client_timeout_s
        self._owes_continue = False
        self._receiving: Request | None = None
        self._body = IncomingBody(state)
        self._discarded_bytes = 0
        self._pending: deque[Request] = deque()
        self._answering: Request | None = None
        self._ticket: Ticket | None = None
        self._blocked_since_s: float | None = None
        self._blocked_bytes = 0
        self._is_half_closed = False
        self._takes_no_more = False  # nothing that comes is read as a request any more
        self._close_at_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected; one too many is told so."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio.Transport
        address = transport.get_extra_info("peername")
        state = self._state
        events = Reader(self.on_head, self.on_body, self.on_end)
        self._reader = RequestReader(events, address[0] if address else "", state.limits.head_bytes)
        state.connections.add(self)
        if len(state.connections) > state.limits.connections:
            self._refuse_all(503, f"The server takes at most {state.limits.connections} connections at a time.")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: withdraw what is under way, forget the rest."""
        self._state.connections.discard(self)
        self._body.drop()
        self._state.held_bytes -= sum(len(request.body) for request in self._pending)
        self._pending.clear()
        request, self._answering = self._answering, None
        self._takes_no_more = True
        if request is not None:
            self._state.held_bytes -= len(request.body)
            if self._ticket is not None:
                self._ticket.withdraw()
            self._state.application.gone(request)

    def eof_received(self) -> bool:
        """The client sends no more. True keeps our side open for the answers that it still waits for."""
        self._is_half_closed = True
        return self._answering is not None or bool(self._pending)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._blocked_since_s = self._state.loop.time()
        self._blocked_bytes = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """The client takes it again."""
        self._blocked_since_s = None
        self._answer_next()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._takes_no_more:
            return
        was_receiving = self._reader.in_request
        problem = self._reader.feed(data)
        if self._takes_no_more:
            return
        if not was_receiving:
            self._since_s = self._state.loop.time()
        if problem is None and len(self._pending) > _MOST_PENDING:
            problem = 503, f"At most {_MOST_PENDING} requests may be sent ahead of their answers."
        if problem is not None:
            self._refuse_all(*problem)
        elif len(self._pending) > 1:
            self._transport.pause_reading()

    def on_head(self, request: Request) -> None:
        """The head is complete: refuse, or wait for the body."""
        if self._takes_no_more:
            return
        self._receiving = request
        self._discarded_bytes = 0
        if request.head_bytes > self._state.limits.head_bytes:
            self._refuse_all(*self._reader.too_long())
            return
        request.refusal = self._state.application.refuse(request)
        header = request.header
        announced = int(header.get(b"content-length", b"0"))
        if request.refusal is None and (problem := self._body.announce(announced)):
            request.refusal = self._state.application.error_reply(*problem, request)
        expects = header.get(b"expect", b"").lower() == b"100-continue"
        if request.refusal is not None:
            if expects or announced > _DISCARD_BYTES:
                self._end_with(request)
        elif expects and not request.is_1_0:
            self._owes_continue = True
            self._grant_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        request = self._receiving
        if request is None or self._takes_no_more:
            return
        if request.refusal is not None:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > _DISCARD_BYTES:
                self._end_with(request)
        elif problem := self._body.add(body):
            request.refusal = self._state.application.error_reply(*problem, request)

    def on_end(self) -> None:
        """The request is whole."""
        request, self._receiving = self._receiving, None
        if request is None or self._takes_no_more:
            return
        request.body = self._body.take()
        self._take(request)

    def _grant_continue(self) -> None:
        """Ask for the body that waits to be asked for, once the answers before it are out."""
        if self._owes_continue and self._receiving is not None and self._answering is None and not self._pending:
            self._owes_continue = False
            self._transport.write(_CONTINUE)

    def _take(self, request: Request) -> None:
        """Answer now, or after those before it. A client that does not take its answers gets no more of them."""
        if self._answering is None and not self._pending and self._blocked_since_s is None:
            self._answer(request)
        else:
            self._pending.append(request)

    def _answer(self, request: Request) -> None:
        self._answering = request
        if request.refusal is not None:
            self._reply(request.refusal)
            return
        ticket = self._state.application.answer(request, self._reply)
        if self._answering is request:  # else it has been answered already
            self._ticket = ticket

    def _reply(self, reply: Reply) -> None:
        """Send the answer of the request under way, then go on with the next."""
        request = self._answering
        if request is None:  # the client is gone
            return
        self._answering = self._ticket = None
        self._state.held_bytes -= len(request.body)
        is_last = (self._takes_no_more or self._is_half_closed) and not self._pending
        stays = request.keep_alive and not is_last and not self._state.is_draining
        body = reply.body
        head = encode_reply_head(request, reply, self._state.date_line, stays=stays)
        if request.method == "HEAD" or reply.status in (204, 304):
            body = b""
        if len(body) <= _SMALL_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        self._since_s = self._state.loop.time()
        self._idle_s = self._state.limits.idle_s
        if not stays:
            self._close_gently()
        elif self._pending:
            self._state.loop.call_soon(self._answer_next)
        else:
            self._grant_continue()

    def _answer_next(self) -> None:
        free = self._answering is None and self._blocked_since_s is None and not self._transport.is_closing()
        if free and self._pending:
            if len(self._pending) == 1:
                self._transport.resume_reading()
            self._answer(self._pending.popleft())

    def _end_with(self, request: Request) -> None:
        """Answer a request whose body will not be read, as the last one of this connection."""
        self._takes_no_more = True
        self._receiving = None
        request.keep_alive = False
        self._take(request)

    def _refuse_all(self, status: int, text: str) -> None:
        """Answer what is no proper request, after those that came before it."""
        request = self._receiving or Request("GET", "", b"", [])
        request.refusal = self._state.application.error_reply(status, text, request)
        self._body.drop()
        self._end_with(request)

    def _close_gently(self) -> None:
        """Close, but first let a client that is still sending see the answer (RFC 9112, section 9.6)."""
        if self._takes_no_more and not self._is_half_closed and self._transport.can_write_eof():
            self._transport.write_eof()
            self._close_at_s = self._state.loop.time() + _LINGER_S
        else:
            self._takes_no_more = True
            self._transport.close()
            self._close_at_s = self._state.loop.time() + self._state.limits.client_timeout_s

    def check(self, now_s: float) -> None:
        """Enforce the time limits."""
        limits = self._state.limits
        if self._close_at_s is not None and now_s > self._close_at_s:
            (self._transport.abort if self._transport.is_closing() else self._transport.close)()
            self._close_at_s = now_s + limits.client_timeout_s
        elif self._close_at_s is not None:
            return
        elif self._blocked_since_s is not None:
            taken = self._blocked_bytes - self._transport.get_write_buffer_size()
            if now_s - self._blocked_since_s > limits.client_timeout_s + taken / _LEAST_BYTES_PER_S:
                self._transport.abort()
        elif self._answering is not None:
            if self._is_half_closed and not self._answering.is_1_0:
                self._transport.write(_CONTINUE)  # allowed at any time before the answer; fails if the client is gone
        elif self._reader.in_request:
            if now_s - self._since_s > limits.client_timeout_s + self._body.size_bytes / _LEAST_BYTES_PER_S:
                self._refuse_all(408, "The request did not arrive in time.")
        elif now_s - self._since_s > self._idle_s:
            self._transport.close()

    def drain(self) -> None:
        """Close now if nothing is under way, else after the answer."""
        if self._answering is None and not self._pending and not self._reader.in_request:
            self._takes_no_more = True
            self._transport.close()

    @property
    def is_answering(self) -> bool:
        """True while an answer is awaited, or has not been taken whole."""
        return self._answering is not None or self._transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        """Drop the client."""
        self._transport.abort()
