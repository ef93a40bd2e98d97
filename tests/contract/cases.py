"""What a case of the contract is: a request, and the answer that must come; two answers where the agent differs.

An `Answer` names everything that is compared: status, the exact body, the content type, whether the script failed
(x-ms-run-function-failed), whether run() was timed (x-ms-run-fn-exec-ms), and further headers. A header that must be
missing is None; a pattern must match fully.
"""

import json
import re
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.contract.servers import DEADLINE_S, Server, Servers, Setup

JSON = "application/json"
HTML = "text/html; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."
NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
WRONG_METHOD = "The method is not allowed for the requested URL."

ECHO = Setup()

Text = str | re.Pattern[str]
Headers = tuple[tuple[str, Text | None], ...]


@dataclass(frozen=True)
class Request:
    """A request as it goes over the wire; Host, Content-Length and Connection are added where they are missing."""

    method: str = "POST"
    target: str = "/score"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """The request's bytes."""
        given = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if "host" not in given:
            lines.append("Host: localhost")
        if "content-length" not in given and "transfer-encoding" not in given and (self.body or self.method == "POST"):
            lines.append(f"Content-Length: {len(self.body)}")
        if "connection" not in given:
            lines.append("Connection: close")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass(frozen=True)
class Answer:
    """What must come back. `body` None is not compared, `failed` None must be missing."""

    body: Text | None
    status: int = 200
    content_type: Text | None = JSON
    failed: str | None = "False"
    is_timed: bool = True
    headers: Headers = ()


@dataclass(frozen=True)
class Reply:
    """What came back: header names in lower case, repeated ones in order."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "backslashreplace")

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for known, value in self.headers if known == name.lower()]

    def value(self, name: str) -> str | None:
        """A header's values joined by a bar, so that a repeated header shows; None when it is missing."""
        return " | ".join(self.values(name)) if self.values(name) else None


@dataclass(frozen=True)
class Case:
    """One row of the contract: `expected` of both servers, or, with the `reason`, one of `peer` and one of `agent`."""

    name: str
    request: Request
    expected: Answer | None = None
    peer: Answer | None = None
    agent: Answer | None = None
    reason: str = ""
    setup: Setup = ECHO

    def __post_init__(self) -> None:
        differs = self.peer is not None and self.agent is not None and bool(self.reason)
        if (self.expected is not None) == differs or (self.expected is not None and (self.peer or self.agent)):
            raise ValueError(f"{self.name}: give one answer for both, or two and the reason")

    def answer_of(self, like: str) -> Answer:
        """The answer that a server must give that is like the peer or like the agent."""
        answer = self.expected or (self.peer if like == "peer" else self.agent)
        assert answer is not None
        return answer


def get(target: str, **headers: str) -> Request:
    """A GET."""
    return Request("GET", target, headers=tuple(headers.items()))


def post(body: bytes | str, content_type: str | None = JSON, target: str = "/score", **headers: str) -> Request:
    """A POST to /score."""
    pairs = () if content_type is None else (("Content-Type", content_type),)
    return Request("POST", target, body.encode() if isinstance(body, str) else body, pairs + tuple(headers.items()))


def post_json(value: object, **headers: str) -> Request:
    """A POST of a value as JSON."""
    return post(json.dumps(value), **headers)


def result(value: object, **further: Any) -> Answer:
    """200 with the value as the contract writes it."""
    return Answer(json.dumps(value), **further)


def message(status: int, text: Text, failed: str = "False", **further: Any) -> Answer:
    """An error: `{"message": text}`; a pattern stands for the text alone."""
    if isinstance(text, str):
        body: Text = json.dumps({"message": text})
    else:
        body = re.compile(r'\{"message": "' + text.pattern + r'"\}', text.flags)
    return Answer(body, status, failed=failed, is_timed=False, **further)


def script_error() -> Answer:
    """500, the script's fault."""
    return message(500, SCRIPT_ERROR, failed="True")


def internal_error() -> Answer:
    """500, not counted as the script's fault."""
    return message(500, INTERNAL_ERROR)


def check(servers: Servers, kind: str, case: Case) -> None:
    """Send the case's request to the server of this kind and compare."""
    server = servers.ready(kind, case.setup)
    reply = send(server, case.request)
    found = differences(case.answer_of(server.like), reply)
    assert not found, f"{case.name}: {'; '.join(found)}\n{reply}\n{case.reason}\n" + "\n".join(server.output[-30:])


def differences(answer: Answer, reply: Reply) -> list[str]:
    """What is not as it must be."""
    timed = re.compile(r"\d+\.\d{3}") if answer.is_timed else None
    pairs: list[tuple[str, Text | None, str | None]] = [
        ("content-type", answer.content_type, reply.value("content-type")),
        ("x-ms-run-function-failed", answer.failed, reply.value("x-ms-run-function-failed")),
        ("x-ms-run-fn-exec-ms", timed, reply.value("x-ms-run-fn-exec-ms")),
        *((name, wanted, reply.value(name)) for name, wanted in answer.headers),
    ]
    if answer.body is not None:
        pairs.insert(0, ("body", answer.body, reply.text))
    found = [] if reply.status == answer.status else [f"status is {reply.status}, expected {answer.status}"]
    for name, wanted, given in pairs:
        if isinstance(wanted, re.Pattern):
            fits = given is not None and wanted.fullmatch(given) is not None
            shown = f"a match of {wanted.pattern!r}"
        else:
            fits, shown = given == wanted, repr(wanted)
        if not fits:
            found.append(f"{name} is {given!r}, expected {shown}")
    return found


def send(server: Server, request: Request) -> Reply:
    """One request on a connection of its own."""
    return send_bytes(server, request.to_bytes(), request.method)


def send_bytes(server: Server, request: bytes, method: str = "POST") -> Reply:
    """Bytes as they are, and the one answer to them."""
    with connect(server) as connection:
        connection.sendall(request)
        return read_reply(connection, method)


def connect(server: Server) -> socket.socket:
    """A connection to a server."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S)


def read_reply(connection: socket.socket, method: str = "POST") -> Reply:
    """The next answer on a connection."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return Reply(response.status, body, headers)
    finally:
        response.close()
