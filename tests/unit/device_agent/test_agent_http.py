"""The ASGI application with a scorer made for the test: routes, headers, limits and clients that go away."""

import asyncio
import json
import os
from collections.abc import MutableMapping
from typing import Any

import pytest

from device_agent.http import Application
from device_agent.log_lines import LineLog
from device_agent.scorer import ScoringRequest, ScoringResult

Message = MutableMapping[str, Any]


class RecordingScorer:
    """A Scorer that answers with `result`, or waits until it is withdrawn when there is none."""

    def __init__(self, result: ScoringResult | None = None, *, reason: str = "", been_ready: bool = True) -> None:
        self.result = result
        self.not_ready_reason = reason
        self.has_been_ready = been_ready
        self.wants_headers = False
        self.requests: list[ScoringRequest] = []
        self.withdrawn = 0

    async def start(self) -> None: ...

    async def close(self, grace_s: float = 0.0) -> None: ...

    async def score(self, request: ScoringRequest) -> ScoringResult:
        self.requests.append(request)
        if self.result is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.withdrawn += 1
                raise
        assert self.result is not None
        return self.result


class Answer:
    """What the application sent."""

    def __init__(self, sent: list[Message]) -> None:
        self.status = sent[0]["status"] if sent else 0
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]} if sent else {}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


