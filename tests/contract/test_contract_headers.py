"""Response headers (section 5.6): request ids, the server's version, the trace id, the time spent in run()."""

import re
from dataclasses import dataclass

import pytest

from tests.contract.cases import (
    NOT_FOUND,
    WRONG_METHOD,
    Case,
    Request,
    check,
    get,
    message,
    post,
    result,
    script_error,
    send,
)
from tests.contract.servers import Servers, Setup

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
IDS = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")
FAILURES = Setup("failures.py")


@dataclass(frozen=True)
class IdRow:
    """The three ids of a request and those of its response; A without one in the request is a new one."""

    given: tuple[str, str, str]
    answered: tuple[str, str, str]


ID_TABLE = (
    IdRow(("-", "-", "-"), ("A", "A", "-")),
    IdRow(("A", "-", "-"), ("A", "A", "-")),
    IdRow(("-", "B", "-"), ("A", "B", "B")),
    IdRow(("-", "-", "C"), ("A", "C", "C")),
    IdRow(("A", "B", "-"), ("A", "B", "B")),
    IdRow(("-", "B", "C"), ("A", "B", "C")),
    IdRow(("A", "-", "C"), ("A", "C", "C")),
    IdRow(("A", "B", "C"), ("A", "B", "C")),
)
TARGETS = (
    Request(body=b"x"),
    Request("GET", "/score"),
    Request("OPTIONS", "/score"),
    Request("GET", "/"),
    Request("GET", "/swagger.json"),
    Request("GET", "/swagger.json?version=9"),
    Request(body=b"\xff"),
    Request(body=b"ValueError"),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda request: f"{request.method} {request.target} {request.body!r}")
@pytest.mark.parametrize("row", ID_TABLE, ids=lambda row: "".join(row.given))
def test_ids(servers: Servers, kind: str, row: IdRow, target: Request) -> None:
    server = servers.ready(kind, FAILURES)
    given = tuple((name, value) for name, value in zip(IDS, row.given, strict=True) if value != "-")
    reply = send(server, Request(target.method, target.target, target.body, given))
    found = [reply.value(name) for name in IDS]
    if row.given[0] == "-":
        assert UUID.fullmatch(found[0] or ""), found
        found = ["A" if value == found[0] else value for value in found]
    assert [value or "-" for value in found] == list(row.answered)


def test_new_ids_differ(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, FAILURES)
    replies = [send(server, get("/")) for _ in range(5)]
    assert len({reply.value("x-request-id") for reply in replies}) == 5


NO_IDS = tuple((name, None) for name in IDS)
GIVEN = (("X-Request-Id", "A"), ("X-Ms-Request-Id", "B"), ("X-Ms-Client-Request-Id", "C"))
ALL_IDS = tuple((name, value) for name, value in zip(IDS, "ABC", strict=True))
ROUTED = "section 6.1: the agent's 404 and 405 carry the id headers"
LONG, LONGEST = "x" * 101, "x" * 100
TOO_LONG = "x-request-id must not exceed 100 characters"
TOO_LONG_OTHERS = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
A_NEW_ID = (("x-request-id", UUID), ("x-ms-request-id", None), ("x-ms-client-request-id", None))
VERSION = "section 5.6: each server names itself"
REFUSED = (
    Case(
        "404",
        Request("GET", "/nope", headers=GIVEN),
        None,
        message(404, NOT_FOUND, headers=(*NO_IDS, ("x-ms-server-version", None))),
        message(404, NOT_FOUND, headers=ALL_IDS),
        ROUTED,
    ),
    Case(
        "405",
        Request("PUT", headers=GIVEN),
        None,
        message(405, WRONG_METHOD, headers=(*NO_IDS, ("x-ms-server-version", None))),
        message(405, WRONG_METHOD, headers=ALL_IDS),
        ROUTED,
    ),
    Case("x-request-id too long", post("x", **{"x-request-id": LONG}), message(431, TOO_LONG, headers=NO_IDS)),
    Case(
        "x-request-id too long, another given",
        post("x", **{"x-request-id": LONG, "x-ms-request-id": "B"}),
        message(431, TOO_LONG, headers=NO_IDS),
    ),
    Case(
        "x-ms-request-id too long",
        post("x", **{"x-ms-request-id": LONG}),
        message(431, TOO_LONG_OTHERS, headers=A_NEW_ID),
    ),
    Case(
        "x-ms-client-request-id too long",
        post("x", **{"x-ms-client-request-id": LONG, "x-request-id": "A"}),
        message(431, TOO_LONG_OTHERS, headers=(("x-request-id", "A"), *NO_IDS[1:])),
    ),
    Case("too long on /", get("/", **{"x-request-id": LONG}), message(431, TOO_LONG, headers=NO_IDS)),
    Case("too long on no route", get("/nope", **{"x-request-id": LONG}), message(404, NOT_FOUND)),
    Case("longest", post("x", **{"x-request-id": LONGEST}), result("x", headers=(("x-request-id", LONGEST),))),
    Case(
        "empty",
        post("x", **{"x-ms-request-id": "", "x-ms-client-request-id": ""}),
        result("x", headers=(("x-request-id", UUID), ("x-ms-client-request-id", None))),
    ),
)
FURTHER = (
    Case("TraceId is echoed", post("x", TraceId="t 1"), result("x", headers=(("TraceId", "t 1"),))),
    Case("TraceId in lower case", get("/score", traceid="t"), result("{}", headers=(("TraceId", "t"),))),
    Case("no TraceId", post("x"), result("x", headers=(("TraceId", None),))),
    Case("trace-id is not read", post("x", **{"trace-id": "t"}), result("x", headers=(("TraceId", None),))),
    Case(
        "version",
        post("x"),
        None,
        result("x", headers=(("x-ms-server-version", "azmlinfsrv/1.5.1"),)),
        result("x", headers=(("x-ms-server-version", re.compile(r"edgepack/\d+\.\d+\.\d+")),)),
        VERSION,
    ),
    Case("a script's fault is not timed", post("ValueError"), script_error(), setup=FAILURES),
)


@pytest.mark.parametrize("case", [*REFUSED, *FURTHER], ids=lambda case: case.name)
def test_header(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def _version_shown(value: str) -> Setup:
    return Setup(environment=(("SERVER_VERSION_LOG_RESPONSE_ENABLED", value),))


@pytest.mark.parametrize(("value", "is_shown"), [("false", False), ("True", True), ("yes", False)])
def test_the_version_can_be_hidden(servers: Servers, kind: str, value: str, is_shown: bool) -> None:
    """Section 5.6: shown unless the variable is set to something other than true."""
    server = servers.ready(kind, _version_shown(value))
    reply = send(server, post("x"))
    assert (reply.status, reply.value("x-ms-server-version") is not None) == (200, is_shown)


def test_an_id_with_unusual_characters_comes_back_as_it_was(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, Setup())
    for given in ("a b", "{1;2,3}", "h\u00e9", '"'):
        reply = send(server, post("x", **{"x-request-id": given}))
        assert (reply.status, reply.value("x-request-id")) == (200, given)


def test_the_time_in_run_has_three_decimals(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, Setup()), post("x"))
    assert re.fullmatch(r"\d+\.\d{3}", reply.value("x-ms-run-fn-exec-ms") or "")
