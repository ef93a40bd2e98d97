"""A record as a value, as text, and its changes."""

import json
from dataclasses import replace

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.record import (
    ModelFile,
    ModelRecord,
    RecordChange,
    ResourceConfiguration,
    changed,
    encode_record,
    parse_record,
    record_document,
    resource_problems,
)

RECORD = ModelRecord(
    name="iris",
    version=3,
    files=(ModelFile("models/a.onnx", 5, "a" * 64), ModelFile("models/run.sh", 0, "b" * 64, executable=True)),
    created_utc="2026-01-02T03:04:05Z",
    description="Blumen – ä",
    tags={"stage": "test"},
    properties={"trained": "2026"},
    framework="Onnx",
    framework_version="1.17",
    resources=ResourceConfiguration(0.5, 1.5, 0),
    sample_input=ModelFile("in.json", 2, "c" * 64),
)


def test_what_is_written_is_read() -> None:
    assert parse_record(encode_record(RECORD), "x") == RECORD


def test_the_size_counts_the_files_and_the_samples_are_stored_too() -> None:
    assert RECORD.size_bytes == 5
    assert [file.path for file in RECORD.stored_files] == ["models/a.onnx", "models/run.sh", "in.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"format": 2}', b'{"format": true}', b"[" * 100_000],
)
def test_text_that_is_no_record(content: bytes) -> None:
    with pytest.raises(DamagedDataError, match=r"^the/file: the model's record is damaged"):
        parse_record(content, "the/file")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 0),
        ("version", True),
        ("version", "3"),
        ("name", "a/b"),
        ("files", []),
        ("files", [{"path": "a"}]),
        ("files", [{"path": "../a", "size_bytes": 1, "sha256": "a" * 64, "executable": False}]),
        ("files", [{"path": "/a", "size_bytes": 1, "sha256": "a" * 64, "executable": False}]),
        ("files", [{"path": "a", "size_bytes": -1, "sha256": "a" * 64, "executable": False}]),
        ("files", [{"path": "a", "size_bytes": 1, "sha256": "A" * 64, "executable": False}]),
        ("tags", {"a": 1}),
        ("tags", []),
        ("framework", "onnx"),
        ("cpu", -1),
        ("gpu", 1.5),
        ("created_utc", "yesterday"),
        ("more", 1),
    ],
)
def test_each_member_is_checked_even_when_the_hash_fits(key: str, value: object) -> None:
    body = json.loads(encode_record(RECORD))
    del body["sha256"]
    body[key] = value
    from edgepack.models.record import _body_hash

    text = json.dumps(body | {"sha256": _body_hash(body)})
    with pytest.raises(DamagedDataError):
        parse_record(text.encode(), "x")


def test_a_changed_tag_is_damage() -> None:
    with pytest.raises(DamagedDataError, match="does not match its SHA-256"):
        parse_record(encode_record(RECORD).replace(b'"test"', b'"text"'), "x")


def test_the_metadata_has_the_keys_of_the_old_command_line() -> None:
    keys = (
        "cpu createdTime description experimentName framework frameworkVersion gpu id memoryInGB name properties "
        "runId sampleInputDatasetId sampleOutputDatasetId tags version"
    )
    document = record_document(RECORD)
    assert set(keys.split()) <= set(document)
    assert document["id"] == "iris:3"
    assert document["memoryInGB"] == 1.5
    assert [file["path"] for file in document["files"]] == ["models/a.onnx", "models/run.sh"]


def test_tags_change_and_properties_only_grow() -> None:
    change = RecordChange("new", add_tags={"x": "1"}, remove_tags=("stage", "none"), add_properties={"p": "q"})
    after = changed(RECORD, change)
    assert (after.description, after.tags) == ("new", {"x": "1"})
    assert after.properties == {"trained": "2026", "p": "q"}
    assert changed(RECORD, RecordChange()) == RECORD
    assert changed(RECORD, RecordChange(tags={"only": "this"})).tags == {"only": "this"}
    assert changed(RECORD, RecordChange(add_properties={"trained": "2026"})) == RECORD


def test_a_forbidden_change_tells_all_problems() -> None:
    change = RecordChange(
        add_tags={"": "x"}, add_properties={"trained": "1999"}, resources=ResourceConfiguration(cpu=-1)
    )
    with pytest.raises(InputError) as caught:
        changed(RECORD, change)
    assert len(caught.value.problems) == 3
    assert "properties are immutable, the following keys cannot be added/modified: trained" in str(caught.value)


@pytest.mark.parametrize("cpu", [-0.1, float("nan"), float("inf")])
def test_resources_that_make_no_sense(cpu: float) -> None:
    assert len(resource_problems(ResourceConfiguration(cpu, -1, -1))) == 3
    assert resource_problems(replace(RECORD.resources, cpu=0)) == ()
