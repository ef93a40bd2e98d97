"""The eight rows of the id table, the limits, and the shape of new ids."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.request_ids import IdTooLong, RequestIds, choose_ids, format_id


@pytest.mark.parametrize(
    ("given_ids", "expected"),
    [
        ((b"", b"", b""), (b"new", b"new", b"")),
        ((b"A", b"", b""), (b"A", b"A", b"")),
        ((b"", b"B", b""), (b"new", b"B", b"B")),
        ((b"", b"", b"C"), (b"new", b"C", b"C")),
        ((b"A", b"B", b""), (b"A", b"B", b"B")),
        ((b"", b"B", b"C"), (b"new", b"B", b"C")),
        ((b"A", b"", b"C"), (b"A", b"C", b"C")),
        ((b"A", b"B", b"C"), (b"A", b"B", b"C")),
    ],
)
def test_the_table_of_ids(given_ids: tuple[bytes, bytes, bytes], expected: tuple[bytes, bytes, bytes]) -> None:
    assert choose_ids(b"new", *given_ids) == RequestIds(*expected)


def test_ids_of_100_characters_pass_and_101_do_not() -> None:
    assert choose_ids(b"new", b"x" * 100, b"y" * 100, b"z" * 100).client_id == b"z" * 100
    with pytest.raises(IdTooLong, match="x-request-id must not exceed 100 characters") as caught:
        choose_ids(b"new", b"x" * 101, b"", b"")
    assert caught.value.request_id == b""
    for legacy, client in ((b"y" * 101, b""), (b"", b"y" * 101)):
        with pytest.raises(IdTooLong, match="x-ms-request-id and x-ms-client-request-id must not") as caught:
            choose_ids(b"new", b"A", legacy, client)
        assert caught.value.request_id == b"A"


@given(st.integers(0, 2**128 - 1))
def test_new_ids_are_uuids_of_version_4(number: int) -> None:
    text = format_id(number).decode()
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert parsed.version == 4
    assert parsed.variant == uuid.RFC_4122
