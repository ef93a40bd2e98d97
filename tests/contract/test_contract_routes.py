"""Routes and methods (section 5.1): which exist, what they answer, and what HTTP itself asks of a server."""

import gzip
import re

import pytest

from tests.contract.cases import (
    HTML,
    JSON,
    NOT_FOUND,
    WRONG_METHOD,
    Answer,
    Case,
    Request,
    check,
    connect,
    get,
    message,
    post,
    read_reply,
    result,
    send_bytes,
)
from tests.contract.servers import Servers, Setup

HEALTHY = Answer("Healthy", content_type=HTML, failed=None, is_timed=False)
NO_BODY = Answer("", content_type=HTML, failed="False", is_timed=False)
NO_SUCH_PATH = message(404, NOT_FOUND)
REFUSED = message(405, WRONG_METHOD)
OPTIONS = Answer(
    "",
    content_type=HTML,
    failed=None,
    is_timed=False,
    headers=(("Allow", re.compile(r"(?=.*\bGET\b)(?=.*\bHEAD\b)(?=.*\bOPTIONS\b)[A-Z, ]+")),),
)
NOT_UTF8 = re.compile(r"Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0x8b in position 1: .*")
ADDED = "section 6.2: the agent has a liveness, a readiness and a metrics route, the peer has none"

ROUTES = (
    Case("GET /", get("/"), HEALTHY),
    Case("GET / with a query", get("/?a=1"), HEALTHY),
    Case("HEAD /", Request("HEAD", "/"), Answer("", 200, HTML, None, False, (("Content-Length", "7"),))),
    Case("OPTIONS /", Request("OPTIONS", "/"), OPTIONS),
    Case("POST /", post("x", target="/"), REFUSED),
    Case("POST /score", post("x"), result("x")),
    Case("GET /score", get("/score"), result("{}")),
    Case("OPTIONS /score", Request("OPTIONS"), NO_BODY),
    Case("OPTIONS /score with a body", Request("OPTIONS", body=b"x"), NO_BODY),
    Case("HEAD /score", Request("HEAD"), Answer("", 405, JSON, "False", False)),
    Case("PUT /score", Request("PUT", body=b"x"), REFUSED),
    Case("PATCH /score", Request("PATCH", body=b"x"), REFUSED),
    Case("DELETE /score", Request("DELETE"), REFUSED),
    Case("TRACE /score", Request("TRACE"), REFUSED),
    Case("a method of one's own", Request("SCORE"), REFUSED),
    Case("GET /score/", get("/score/"), NO_SUCH_PATH),
    Case("POST /score/", post("x", target="/score/"), NO_SUCH_PATH),
    Case("GET /Score", get("/Score"), NO_SUCH_PATH),
    Case("GET /nope", get("/nope"), NO_SUCH_PATH),
    Case("HEAD /nope", Request("HEAD", "/nope"), Answer("", 404, JSON, "False", False)),
    Case("POST /nope", post("x", target="/nope"), NO_SUCH_PATH),
    Case("OPTIONS /nope", Request("OPTIONS", "/nope"), NO_SUCH_PATH),
    Case("GET /score/v1", get("/score/v1"), NO_SUCH_PATH),
    Case("POST /%73core", post("x", target="/%73core"), result("x")),
    Case("POST /score?a=1", post("x", target="/score?a=1"), result("x")),
    Case("GET /swagger.json", get("/swagger.json"), Answer(None, is_timed=False)),
    Case("HEAD /swagger.json", Request("HEAD", "/swagger.json"), Answer("", is_timed=False)),
    Case("OPTIONS /swagger.json", Request("OPTIONS", "/swagger.json"), OPTIONS),
    Case("POST /swagger.json", post("x", target="/swagger.json"), REFUSED),
    Case(
        "GET /livez",
        get("/livez"),
        peer=NO_SUCH_PATH,
        agent=Answer(None, failed=None, is_timed=False),
        reason=ADDED,
    ),
    Case(
        "GET /readyz",
        get("/readyz"),
        peer=NO_SUCH_PATH,
        agent=Answer(None, failed=None, is_timed=False),
        reason=ADDED,
    ),
    Case(
        "GET /metrics",
        get("/metrics"),
        peer=NO_SUCH_PATH,
        agent=Answer(re.compile(r"(?s).*edgepack_scoring_seconds.*"), 200, re.compile(r"text/plain.*"), None, False),
        reason=ADDED,
    ),
)


