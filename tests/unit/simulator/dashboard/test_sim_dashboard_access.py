"""Who may read the page: names, origins and tokens, one by one; and the guard does what was decided."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from simulator.dashboard.access import Listening, Request, decide, is_loopback
from simulator.dashboard.guard import Guard

LOCAL = Listening("127.0.0.1", 8088)
OPEN = Listening("0.0.0.0", 8088, "secret", ("desk", "desk.example"))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8088", 0),
        ("localhost:8088", 0),
        ("[::1]:8088", 0),
        ("127.0.0.1", 0),
        ("rebound.example:8088", 421),
        ("192.168.1.7:8088", 421),
        ("desk:8088", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_on_loopback_only_this_machines_loopback_names_are_answered(host: str, status: int) -> None:
    assert decide(LOCAL, Request(host)).status == status


@pytest.mark.parametrize(
    ("host", "status"), [("192.168.1.7:8088", 0), ("DESK:8088", 0), ("desk.example", 0), ("rebound.example", 421)]
)
def test_elsewhere_addresses_and_own_names_are_answered(host: str, status: int) -> None:
    assert decide(OPEN, Request(host, cookie="secret")).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("", 0), ("http://127.0.0.1:8088", 0), ("http://127.0.0.1:9", 403), ("https://evil.example", 403), ("null", 403)],
)
def test_another_sites_page_is_refused(origin: str, status: int) -> None:
    assert decide(LOCAL, Request("127.0.0.1:8088", origin)).status == status


def test_a_token_opens_once_then_the_cookie_does() -> None:
    host = "192.168.1.7:8088"
    assert decide(OPEN, Request(host)).status == 401
    assert decide(OPEN, Request(host, token="guess", cookie="guess")).status == 401
    assert decide(OPEN, Request(host, token="secret")).sets_cookie
    assert decide(OPEN, Request(host, cookie="secret")) == (0, "", False)
    assert decide(OPEN, Request(host, token="ä")).status == 401


def test_addresses_to_open() -> None:
    assert LOCAL.url == "http://127.0.0.1:8088/"
    assert OPEN.url == "http://desk:8088/?token=secret"
    assert Listening("::1", 80).url == "http://[::1]:80/"
    assert Listening("192.168.1.7", 80, "t").url == "http://192.168.1.7:80/?token=t"


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("desk", False)]
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def asked(listening: Listening, query: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    """What the guard answers before a page that says "inside"."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(PlainTextResponse("inside"), listening)(scope, receive, send))
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, sent[1]["body"].decode()


def test_the_guard_lets_in_with_a_policy() -> None:
    status, fields, body = asked(LOCAL, host="localhost:8088")
    assert (status, body) == (200, "inside")
    assert "default-src 'self'" in fields["content-security-policy"]
    assert "frame-ancestors 'none'" in fields["content-security-policy"]


def test_the_guard_refuses_with_a_reason() -> None:
    status, _, body = asked(LOCAL, host="evil.example")
    assert status == 421
    assert "http://127.0.0.1:8088/" in body
    assert "inside" not in body


def test_the_guard_turns_the_token_into_a_cookie() -> None:
    status, fields, _ = asked(OPEN, "token=secret", host="desk:8088")
    assert (status, fields["location"]) == (303, "/")
    cookie = fields["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert asked(OPEN, host="desk:8088", cookie=cookie.partition(";")[0])[0] == 200
    assert asked(OPEN, host="desk:8088", cookie="a=b; ;;=")[0] == 401
    assert asked(OPEN, host="desk:8088")[0] == 401
