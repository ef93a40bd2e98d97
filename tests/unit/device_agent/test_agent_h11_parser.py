"""h11 behind httptools' interface tells the same of the same bytes, in any pieces."""

from itertools import pairwise
from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent import h11_parser
from device_agent.http_message import Request
from device_agent.http_reader import Reader, RequestReader
from tests.examples import examples

WHOLE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /score?a=%20b HTTP/1.1\r\nhost: x\r\nContent-Type: application/json\r\ncontent-length: 5\r\n\r\n[1,2]",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;e=1\r\n2]\r\n0\r\nT: 1\r\n\r\n",
    b"GET /livez HTTP/1.0\r\n\r\n",
    b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n",
    b"\r\n\r\nGET /swagger.json HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
]
REFUSED = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
]


class Told:
    """What a reader of requests was told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_head(self, request: Request) -> None:
        """The head."""
        head = (request.method, request.path, request.query, sorted(request.headers))
        self.events.append((*head, request.keep_alive, request.is_1_0))

    def on_body(self, body: bytes) -> None:
        """A piece of a body; the pieces are no part of what is compared."""
        if self.events and isinstance(self.events[-1], bytes):
            self.events[-1] += body
        else:
            self.events.append(body)

    def on_end(self) -> None:
        """The end."""
        self.events.append("end")


def told(parsers: Any, stream: bytes, cuts: list[int], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], Any]:
    """What is told of a stream cut in pieces, and the refusal."""
    with monkeypatch.context() as patched:
        patched.setattr("device_agent.http_reader.http_parser", parsers)
        seen = Told()
        reader = RequestReader(Reader(seen.on_head, seen.on_body, seen.on_end), "client", 16384)
        places = [0, *sorted(cuts), len(stream)]
        for start, end in pairwise(places):
            refusal = reader.feed(stream[start:end]) if end > start else None
            if refusal is not None:
                return seen.events, refusal
        return seen.events, None


@pytest.mark.parametrize("request_bytes", WHOLE)
def test_whole_requests(request_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = told(httptools, request_bytes, [], monkeypatch)
    assert expected[0][-1] == "end"
    assert told(h11_parser, request_bytes, [], monkeypatch) == expected
    every = list(range(len(request_bytes)))
    assert told(h11_parser, request_bytes, every, monkeypatch) == expected


@pytest.mark.parametrize("request_bytes", REFUSED)
def test_what_is_refused(request_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, expected), (_, found) = (told(each, request_bytes, [], monkeypatch) for each in (httptools, h11_parser))
    assert expected is not None
    assert found == expected


def test_a_request_without_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    events, refusal = told(h11_parser, b"GET / HTTP/1.1\r\n\r\n", [], monkeypatch)
    assert events == []
    assert refusal is not None
    assert refusal[0] == 400


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from([each for each in WHOLE if b"close" not in each and b"1.0" not in each]), max_size=5))
def test_requests_one_after_another(requests: list[bytes]) -> None:
    stream = b"".join(requests)
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected = told(httptools, stream, [], monkeypatch)
        assert told(h11_parser, stream, [7, 20, 21, 60, 200], monkeypatch) == expected
    assert [event for event in expected[0] if event == "end"] == ["end"] * len(requests)


def test_what_fails_in_a_callback_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("device_agent.http_reader.http_parser", h11_parser)

    def fail(*_: Any) -> None:
        raise ValueError("not taken")

    reader = RequestReader(Reader(fail, fail, fail), "client", 100)
    refusal = reader.feed(WHOLE[0])
    assert refusal is not None
    assert refusal[0] == 500
    assert "could not be taken" in caplog.text


class _Answer:
    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, body: bytes) -> None:
        """A piece."""
        self.body += body

    def on_message_complete(self) -> None:
        """The end."""
        self.is_complete = True


@pytest.mark.parametrize("parsers", [httptools, h11_parser])
@pytest.mark.parametrize("piece", [1, 1000])
@pytest.mark.parametrize(
    ("response", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 404, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
    ],
)
def test_responses(parsers: Any, piece: int, response: bytes, status: int, body: bytes) -> None:
    answer = _Answer()
    parser = parsers.HttpResponseParser(answer)
    for start in range(0, len(response), piece):
        parser.feed_data(response[start : start + piece])
    assert (parser.get_status_code(), answer.body, answer.is_complete) == (status, body, True)


@pytest.mark.parametrize("parsers", [httptools, h11_parser])
def test_a_response_that_is_none(parsers: Any) -> None:
    with pytest.raises(parsers.HttpParserError):
        parsers.HttpResponseParser(_Answer()).feed_data(b"nonsense\r\n\r\n")
