"""Records survive the way to disk, and damage never passes."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.naming import FRAMEWORKS, name_problems, parse_model_reference
from edgepack.models.record import ModelFile, ModelRecord, ResourceConfiguration, encode_record, parse_record

NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)
FILES = st.builds(
    ModelFile,
    path=st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    size_bytes=st.integers(0, 2**60),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    executable=st.booleans(),
)
FIGURES = st.none() | st.floats(0, 1e6)
RECORDS = st.builds(
    ModelRecord,
    name=NAMES,
    version=st.integers(1, 10**9),
    files=st.lists(FILES, min_size=1, max_size=3).map(tuple),
    created_utc=st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z"),
    description=st.none() | TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    properties=st.dictionaries(TEXTS, TEXTS, max_size=3),
    framework=st.none() | st.sampled_from(FRAMEWORKS),
    framework_version=st.none() | TEXTS,
    resources=st.builds(ResourceConfiguration, FIGURES, FIGURES, st.none() | st.integers(0, 100)),
    sample_input=st.none() | FILES,
    sample_output=st.none() | FILES,
)


@given(RECORDS)
def test_what_is_written_is_read(record: ModelRecord) -> None:
    assert parse_record(encode_record(record), "x") == record


@given(RECORDS, st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(record: ModelRecord, data: st.DataObject) -> None:
    content = bytearray(encode_record(record))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(DamagedDataError):
        assert parse_record(bytes(content), "x") == record


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(DamagedDataError):
        parse_record(content, "x")


@given(st.text(max_size=300) | NAMES)
def test_names_follow_the_rule(name: str) -> None:
    allowed = re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}", name) is not None
    assert (name_problems(name) == ()) == allowed


@given(NAMES, st.integers(1, 999_999_999))
def test_references_are_read_as_they_are_written(name: str, version: int) -> None:
    reference = parse_model_reference(f"{name}:{version}")
    assert (reference.name, reference.version, str(reference)) == (name, version, f"{name}:{version}")


@given(st.text(max_size=20))
def test_a_reference_is_read_or_refused(text: str) -> None:
    with suppress(InputError):
        assert str(parse_model_reference(text)) == text
