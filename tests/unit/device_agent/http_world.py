"""An HTTP connection without a network: bytes go in, bytes come out, and time passes when the test says so."""

import json
import os
from collections.abc import Callable
from typing import Any

from device_agent.http import HttpApplication
from device_agent.http_connection import Connection
from device_agent.http_message import Limits, ServerState
from device_agent.http_routes import HttpOptions
from device_agent.log_lines import LineLog
from device_agent.metrics import Metrics
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription

OK = ScoringResult(b"[1]", exec_ms=1.23456)


class WaitingTicket:
    """A request that the scorer has taken and not answered."""

    def __init__(self, answer: Callable[[ScoringResult], None]) -> None:
        self.answer = answer
        self.is_withdrawn = False

    def withdraw(self) -> None:
        self.is_withdrawn = True


class RecordingScorer:
    """A Scorer that answers with `result` at once, or keeps requests in `tickets` when there is none."""

    def __init__(self, result: ScoringResult | None = OK, *, reason: str = "", been_ready: bool = True) -> None:
        self.result = result
        self.not_ready_reason = reason
        self.has_been_ready = been_ready
        self.description = ScriptDescription()
        self.requests: list[ScoringRequest] = []
        self.tickets: list[WaitingTicket] = []

    async def start(self) -> None: ...

    async def close(self, grace_s: float = 0.0) -> None: ...

    def submit(self, request: ScoringRequest, answer: Callable[[ScoringResult], None]) -> WaitingTicket:
        self.requests.append(request)
        ticket = WaitingTicket(answer)
        if self.result is None:
            self.tickets.append(ticket)
        else:
            answer(self.result)
        return ticket


class Clock:
    """A loop without waiting: `time` is set by the test, callbacks run when the test asks for them."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.due: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self.due.append(callback)

    def run(self) -> None:
        while self.due:
            self.due.pop(0)()


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.unsent_bytes = 0
        self.is_closed = self.is_aborted = self.has_ended = self.is_paused = False

    def write(self, piece: bytes) -> None:
        assert not self.is_closed
        assert not self.has_ended
        self.sent += piece

    def write_eof(self) -> None:
        self.has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("192.0.2.1", 5)

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


class Answer:
    """One response as it was sent."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.lines = lines
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = body

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


def parse_answers(stream: bytes, *, heads: int = 0) -> list[Answer]:
    """The responses in `stream`, interim ones left out; those of the first `heads` requests have no body."""
    answers: list[Answer] = []
    while stream:
        head, _, stream = stream.partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            continue
        answer = Answer(head, b"")
        if len(answers) >= heads:
            length = int(answer.headers["content-length"])
            answer.body, stream = stream[:length], stream[length:]
            assert len(answer.body) == length
        answers.append(answer)
    return answers


class World:
    """One server with one application, and connections to it."""

    def __init__(
        self,
        scorer: RecordingScorer | None = None,
        limits: Limits | None = None,
        log: LineLog | None = None,
        **rest: Any,
    ) -> None:
        self.scorer = scorer or RecordingScorer()
        self.clock = Clock()
        options = rest.pop("options", None) or HttpOptions(logs_requests=False)
        self.metrics = Metrics("0.0")
        silent = LineLog(os.open(os.devnull, os.O_WRONLY)) if log is None else log
        self.application = HttpApplication(self.scorer, log=silent, metrics=self.metrics, options=options, **rest)
        self.state = ServerState(self.application, limits or Limits(), self.clock)

    def connect(self) -> "Client":
        return Client(self)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request on a connection of its own, and its answer."""
        client = self.connect()
        client.send(request(method, path, body, **headers))
        (answer,) = parse_answers(client.wire.sent, heads=int(method == "HEAD"))
        assert self.state.held_bytes == 0
        assert self.application.requests_under_way == 0
        return answer


class Client:
    """A client's end of one connection."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wire = Wire()
        self.connection = Connection(world.state)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)
        self.world.clock.run()

    def leave(self) -> None:
        self.connection.connection_lost(None)
        self.world.clock.run()

    def pass_time(self, seconds: float) -> None:
        self.world.clock.now_s += seconds
        self.connection.check(self.world.clock.now_s)
        self.world.clock.run()

    @property
    def answers(self) -> list[Answer]:
        return parse_answers(self.wire.sent)


def request(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """A request as bytes; `x_foo="1"` is the header `x-foo: 1`."""
    lines = [f"{method} {path} HTTP/1.1", "host: h"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None and "transfer_encoding" not in headers and "content_length" not in headers:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


SMALL = Limits(head_bytes=1024, body_bytes=100, held_bytes=150, connections=2, client_timeout_s=10.0, idle_s=60.0)


def small_world(*, waits: bool = False) -> World:
    return World(RecordingScorer(None if waits else OK), SMALL)


def echo_world() -> World:
    """Answers come later, in any order that the test wants."""
    return World(RecordingScorer(None))


def answer_oldest(world: World) -> None:
    ticket = world.scorer.tickets.pop(0)
    number = len(world.scorer.requests) - len(world.scorer.tickets) - 1
    ticket.answer(ScoringResult(world.scorer.requests[number].body))
    world.clock.run()


CHUNKED = b"POST /score HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
