"""What registries say in headers and errors."""

import pytest

from edgepack.oci.registry_headers import (
    Challenge,
    ErrorText,
    encode_content_range,
    next_page,
    origin_of,
    parse_challenges,
    parse_content_range,
    parse_error,
    parse_retry_after,
    parse_upload_range,
    resolve_location,
    with_digest,
)

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            [HUB],
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (["Basic realm=x"], [("basic", {"realm": "x"})]),
        (['BASIC REALM = "a \\"b\\" c"'], [("basic", {"realm": 'a "b" c'})]),
        (
            ['Negotiate, Basic realm="a", Bearer realm="b",service=c'],
            [("negotiate", {}), ("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        (["Negotiate YWJj==", 'Basic realm="a, b"'], [("negotiate", {}), ("basic", {"realm": "a, b"})]),
        (["Bearer realm=https://x/t?a=b,service=y"], [("bearer", {"realm": "https://x/t?a=b", "service": "y"})]),
        (['Basic realm="not closed'], [("basic", {"realm": ""})]),
        (["", ",,", "="], []),
    ],
)
def test_challenges(values: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(each.scheme, each.parameters) for each in parse_challenges(values)] == expected


def test_a_repeated_parameter_counts_once() -> None:
    assert parse_challenges(['Bearer realm="a",realm="b"']) == (Challenge("bearer", {"realm": "a"}),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0-99", 100),
        ("bytes=0-99", 100),
        ("0-0", 0),
        (" 0-1 ", 2),
        ("5-9", None),
        ("", None),
        ("0-", None),
        ("x", None),
    ],
)
def test_range_of_an_upload(value: str, expected: int | None) -> None:
    assert parse_upload_range(value) == expected


def test_content_ranges_are_inclusive() -> None:
    assert encode_content_range(0, 1000) == "0-999"
    assert encode_content_range(1000, 1) == "1000-1000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("bytes 10-19/20", 10), ("bytes 0-0/*", 0), ("bytes */20", None), ("10-19", None), ("", None)],
)
def test_start_of_a_partial_answer(value: str, expected: int | None) -> None:
    assert parse_content_range(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("", 0.0),
        ("-1", 0.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:01 GMT", 0.0),
    ],
)
def test_retry_after(value: str, expected: float) -> None:
    assert parse_retry_after(value, 10.0) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=a%2Fb%3D", "https://host:5000/v2/a/blobs/uploads/1?_state=a%2Fb%3D"),
        ("https://other/x?y=z", "https://other/x?y=z"),
        ("2", "https://host:5000/v2/a/blobs/uploads/2"),
        ("//other/x", "https://other/x"),
    ],
)
def test_locations_are_kept_as_they_are(location: str, expected: str) -> None:
    assert resolve_location("https://host:5000/v2/a/blobs/uploads/", location) == expected


@pytest.mark.parametrize("location", ["ftp://host/x", "file:///etc/passwd", "https://[x/"])
def test_a_location_of_another_kind_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        resolve_location("https://host/", location)


def test_the_digest_is_added_to_whatever_query_there_is() -> None:
    assert with_digest("https://h/u", "sha256:ab") == "https://h/u?digest=sha256:ab"
    assert with_digest("https://h/u?_state=x%3D#f", "sha256:ab") == "https://h/u?_state=x%3D&digest=sha256:ab"


def test_credentials_stay_within_scheme_host_and_port() -> None:
    same = origin_of("https://Host/x")
    assert same == origin_of("HTTPS://host:443/y?z")
    for other in (
        "http://host/",
        "https://host:444/",
        "https://host.evil/",
        "https://user@evil/",
        "https://host@evil/",
    ):
        assert origin_of(other) != same


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (['</v2/a/tags/list?n=1&last=x>; rel="next"'], "/v2/a/tags/list?n=1&last=x"),
        (['<a>; rel="prev", <b>; title="x"; rel=next'], "b"),
        (['<a>; rel="prev"'], None),
        ([""], None),
    ],
)
def test_next_page(links: list[str], expected: str | None) -> None:
    assert next_page(links) == expected


def test_errors() -> None:
    denied = b'{"code": "DENIED", "message": "no\\nway", "detail": "because"}'
    body = b'{"errors": [' + denied + b', {"code": "X", "detail": {"a": 1}}]}'
    assert parse_error(body) == ErrorText(("DENIED", "X"), "DENIED: no way (because); X")
    for other in (b"", b"<html>", b"[]", b'{"errors": 3}', b'{"errors": [3]}', b"[" * 100_000):
        assert parse_error(other) == ErrorText()
    assert len(parse_error(b'{"errors": [{"code": "' + b"x" * 10_000 + b'"}]}').text) < 500