def ask(
    scorer: RecordingScorer,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: dict[str, str] | None = None,
    pieces: list[Message] | None = None,
    draining: bool = False,
    log: LineLog | None = None,
) -> Answer:
    """Send one request through a fresh application."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def talk() -> None:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        application = Application(scorer, max_body_bytes=10, log=log or LineLog(descriptor), watch_after_s=0.0)
        application.is_draining = draining
        incoming = asyncio.Queue[Message]()
        for piece in pieces or [{"type": "http.request", "body": b""}]:
            incoming.put_nowait(piece)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        async with asyncio.timeout(20):
            await application(scope, incoming.get, send)
        assert application.requests_under_way == 0
        os.close(descriptor)

    asyncio.run(talk())
    return Answer(sent)


def post(body: bytes) -> list[Message]:
    return [{"type": "http.request", "body": body, "more_body": False}]


OK = ScoringResult(b"[1]", exec_ms=1.23456)


def test_a_score_carries_the_headers_of_the_contract() -> None:
    scorer = RecordingScorer(OK)
    answer = ask(scorer, "POST", "/score", headers={"content-type": "a/b", "x-request-id": "A"}, pieces=post(b"x"))
    assert (answer.status, answer.body) == (200, b"[1]")
    assert answer.headers == {
        "content-type": "application/json",
        "content-length": "3",
        "x-ms-run-function-failed": "False",
        "x-ms-run-fn-exec-ms": "1.235",
        "x-ms-server-version": "edgepack/0.1.0",
        "x-request-id": "A",
        "x-ms-request-id": "A",
    }
    assert scorer.requests == [ScoringRequest(b"x", "POST", "", "a/b")]


def test_a_get_passes_the_query_on() -> None:
    scorer = RecordingScorer(OK)
    assert ask(scorer, "GET", "/score", query=b"a=1&b=%20").status == 200
    assert scorer.requests == [ScoringRequest(b"", "GET", "a=1&b=%20")]


def test_headers_are_passed_on_to_scripts_that_want_them() -> None:
    scorer = RecordingScorer(OK)
    scorer.wants_headers = True
    ask(scorer, "POST", "/score", headers={"x-a": "1"}, pieces=post(b""))
    assert scorer.requests[0].headers == (("x-a", "1"),)


def test_a_failed_script_is_told_in_the_header() -> None:
    failed = ScoringResult(b"{}", 500, script_failed=True)
    answer = ask(RecordingScorer(failed), "POST", "/score", pieces=post(b""))
    assert answer.status == 500
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in answer.headers


def test_options_is_answered_without_the_script() -> None:
    scorer = RecordingScorer(OK)
    answer = ask(scorer, "OPTIONS", "/score")
    assert (answer.status, answer.body, scorer.requests) == (200, b"", [])


@pytest.mark.parametrize("path", ["/score/", "/nope", "//", "/Score"])
def test_unknown_paths(path: str) -> None:
    answer = ask(RecordingScorer(OK), "GET", path)
    assert answer.status == 404
    assert answer.message.startswith("The requested URL was not found on the server.")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/score"), ("HEAD", "/score"), ("POST", "/"), ("DELETE", "/livez")]
)
def test_wrong_methods(method: str, path: str) -> None:
    answer = ask(RecordingScorer(OK), method, path)
    assert (answer.status, answer.message) == (405, "The method is not allowed for the requested URL.")
    assert "GET" in answer.headers["allow"]


def test_bodies_beyond_the_limit_are_refused_before_and_while_they_are_read() -> None:
    scorer = RecordingScorer(OK)
    announced = ask(scorer, "POST", "/score", headers={"content-length": "11"}, pieces=[{"type": "none"}])
    piece = {"type": "http.request", "body": b"123456", "more_body": True}
    streamed = ask(scorer, "POST", "/score", pieces=[piece, piece])
    at_once = ask(scorer, "POST", "/score", pieces=post(b"x" * 11))
    for answer in (announced, streamed, at_once):
        assert (answer.status, answer.message) == (413, "The request body must not exceed 10 bytes.")
    assert scorer.requests == []
    assert ask(scorer, "POST", "/score", pieces=post(b"x" * 10)).status == 200


def test_a_body_in_pieces_arrives_whole() -> None:
    scorer = RecordingScorer(OK)
    pieces: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in (b"ab", b"", b"cd")]
    ask(scorer, "POST", "/score", pieces=[*pieces, {"type": "http.request"}])
    assert scorer.requests[0].body == b"abcd"


def test_a_client_that_leaves_while_sending_is_never_scored() -> None:
    scorer = RecordingScorer(OK)
    piece = {"type": "http.request", "body": b"1", "more_body": True}
    answer = ask(scorer, "POST", "/score", pieces=[piece, {"type": "http.disconnect"}])
    assert (answer.status, scorer.requests) == (0, [])


def test_a_client_that_leaves_while_waiting_withdraws_its_request() -> None:
    scorer = RecordingScorer(None)
    answer = ask(scorer, "POST", "/score", pieces=[*post(b"1"), {"type": "http.disconnect"}])
    assert (answer.status, scorer.withdrawn) == (0, 1)


def test_ids_that_are_too_long() -> None:
    scorer = RecordingScorer(OK)
    answer = ask(scorer, "POST", "/score", headers={"x-request-id": "x" * 101}, pieces=post(b""))
    assert (answer.status, answer.message) == (431, "x-request-id must not exceed 100 characters")
    assert not [name for name in answer.headers if name.endswith("request-id")]
    long_legacy = {"x-request-id": "A", "x-ms-request-id": "x" * 101}
    answer = ask(scorer, "POST", "/score", headers=long_legacy, pieces=post(b""))
    assert answer.status == 431
    assert answer.headers["x-request-id"] == "A"
    assert "x-ms-request-id" not in answer.headers
    assert ask(scorer, "GET", "/nope", headers={"x-request-id": "x" * 101}).status == 404
    assert scorer.requests == []


def test_trace_ids_come_back_and_control_characters_do_not() -> None:
    answer = ask(RecordingScorer(OK), "GET", "/", headers={"traceid": "t\x01", "x-request-id": "a\x7fb"})
    assert answer.headers["traceid"] == "t"
    assert answer.headers["x-request-id"] == "ab"


@pytest.mark.parametrize(
    ("reason", "been_ready", "draining", "root", "ready"),
    [
        ("", True, False, 200, 200),
        ("init() has not returned", False, False, 503, 503),
        ("restarting", True, False, 200, 503),
        ("", True, True, 200, 503),
    ],
)
def test_health(reason: str, been_ready: bool, draining: bool, root: int, ready: int) -> None:
    scorer = RecordingScorer(reason=reason, been_ready=been_ready)
    assert ask(scorer, "GET", "/livez", draining=draining).status == 200
    assert ask(scorer, "GET", "/", draining=draining).status == root
    answer = ask(scorer, "GET", "/readyz", draining=draining)
    assert answer.status == ready
    body = json.loads(answer.body)
    assert body == (
        {"status": "ready"} if ready == 200 else {"status": "not ready", "reason": reason or "the agent is stopping"}
    )


def test_the_root_says_healthy_as_text() -> None:
    answer = ask(RecordingScorer(), "GET", "/")
    assert (answer.body, answer.headers["content-type"]) == (b"Healthy", "text/html; charset=utf-8")
    assert "x-ms-run-function-failed" not in answer.headers


def test_scores_are_logged_with_their_query_and_health_is_not() -> None:
    reading, writing = os.pipe()
    log = LineLog(writing)
    ask(RecordingScorer(OK), "GET", "/", log=log)
    ask(RecordingScorer(OK), "GET", "/score", query=b"a=1", log=log)
    log.flush()
    os.close(writing)
    with os.fdopen(reading) as lines:
        (line,) = lines.read().splitlines()
    assert " I [" in line
    assert "azmlinfsrv - GET /score?a=1 200 " in line
    assert line.endswith("ms 3")
