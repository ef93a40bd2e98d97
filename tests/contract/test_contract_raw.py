"""Scripts with @rawhttp: the request they see (section 5.2) and the responses they return (5.4, 6.1)."""

import re
from typing import Any

import pytest

from tests.contract.cases import (
    FORM,
    HTML,
    JSON,
    Answer,
    Case,
    Request,
    check,
    get,
    post,
    result,
    script_error,
    send,
)
from tests.contract.servers import Servers, Setup

RAW = Setup("raw.py")
BOUNDARY = "multipart/form-data; boundary=b"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="file[]"; filename="a.bin"\r\n'
    b"Content-Type: image/png\r\n\r\n\x00\xff\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file[]"; filename="b.txt"\r\n\r\nsecond\r\n'
    b'--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n--b--\r\n'
)
FILES = {"file[]": [["a.bin", "image/png", "\x00\xff\r\n"], ["b.txt", None, "second"]]}


def _seen(**members: Any) -> Answer:
    seen: dict[str, Any] = {
        "method": "POST",
        "path": "/score",
        "args": {},
        "query_string": "",
        "content_type": None,
        "mimetype": "",
        "content_length": None,
        "own_header": None,
        "cookies": {},
        "host": "localhost",
        "is_json": False,
        "is_aml_request": False,
    }
    return result(seen | members)


def _raw(name: str, request: Request, expected: Answer) -> Case:
    return Case(name, request, expected, setup=RAW)


def _do(name: str, expected: Answer) -> Case:
    return Case(name, post("x", target=f"/score?do={name.replace(' ', '+')}"), expected, setup=RAW)


def _body(do: str, body: bytes, content_type: str | None, value: object) -> Case:
    target = f"/score?do={do.replace(' ', '+')}"
    return Case(f"{do} of {content_type}", post(body, content_type, target), result(value), setup=RAW)


REQUESTS = (
    _raw("POST", post("x", None), _seen(content_length=1)),
    _raw("POST JSON", post("{}"), _seen(content_length=2, content_type=JSON, mimetype=JSON, is_json=True)),
    _raw(
        "GET",
        get("/score?a=1&a=2&b=%20", **{"x-own": "1", "Cookie": "c=d"}),
        _seen(
            method="GET",
            args={"a": ["1", "2"], "b": [" "]},
            query_string="a=1&a=2&b=%20",
            own_header="1",
            cookies={"c": "d"},
        ),
    ),
    _raw("OPTIONS", Request("OPTIONS"), _seen(method="OPTIONS")),
    _raw("HEAD", Request("HEAD"), Answer("", headers=(("Content-Length", re.compile(r"[1-9]\d+")),))),
    _body("data", b"\x00\xff", None, "\x00\xff"),
    _body("data", b"a=1", FORM, ""),
    _body("get_data", b"h\xc3\xa9", "text/plain", "h\u00e9"),
    _body("json", b'{"a": [1]}', JSON, {"a": [1]}),
    _body("form", b"a=1&a=2&b=%C3%A9", FORM, {"a": ["1", "2"], "b": ["\u00e9"]}),
    _body("form", MULTIPART, BOUNDARY, {"field": ["value"]}),
    _body("files", MULTIPART, BOUNDARY, FILES),
    _body("files and form", MULTIPART, BOUNDARY, [FILES, {"field": "value"}]),
    _body("stream", b"12345", None, 5),
    _raw("values", post("b=2", FORM, "/score?do=values&a=1"), result({"do": "values", "a": "1", "b": "2"})),
    _do("remote", result("127.0.0.1")),
    _do("global", result("POST")),
)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_request(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def _made(body: Any = "x", status: int = 200, content_type: str | None = HTML, **further: Any) -> Answer:
    return Answer(body, status, content_type, **further)


COMMAS = "section 6.1: the agent knows Content-Type in any case"
RESPONSES = (
    _do("AMLResponse", _made("made", 201)),
    _do("json_str", Answer('{"a": "\\u00e9"}', 202)),
    _do("None", Answer("{}")),
    _do("failed", _made(status=400, failed="True")),
    _do("500", _made(status=500, failed="True")),
    _do("503 flask", _made(status=503, failed="True")),
    _do("599", _made(status=599, failed="True")),
    _do("204", _made("", 204)),
    _do("304", _made("", 304, content_type=None)),
    _do("headers", _made(headers=(("X-A", "1"), ("X-B", "2")))),
    _do("repeated", _made(headers=(("X-A", "1 | 2 | 3"),))),
    _do("cookies", _made(headers=(("Set-Cookie", "a=1 | b=2"),))),
    _do("date", _made(headers=(("Last-Modified", "Mon | 06 May 2024 07:08:09 GMT"),))),
    _do("whole", _made(headers=(("Last-Modified", "Mon, 06 May 2024 07:08:09 GMT"),))),
    _do("type", _made(content_type="text/plain")),
    _do("plain", Answer('{"a": 1}')),
    _do("tuple", Answer('["x", 418]')),
    _do("streamed", _made("ab", failed=None)),
    _do("abort", script_error()),
    _do("raise", script_error()),
    _do("number as header", script_error()),
    Case(
        "lower case type",
        post("x", target="/score?do=lower+case+type"),
        None,
        _made(content_type=f"{HTML} | text/plain"),
        _made(content_type="text/plain"),
        COMMAS,
        RAW,
    ),
    Case(
        "json type",
        post("x", target="/score?do=json+type"),
        None,
        Answer('"x"', content_type=f"{JSON} | text/plain"),
        Answer('"x"', content_type="text/plain"),
        "not in the reference: with json_str=True the peer sends two content types; the agent the script's",
        RAW,
    ),
)


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.name)
def test_response(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_bytes_are_sent_as_they_are(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, RAW), get("/score?do=bytes"))
    assert (reply.status, reply.body, reply.value("content-type")) == (200, bytes(range(256)), "image/png")


def test_a_script_cannot_set_the_request_id(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, RAW), get("/score?do=own+id", **{"x-request-id": "A"}))
    assert (reply.status, reply.value("x-request-id"), reply.value("x-ms-request-id")) == (200, "A", "A")


def test_a_head_request_gets_no_body(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, RAW)
    reply = send(server, Request("HEAD", "/score?do=AMLResponse"))
    assert (reply.status, reply.body, reply.value("content-length")) == (201, b"", "4")


FORMS = (
    Case("with headers", post("x", **{"x-own": "1"}), result(["POST", "1"]), setup=Setup("raw_headers.py")),
    Case("@rawhttp elsewhere", post("x"), result([False, "POST"]), setup=Setup("raw_elsewhere.py")),
)


@pytest.mark.parametrize("case", FORMS, ids=lambda case: case.name)
def test_form_of_a_raw_run(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_difference_a_decorated_function_that_is_not_run_is_warned_of(servers: Servers, kind: str) -> None:
    """Section 6.1."""
    server = servers.ready(kind, Setup("raw_elsewhere.py"))
    if server.like == "agent":
        server.wait_log(r" W \[\d+\] .*rawhttp.*other")
    else:
        server.wait_log("is decorated with @rawhttp")
        assert "other" not in server.log
