"""What `run()` receives (section 5.2): bodies, queries, forms, headers, and the forms that run() may have."""

import re

import pytest

from tests.contract.cases import FORM, JSON, Answer, Case, Request, check, get, message, post, result, script_error
from tests.contract.servers import Servers, Setup

TYPED = Setup("typed_echo.py")
FORM_BODIES = "section 6.1: the agent passes the text of a plain form, the peer an empty string"
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
CUT_SHORT = (
    r"Input cannot be decoded as UTF-8: 'utf-8' codec can't decode bytes in position 1-2: unexpected end of data"
)
NOT_UTF8 = r"Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0x"


def _text(name: str, body: bytes | str, content_type: str | None, text: str) -> Case:
    return Case(name, post(body, content_type), result(["str", text]), setup=TYPED)


def _query(query: str, members: str) -> Case:
    return Case(query or "no query", get(f"/score{query}"), result(["str", members]), setup=TYPED)


def _form(name: str, body: bytes, content_type: str) -> Case:
    agent = result(["str", body.decode()])
    return Case(name, post(body, content_type), None, result(["str", ""]), agent, FORM_BODIES, TYPED)


BODIES = (
    _text("JSON", '{"a": 1}', JSON, '{"a": 1}'),
    _text("JSON is not checked", '{"a": ', JSON, '{"a": '),
    _text("plain text", "h\u00e9", "text/plain", "h\u00e9"),
    _text("no content type", "x", None, "x"),
    _text("another character set is ignored", "h\u00e9", "text/plain; charset=latin-1", "h\u00e9"),
    _text("octets", "x", "application/octet-stream", "x"),
    _text("nonsense as content type", "x", "nonsense", "x"),
    _text("empty", "", JSON, ""),
    _text("byte order mark", b"\xef\xbb\xbfx", JSON, "\ufeffx"),
    _text("control characters and line ends", "a\x00\r\nb\t", JSON, "a\x00\r\nb\t"),
    _text("outside the basic plane", "\U0001f600", JSON, "\U0001f600"),
    _text("multipart", MULTIPART, "multipart/form-data; boundary=b", ""),
    _text("multipart without a boundary", "x", "multipart/form-data", "x"),
    Case("1 MB", post("x" * 1_000_000), Answer(re.compile(r'\["str", "x{1000000}"\]')), setup=TYPED),
    Case("first byte wrong", post(b"\xff"), message(400, re.compile(NOT_UTF8 + "ff in position 0: .*")), setup=TYPED),
    Case("a surrogate", post(b"x\xed\xa0\x80"), message(400, re.compile(NOT_UTF8 + "ed in position 1.*")), setup=TYPED),
    Case("cut short", post(b"x\xe2\x82"), message(400, re.compile(CUT_SHORT)), setup=TYPED),
    _form("plain form", b"a=1&b=2", FORM),
    _form("JSON posted by curl -d", b'{"a": 1}', FORM),
    _form("form with a character set", b"a=%20", f"{FORM}; charset=utf-8"),
    _form("form in capitals", b"a", FORM.title()),
)
QUERIES = (
    _query("", "{}"),
    _query("?", "{}"),
    _query("?a=1", '{"a": 1}'),
    _query("?a=x", '{"a": "x"}'),
    _query("?a=[1,2]", '{"a": [1, 2]}'),
    _query("?a=%7B%22b%22%3A%20null%7D", '{"a": {"b": null}}'),
    _query("?a=null&b=true&c=%22d%22", '{"a": null, "b": true, "c": "d"}'),
    _query("?a=1&a=x", '{"a": [1, "x"]}'),
    _query("?b=1&a=2&b=3", '{"b": [1, 3], "a": 2}'),
    _query("?a=", '{"a": ""}'),
    _query("?a", '{"a": ""}'),
    _query("?=1", '{"": 1}'),
    _query("?a=b=c", '{"a": "b=c"}'),
    _query("?a=x+y%20z", '{"a": "x y z"}'),
    _query("?a=%2B1", '{"a": "+1"}'),
    _query("?a=1;b=2", '{"a": "1;b=2"}'),
    _query("?&&a=1&", '{"a": 1}'),
    _query("?%C3%A9=%C3%A9", '{"\\u00e9": "\\u00e9"}'),
    _query("?a=%FF%C3%A9", '{"a": "%FF\\u00e9"}'),
    _query("?a=%zz", '{"a": "%zz"}'),
    _query("?a=NaN", '{"a": NaN}'),
    _query("?a=01", '{"a": "01"}'),
    _query("?a=1e3&b=-0", '{"a": 1000.0, "b": 0}'),
    _query("?a=%201%20", '{"a": 1}'),
    Case("a GET's body is not looked at", Request("GET", "/score?a=1", b"x"), result(["str", '{"a": 1}']), setup=TYPED),
)


@pytest.mark.parametrize("case", [*BODIES, *QUERIES], ids=lambda case: case.name)
def test_undecorated(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


HEADERS = Setup("headers.py")


def _sees(headers: dict[str, str], data: str) -> Answer:
    return result(["dict", sorted(map(list, headers.items())), data])


REQUEST_HEADERS = (
    Case(
        "title case",
        Request(body=b"x", headers=(("Host", "a"), ("x-foo", "1"), ("X-BAR-baz", "2"))),
        _sees({"Host": "a", "X-Foo": "1", "X-Bar-Baz": "2", "Content-Length": "1", "Connection": "close"}, "x"),
        setup=HEADERS,
    ),
    Case(
        "content type and a GET",
        Request("GET", headers=(("Host", "a"), ("Content-Type", "text/plain"))),
        _sees({"Host": "a", "Content-Type": "text/plain", "Connection": "close"}, "{}"),
        setup=HEADERS,
    ),
    Case(
        "repeated",
        Request("GET", headers=(("Host", "a"), ("X-A", "1"), ("x-a", "2"), ("Accept", "b"))),
        _sees({"Host": "a", "X-A": "1,2", "Accept": "b", "Connection": "close"}, "{}"),
        setup=HEADERS,
    ),
    Case(
        "Latin-1",
        Request("GET", headers=(("Host", "a"), ("X-A", "h\u00e9"))),
        _sees({"Host": "a", "X-A": "h\u00e9", "Connection": "close"}, "{}"),
        setup=HEADERS,
    ),
    Case(
        "empty value",
        Request("GET", headers=(("Host", "a"), ("X-A", ""))),
        _sees({"Host": "a", "X-A": "", "Connection": "close"}, "{}"),
        setup=HEADERS,
    ),
)


@pytest.mark.parametrize("case", REQUEST_HEADERS, ids=lambda case: case.name)
def test_request_headers(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


FORMS = (
    Case("keyword-only", post("x"), result(["x", 5]), setup=Setup("keyword_only.py")),
    Case("two required, POST", post("x"), script_error(), setup=Setup("two_required.py")),
    Case("two required, GET", get("/score?data=1&limit=2"), script_error(), setup=Setup("two_required.py")),
)


@pytest.mark.parametrize("case", FORMS, ids=lambda case: case.name)
def test_form_of_run(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)