@pytest.mark.parametrize("case", ROUTES, ids=lambda case: case.name)
def test_route(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


BODIES = (
    ("chunked", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
    ("chunked with a trailer", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Last: 1\r\n\r\n", "a"),
    ("chunked and empty", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    ("no length at all", b"\r\n", ""),
    ("length in another case", b"cOnTeNt-LeNgTh: 2\r\n\r\nab", "ab"),
    ("spaces around a value", b"Content-Length:   2  \r\n\r\nab", "ab"),
    ("expects to be told to continue", b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab", "ab"),
    ("bytes beyond the length are not read", b"Content-Length: 2\r\n\r\nabc", "ab"),
)


@pytest.mark.parametrize(("head", "text"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_forms_of_a_body(servers: Servers, kind: str, head: bytes, text: str) -> None:
    server = servers.ready(kind, Setup())
    reply = send_bytes(server, b"POST /score HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + head)
    assert (reply.status, reply.text) == (200, f'"{text}"')


def test_a_compressed_body_is_not_unpacked(servers: Servers, kind: str) -> None:
    case = Case("gzip", post(gzip.compress(b"x"), **{"Content-Encoding": "gzip"}), message(400, NOT_UTF8))
    check(servers, kind, case)


def test_the_whole_address_as_target(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    request = b"POST %b/score HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
    reply = send_bytes(server, request % server.url.encode())
    assert (reply.status, reply.text) == (200, '"x"')


def test_http_1_0(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    with connect(server) as connection:
        connection.sendall(b"POST /score HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
        reply = read_reply(connection)
        assert (reply.status, reply.text) == (200, '"x"')
        assert connection.recv(1) == b"", "the connection is closed"


def test_every_answer_has_a_date_and_a_length(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    for target, status in (("/", 200), ("/score", 200), ("/nope", 404)):
        reply = send_bytes(server, Request("GET", target).to_bytes(), "GET")
        assert reply.status == status
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", reply.value("date") or "")
        assert reply.value("content-length") == str(len(reply.body))
        assert reply.value("transfer-encoding") is None


def test_difference_the_server_header(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    reply = send_bytes(server, get("/").to_bytes(), "GET")
    assert reply.value("server") == ("gunicorn" if server.like == "peer" else None)


def test_difference_the_agent_keeps_connections_open(servers: Servers, kind: str) -> None:
    """Section 5.1: the peer closes after each answer."""
    server = servers.ready(kind, Setup())
    with connect(server) as connection:
        request = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
        connection.sendall(request + b"x")
        first = read_reply(connection)
        assert (first.status, first.text) == (200, '"x"')
        if server.like == "peer":
            assert first.value("connection") == "close"
            assert connection.recv(1) == b""
        else:
            assert first.value("connection") in (None, "keep-alive")
            connection.sendall(request + b"y")
            assert read_reply(connection).text == '"y"'


def test_a_client_can_ask_to_close(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    with connect(server) as connection:
        connection.sendall(post("x", Connection="close").to_bytes())
        reply = read_reply(connection)
        assert (reply.status, reply.value("connection")) == (200, "close")
        assert connection.recv(1) == b""


def test_only_the_loopback_interface_is_listened_on(servers: Servers, kind: str) -> None:
    """A condition of these tests, not of the contract: nothing is offered to the network while they run."""
    server = servers.ready(kind, Setup())
    assert kind == "command" or server.listening_addresses() == {"0100007F"}
