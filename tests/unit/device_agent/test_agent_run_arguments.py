"""From requests to the arguments of run(), row by row of the contract."""

import json
from typing import Any

import pytest

from device_agent.run_arguments import RefusedRequest, RunForm, run_arguments
from device_agent.scorer import ScoringRequest

TEXT = RunForm({"data": RunForm.empty})
SCHEMA = RunForm({"data": RunForm.empty, "limit": 5}, takes_schema=True)
JSON = "application/json"


def _query(text: str) -> ScoringRequest:
    return ScoringRequest(b"", "GET", query=text)


@pytest.mark.parametrize("kind", ["", JSON, "text/csv", "application/x-www-form-urlencoded"])
def test_a_posted_body_is_one_string_whatever_its_type(kind: str) -> None:
    request = ScoringRequest("é=1&b".encode(), content_type=kind)
    assert run_arguments(TEXT, request) == {"data": "é=1&b"}


def test_a_multipart_body_is_an_empty_string() -> None:
    request = ScoringRequest(b"--x", content_type="Multipart/Form-Data; boundary=x")
    assert run_arguments(TEXT, request) == {"data": ""}


def test_the_parameter_may_have_any_name() -> None:
    assert run_arguments(RunForm({"raw": RunForm.empty, "other": 1}), ScoringRequest(b"x")) == {"raw": "x"}


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("", {}),
        ("a=1&b=[1,2]&c=a&d=null", {"a": 1, "b": [1, 2], "c": "a", "d": None}),
        ("foo=bar1&foo=2&x=y", {"foo": ["bar1", 2], "x": "y"}),
        ("a=%22q%22&b=1+2&c=&d", {"a": "q", "b": "1 2", "c": "", "d": ""}),
        ("a=%ff", {"a": "%FF"}),
        ("a=" + "[" * 50_000, {"a": "[" * 50_000}),
    ],
)
def test_a_query_is_the_text_of_a_json_object(query: str, members: dict[str, Any]) -> None:
    arguments = run_arguments(TEXT, _query(query))
    assert json.loads(arguments["data"]) == members


def test_a_body_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(RefusedRequest, match="Input cannot be decoded as UTF-8: 'utf-8' codec") as caught:
        run_arguments(TEXT, ScoringRequest(b"\xff"))
    assert caught.value.status == 400


def test_a_schema_takes_members_by_name_and_fills_in_defaults() -> None:
    request = ScoringRequest(b'{"data": [1], "unknown": 2}', content_type=JSON)
    assert run_arguments(SCHEMA, request) == {"data": [1], "limit": 5}
    assert run_arguments(SCHEMA, _query("data=x&limit=3")) == {"data": "x", "limit": 3}


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-8", "Application/JSON", "application/geo+json"])
def test_json_content_types(kind: str) -> None:
    assert run_arguments(SCHEMA, ScoringRequest(b'{"data": 1}', content_type=kind))["data"] == 1


@pytest.mark.parametrize(
    ("body", "kind", "status", "text"),
    [
        (b"", JSON, 400, "POST body is empty. Expecting a JSON dictionary."),
        (b"{", JSON, 400, "POST body could not be decoded as JSON: Expecting property name"),
        (b"\xff\xfe", JSON, 400, "POST body could not be decoded as JSON: "),
        (b"[" * 100_000, JSON, 400, "POST body could not be decoded as JSON: nested too deeply"),
        (b"[1]", JSON, 400, "POST body should be a JSON dictionary."),
        (b"{}", JSON, 400, "A value is not provided for the 'data' parameter."),
        (b'{"data": 1}', "text/json", 415, "Expects Content-Type to be application/json"),
        (b'{"data": 1}', "", 415, "Expects Content-Type to be application/json"),
    ],
)
def test_what_a_schema_refuses(body: bytes, kind: str, status: int, text: str) -> None:
    with pytest.raises(RefusedRequest) as caught:
        run_arguments(SCHEMA, ScoringRequest(body, content_type=kind))
    assert caught.value.status == status
    assert str(caught.value).startswith(text)


def test_headers_come_in_title_case_and_repeated_ones_joined() -> None:
    form = RunForm({"data": RunForm.empty}, wants_headers=True)
    headers = (("x-foo", "1"), ("content-type", "a/b"), ("x-foo", "2"))
    arguments = run_arguments(form, ScoringRequest(b"x", headers=headers))
    assert arguments == {"data": "x", "request_headers": {"X-Foo": "1,2", "Content-Type": "a/b"}}


def test_a_raw_run_gets_the_http_request_whatever_the_body() -> None:
    form = RunForm({"request": RunForm.empty, "other": 1}, wants_headers=True, takes_request=True)
    http_request = object()
    arguments = run_arguments(form, ScoringRequest(b"\xff", "HEAD", headers=(("x-a", "1"),)), http_request)
    assert arguments == {"request": http_request, "request_headers": {"X-A": "1"}}
