"""Whatever bytes a piece holds: each line that is a record becomes a row, and no other does."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.capture import Captured, encode_captured
from device_agent.captured_rows import rows_of_piece
from device_agent.parquet_pieces import parquet
from device_agent.scorer import ScoringRequest, ScoringResult
from tests.unit.device_agent.piece_world import line

BODIES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
)
RECORDS = st.builds(
    lambda at_s, status, request, response, limit: encode_captured(
        Captured(at_s, 0.5, ScoringRequest(request, request_id="é-1"), ScoringResult(response, status)), limit
    ),
    st.floats(0, 4e9),
    st.integers(200, 599),
    BODIES,
    BODIES,
    st.integers(0, 50),
)
JUNK = st.binary(max_size=60).map(lambda text: text.replace(b"\n", b" ").replace(b"{", b"[") + b"\n")


def test_a_record_becomes_a_row() -> None:
    (row,), skipped = rows_of_piece(line(3, b'{"data": [[1, 2.50]], "name": "\xc3\xa9"}', b'"good"'))
    assert skipped == 0
    assert row == (
        datetime(2024, 6, 1, 12, 0, 0, 3000, UTC),
        "r-3",
        200,
        250.0,
        '{"data":[[1,2.5]],"name":"é"}',
        '"good"',
        None,
        None,
        None,
        None,
    )


def test_bodies_that_are_no_json_keep_their_encoding_and_long_ones_their_length() -> None:
    (row,), _ = rows_of_piece(line(1, b"\xff\x00", b"x" * 2000))
    assert (row.request, row.request_encoding) == (base64.b64encode(b"\xff\x00").decode(), "base64")
    assert (row.response, row.response_encoding, row.response_bytes) == (None, "left_out", 2000)


@given(st.lists(st.one_of(RECORDS.map(lambda text: (text, True)), JUNK.map(lambda text: (text, False)))), st.binary())
def test_no_good_line_is_lost_beside_others_and_all_rows_can_be_written(
    lines: list[tuple[bytes, bool]], torn: bytes
) -> None:
    torn = torn.replace(b"\n", b"").replace(b"{", b"")
    rows, skipped = rows_of_piece(b"".join(text for text, _ in lines) + torn)
    records = [json.loads(text) for text, is_good in lines if is_good]
    assert [(row.id, row.status) for row in rows] == [(record["id"], record["status"]) for record in records]
    for row, record in zip(rows, records, strict=True):
        for body, name in ((row.request, "request"), (row.response, "response")):
            if f"{name}_encoding" not in record:
                assert json.dumps(json.loads(body or "")) == json.dumps(record[name])
    assert skipped == sum(not is_good and text != b"\n" for text, is_good in lines) + bool(torn)
    if rows:
        assert parquet(rows)[:4] == b"PAR1"


@given(RECORDS, st.data())
def test_a_torn_record_is_no_row_and_harms_none(record: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(record) - 2))
    rows, skipped = rows_of_piece(record + record[:cut])
    assert (len(rows), skipped) == (1, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(piece: bytes) -> None:
    rows, skipped = rows_of_piece(piece)
    assert len(rows) + skipped == sum(bool(text) for text in piece.split(b"\n"))


SCALARS: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([[]])
)


@given(
    st.fixed_dictionaries(
        {
            "time": st.one_of(SCALARS, st.datetimes().map(str), st.just("9999-12-31T23:59:59.999-23:59")),
            "id": SCALARS,
            "status": SCALARS,
            "ms": SCALARS,
            "request": SCALARS,
            "response": SCALARS,
        },
        optional={"request_encoding": SCALARS, "request_bytes": SCALARS, "response_encoding": st.just("text")},
    )
)
def test_members_of_any_kind_are_a_row_that_can_be_written_or_none(record: dict[str, object]) -> None:
    rows, skipped = rows_of_piece(json.dumps(record).encode())
    assert len(rows) + skipped == 1
    if rows:
        assert parquet(rows)[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        (b'"status":200', b'"status":true'),
        (b'"status":200', b'"status":4294967296'),
        (b'"ms":250.0', b'"ms":"250"'),
        (b'"id":"r-1"', b'"id":1'),
        (b'"time":"2024', b'"time":"then'),
    ],
)
def test_what_only_looks_like_a_record_is_skipped(changed: bytes, to: bytes) -> None:
    record = line(1)
    assert changed in record
    assert rows_of_piece(record.replace(changed, to)) == ([], 1)
