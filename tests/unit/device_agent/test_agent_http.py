"""Routes, headers, keys and limits of the HTTP interface, with a scorer made for the test."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from device_agent.access_keys import AccessKeys
from device_agent.cors import CorsPolicy
from device_agent.errors import SettingsError
from device_agent.http import HttpApplication
from device_agent.http_routes import HttpOptions
from device_agent.log_lines import LineLog
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptDescription
from tests.unit.device_agent.http_world import RecordingScorer, World


def test_a_score_carries_the_headers_of_the_contract() -> None:
    world = World()
    answer = world.ask("POST", "/score", b"x", content_type="a/b", x_request_id="A")
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
    (scored,) = world.scorer.requests
    assert scored[:6] == (b"x", "POST", "/score", "", "a/b", "192.0.2.1")


def test_a_get_passes_the_query_on() -> None:
    world = World()
    assert world.ask("GET", "/score?a=1&b=%20").status == 200
    assert world.scorer.requests[0].query == "a=1&b=%20"


def test_headers_are_passed_on_to_scripts_that_want_them() -> None:
    world = World()
    world.ask("POST", "/score", b"", x_a="1")
    world.scorer.description = ScriptDescription(wants_headers=True)
    world.ask("POST", "/score", b"", x_a="\xe9")
    assert world.scorer.requests[0].headers == ()
    assert ("x-a", "\xe9") in world.scorer.requests[1].headers


def test_a_failed_script_is_told_in_the_header_and_counted() -> None:
    world = World(RecordingScorer(ScoringResult(b"{}", 500, script_failed=True)))
    answer = world.ask("POST", "/score", b"")
    assert answer.status == 500
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in answer.headers
    figures = world.ask("GET", "/metrics").body.decode()
    assert "edgepack_script_errors_total 1\n" in figures
    assert 'edgepack_requests_total{route="/score",code="500"} 1\n' in figures
    assert "edgepack_scoring_seconds_count 1\n" in figures


def test_a_script_answers_with_headers_of_its_own() -> None:
    headers = (("set-cookie", "a=1"), ("set-cookie", "b=2"))
    world = World(RecordingScorer(ScoringResult(b"\xff", 418, "", None, 1.0, headers)))
    answer = world.ask("POST", "/score", b"")
    assert (answer.status, answer.body) == (418, b"\xff")
    assert [line for line in answer.lines if line.startswith("set-cookie")] == ["set-cookie: a=1", "set-cookie: b=2"]
    assert "content-type" not in answer.headers
    assert "x-ms-run-function-failed" not in answer.headers


def test_options_and_head_reach_only_a_raw_script() -> None:
    world = World()
    assert world.ask("OPTIONS", "/score").body == b""
    assert world.ask("HEAD", "/score").status == 405
    assert world.scorer.requests == []
    world.scorer.description = ScriptDescription(wants_headers=True, raw_http=True)
    assert world.ask("OPTIONS", "/score").body == b"[1]"
    answer = world.ask("HEAD", "/score")
    assert (answer.status, answer.headers["content-length"]) == (200, "3")
    assert [scored.method for scored in world.scorer.requests] == ["OPTIONS", "HEAD"]


@pytest.mark.parametrize("path", ["/score/", "/nope", "//", "/Score", "*", "/%2e"])
def test_unknown_paths(path: str) -> None:
    answer = World().ask("GET", path)
    assert answer.status == 404
    assert answer.message.startswith("The requested URL was not found on the server.")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/score"), ("DELETE", "/score"), ("POST", "/"), ("DELETE", "/livez")]
)
def test_wrong_methods(method: str, path: str) -> None:
    answer = World().ask(method, path)
    assert (answer.status, answer.message) == (405, "The method is not allowed for the requested URL.")
    assert "GET" in answer.headers["allow"]


def test_ids_that_are_too_long() -> None:
    world = World()
    answer = world.ask("POST", "/score", b"", x_request_id="x" * 101)
    assert (answer.status, answer.message) == (431, "x-request-id must not exceed 100 characters")
    assert not [name for name in answer.headers if name.endswith("request-id")]
    answer = world.ask("POST", "/score", b"", x_request_id="A", x_ms_request_id="x" * 101)
    assert answer.status == 431
    assert answer.headers["x-request-id"] == "A"
    assert "x-ms-request-id" not in answer.headers
    assert world.ask("GET", "/nope", x_request_id="x" * 101).status == 404
    assert world.scorer.requests == []


def test_trace_ids_come_back() -> None:
    assert World().ask("GET", "/", TraceId="t").headers["TraceId"] == "t"


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
    world = World(RecordingScorer(reason=reason, been_ready=been_ready))
    world.application.is_draining = draining
    assert world.ask("GET", "/livez").status == 200
    assert world.ask("GET", "/").status == root
    answer = world.ask("GET", "/readyz")
    assert answer.status == ready
    assert json.loads(answer.body) == (
        {"status": "ready"} if ready == 200 else {"status": "not ready", "reason": reason or "the agent is stopping"}
    )


def test_the_root_says_healthy_as_text() -> None:
    answer = World().ask("GET", "/")
    assert (answer.body, answer.headers["content-type"]) == (b"Healthy", "text/html; charset=utf-8")
    assert "x-ms-run-function-failed" not in answer.headers
    assert World().ask("OPTIONS", "/").headers["allow"] == "GET, HEAD, OPTIONS"
    assert World().ask("HEAD", "/").headers["content-length"] == "7"


def test_the_api_description_is_the_authors_own_or_made() -> None:
    options = HttpOptions(service_name="Pump", logs_requests=False, user_swagger={"3": b'{"mine": 3}'})
    world = World(options=options)
    assert json.loads(world.ask("GET", "/swagger.json").body)["info"]["title"] == "Pump"
    assert json.loads(world.ask("GET", "/swagger.json?version=2.0").body)["swagger"] == "2.0"
    assert world.ask("GET", "/swagger.json?version=3").body == b'{"mine": 3}'
    assert world.ask("GET", "/swagger.json?version=3.0").body == b'{"mine": 3}'
    answer = world.ask("GET", "/swagger.json?version=9")
    assert answer.status == 404
    assert answer.message == "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."
    world.scorer.description = ScriptDescription(swagger_versions=("3", "3.1"))
    answer = world.ask("GET", "/swagger.json")
    assert answer.status == 404
    assert answer.message.endswith("Supported swagger versions: [3, 3.1].")


def test_without_a_script_there_is_no_description_yet() -> None:
    assert World(RecordingScorer(reason="loading", been_ready=False)).ask("GET", "/swagger.json").status == 503


def test_keys_guard_all_but_health(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# two keys\nfirst-key\nsecond-key\n")
    world = World(keys=AccessKeys(str(file)))
    for path in ("/score", "/swagger.json", "/metrics"):
        answer = world.ask("GET", path)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert world.ask("GET", path, authorization="Bearer wrong-key").status == 401
        assert world.ask("GET", path, authorization="Basic first-key").status == 401
        assert world.ask("GET", path, authorization="Bearer first-key").status == 200
        assert world.ask("GET", path, authorization="bearer second-key").status == 200
    assert [world.ask("GET", path).status for path in ("/", "/livez", "/readyz")] == [200] * 3
    assert len(world.scorer.requests) == 2


def test_a_refused_key_costs_no_body(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key\n")
    world = World(keys=AccessKeys(str(tmp_path / "keys")))
    client = world.connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 50000000\r\n\r\n")
    assert [answer.status for answer in client.answers] == [401]
    assert client.wire.has_ended


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "no key"), ("# only\n", "no key"), ("ok-key-123\nshort\n", "line 2"), ("with a space\n", "line 1")],
)
def test_key_files_that_cannot_be_used(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(SettingsError, match=problem) as caught:
        AccessKeys(str(tmp_path / "keys"))
    assert "space" not in str(caught.value) or "with a space" not in str(caught.value)
    with pytest.raises(SettingsError, match="No such file"):
        AccessKeys(str(tmp_path / "missing"))


def test_cross_origin_calls() -> None:
    world = World(cors=CorsPolicy("http://a.test, http://b.test"))
    allowed = world.ask("POST", "/score", b"", origin="http://a.test")
    assert allowed.headers["access-control-allow-origin"] == "http://a.test"
    assert allowed.headers["vary"] == "Origin"
    assert "access-control-allow-methods" not in allowed.headers
    assert "access-control-allow-origin" not in world.ask("POST", "/score", b"", origin="http://c.test").headers
    assert world.ask("POST", "/score", b"").headers["access-control-allow-origin"] == "http://a.test"
    preflight: dict[str, Any] = {"origin": "http://b.test", "access_control_request_headers": "x-a"}
    asked = world.ask("OPTIONS", "/score", access_control_request_method="POST", **preflight)
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert asked.headers["access-control-allow-headers"] == "x-a"
    refused = world.ask("OPTIONS", "/score", access_control_request_method="DELETE", **preflight)
    assert "access-control-allow-methods" not in refused.headers
    anyone = World(cors=CorsPolicy("*")).ask("GET", "/", origin="null")
    assert anyone.headers["access-control-allow-origin"] == "null"
    assert World(cors=CorsPolicy("*")).ask("GET", "/").headers["access-control-allow-origin"] == "*"
    assert "vary" not in World(cors=CorsPolicy("http://a.test")).ask("GET", "/", origin="http://a.test").headers


def test_scores_are_logged_with_their_query_and_health_is_not() -> None:
    reading, writing = os.pipe()
    log = LineLog(writing)
    world = World(log=log)
    application = HttpApplication(world.scorer, log=log, metrics=world.metrics, options=HttpOptions())
    application._flush_is_due = True  # no event loop here
    world.application = world.state.application = application
    world.ask("GET", "/")
    world.ask("GET", "/score?a=1")
    world.ask("GET", "/swagger.json?version=9")
    log.flush()
    os.close(writing)
    with os.fdopen(reading) as lines:
        scored, described = lines.read().splitlines()
    assert " I [" in scored
    assert "azmlinfsrv - GET /score?a=1 200 " in scored
    assert scored.endswith("ms 3")
    assert "GET /swagger.json?version=9 404 " in described


def test_every_score_is_observed() -> None:
    seen: list[tuple[str, int]] = []
    world = World(observe=lambda request, result, _: seen.append((request.path, result.status)))
    world.ask("POST", "/score", b"")
    world.ask("GET", "/livez")
    assert seen == [("/score", 200)]


def test_the_scoring_request_of_a_plain_script_is_the_smallest() -> None:
    world = World()
    world.ask("POST", "/score", b"b", x_request_id="A")
    assert world.scorer.requests[0].headers == ScoringRequest(b"").headers


def test_without_a_key_a_raw_script_is_not_asked_for_its_options(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key\n")
    world = World(keys=AccessKeys(str(tmp_path / "keys")))
    world.scorer.description = ScriptDescription(wants_headers=True, raw_http=True)
    assert world.ask("OPTIONS", "/score", b"steal").body == b""
    assert world.scorer.requests == []
    assert world.ask("OPTIONS", "/score", b"mine", authorization="Bearer first-key").body == b"[1]"


def test_a_script_that_allows_origins_itself_is_left_alone() -> None:
    result = ScoringResult(b"", headers=(("Access-Control-Allow-Origin", "http://own.test"),))
    world = World(RecordingScorer(result), cors=CorsPolicy("http://a.test, http://b.test"))
    answer = world.ask("POST", "/score", b"", origin="http://a.test")
    assert [line for line in answer.lines if "origin" in line.lower()] == [
        "Access-Control-Allow-Origin: http://own.test"
    ]


def test_strangers_do_not_learn_why_a_script_failed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key\n")
    scorer = RecordingScorer(reason="init() failed: secret", been_ready=False)
    world = World(scorer, keys=AccessKeys(str(tmp_path / "keys")))
    for path in ("/", "/readyz"):
        assert b"secret" not in world.ask("GET", path).body
        assert b"secret" in world.ask("GET", path, authorization="Bearer first-key").body


def test_refused_requests_are_logged() -> None:
    reading, writing = os.pipe()
    log = LineLog(writing)
    world = World(log=log, options=HttpOptions())
    world.application._flush_is_due = True  # no event loop here
    world.ask("GET", "/nope")
    world.ask("PUT", "/score")
    log.flush()
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = [line.partition("azmlinfsrv - ")[2].split()[:3] for line in lines.read().splitlines()]
    assert told == [["GET", "/nope", "404"], ["PUT", "/score", "405"]]
