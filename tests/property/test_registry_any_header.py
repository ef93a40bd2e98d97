"""Headers of registries: whatever comes, nothing breaks, and what was written is read back."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import InputError
from edgepack.oci.reference import parse_remote_reference
from edgepack.oci.registry_headers import (
    encode_content_range,
    next_page,
    parse_challenges,
    parse_content_range,
    parse_error,
    parse_retry_after,
    parse_upload_range,
)

TOKEN = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def quoted(value: str) -> str:
    """A quoted string of RFC 9110: 'quoted-pair = "\\" ( HTAB / SP / VCHAR / obs-text )'."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(st.tuples(TOKEN, st.dictionaries(TOKEN, VALUE, max_size=4)), max_size=4), st.booleans())
def test_challenges_are_read_back_from_one_header_or_several(
    challenges: list[tuple[str, dict[str, str]]], in_one: bool
) -> None:
    texts = [
        f"{scheme} {', '.join(f'{name}={quoted(value)}' for name, value in parameters.items())}".strip()
        for scheme, parameters in challenges
    ]
    values = [", ".join(texts)] if in_one else texts
    assert [(each.scheme, dict(each.parameters)) for each in parse_challenges(values)] == challenges


@given(st.text(max_size=200))
def test_any_text_is_no_bug(text: str) -> None:
    for each in parse_challenges([text]):
        assert each.scheme == each.scheme.lower()
    known = parse_upload_range(text)
    assert known is None or known >= 0
    start = parse_content_range(text)
    assert start is None or start >= 0
    assert parse_retry_after(text, 0.0) >= 0
    assert next_page([text]) is None or re.search("next", text, re.IGNORECASE)
    assert len(parse_error(text.encode()).text) < 500


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_what_the_client_calls_a_piece_is_what_the_registry_says_it_has(start: int, length: int) -> None:
    """'Range: 0-<end-of-range>' of what was sent is where to go on."""
    end = encode_content_range(start, length).partition("-")[2]
    expected = start + length
    assert parse_upload_range(f"0-{end}") == (expected if expected > 1 else 0)


@given(st.integers(1, 10**6))
def test_a_date_asks_for_the_time_until_then(seconds: int) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert parse_retry_after(text, 0.0) == seconds


@given(
    st.text(max_size=60)
    | st.from_regex(r"([a-z.]{1,8}(:[0-9]{1,4})?/)?[a-z/._-]{1,12}(:[a-z]{1,5})?(@sha256:[0-9a-f]{64})?")
)
def test_a_name_is_read_or_refused_and_means_the_same_when_written_again(text: str) -> None:
    try:
        found = parse_remote_reference(text)
    except InputError:
        return
    assert found.registry
    again = parse_remote_reference(str(found))
    assert (again.name, again.target) == (found.name, found.target)
