"""Twins: merge patches, versions, metadata, etags, and what the hub does not take."""

from typing import Any

import pytest

from simulator.cloud.twin import Twin, TwinError, utc_text

NOW = 1_767_225_600.0  # 2026-01-01


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"leaf": 1}
    for _ in range(levels):
        document = {"level": document}
    return document


def test_a_patch_merges_and_counts() -> None:
    twin = Twin(NOW)
    assert twin.patch_desired({"a": {"b": 1, "c": [1]}, "d": "x"}, NOW) == 2
    assert twin.patch_desired({"a": {"b": None, "e": True}, "d": None}, NOW + 1) == 3
    assert twin.desired == {"a": {"c": [1], "e": True}}
    assert twin.device_document() == {
        "desired": {"a": {"c": [1], "e": True}, "$version": 3},
        "reported": {"$version": 1},
    }


def test_metadata_say_when_each_property_was_written() -> None:
    twin = Twin(NOW)
    twin.patch_desired({"a": {"b": 1}, "d": 1}, NOW + 1)
    twin.patch_desired({"a": {"c": 2}}, NOW + 2)
    first = {"$lastUpdated": utc_text(NOW + 1), "$lastUpdatedVersion": 2}
    second = {"$lastUpdated": utc_text(NOW + 2), "$lastUpdatedVersion": 3}
    assert twin.service_properties()["desired"] == {
        "a": {"b": 1, "c": 2},
        "d": 1,
        "$version": 3,
        "$metadata": {**second, "a": {**second, "b": first, "c": second}, "d": first},
    }
    twin.patch_reported({"r": 1}, NOW + 3)
    third = {"$lastUpdated": "2026-01-01T00:00:03.0000000Z"}
    assert twin.service_properties()["reported"]["$metadata"] == {**third, "r": third}
    twin.patch_desired({"a": 5}, NOW + 4)
    assert set(twin.service_properties()["desired"]["$metadata"]["a"]) == {"$lastUpdated", "$lastUpdatedVersion"}


def test_a_replaced_document_forgets_the_old_one() -> None:
    twin = Twin(NOW)
    twin.patch_desired({"old": 1}, NOW)
    assert twin.replace_desired({"new": {"x": 1, "y": None}}, NOW) == 3
    assert twin.desired == {"new": {"x": 1}}
    assert "old" not in twin.service_properties()["desired"]["$metadata"]
    twin.replace_tags({"site": "a"})
    twin.patch_tags({"line": 1})
    assert twin.tags == {"site": "a", "line": 1}


def test_the_etag_follows_tags_and_desired_the_version_everything() -> None:
    twin = Twin(NOW)
    etag = twin.etag
    twin.patch_reported({"a": 1}, NOW)
    assert (twin.etag, twin.version) == (etag, 2)
    twin.patch_tags({"a": 1})
    twin.patch_desired({"a": 1}, NOW)
    assert twin.etag != etag
    assert twin.version == 4


@pytest.mark.parametrize(
    ("patch", "status", "text"),
    [
        ([], 400, "properties.desired must be a JSON object, not list"),
        ({"a.b": 1}, 400, "properties.desired has the key 'a.b'"),
        ({"a": {"$version": 1}}, 400, "properties.desired.a has the key '$version'"),
        ({"a": {"": 1}}, 400, "properties.desired.a has an empty key"),
        ({"k" * 1025: 1}, 400, "has a key of more than 1024 bytes"),
        ({"a": "ü" * 2049}, 400, "properties.desired.a is longer than 4096 bytes"),
        ({"a": "\ud800"}, 400, "properties.desired.a is no Unicode text"),
        ({"a": [1, None]}, 400, "properties.desired.a[1] is null"),
        ({"a": [{"b": None}]}, 400, "properties.desired.a[0].b is null"),
        ({"a": 2**52}, 400, "properties.desired.a must lie between"),
        ({"a": float("nan")}, 400, "properties.desired.a is no JSON number"),
        (nested(11), 400, "is nested deeper than 10 levels"),
        ({"a": {f"k{number}": "x" * 4000 for number in range(9)}}, 413, "would have 36031 bytes, at most 32768"),
    ],
)
def test_what_the_hub_does_not_take_changes_nothing(patch: Any, status: int, text: str) -> None:
    twin = Twin(NOW)
    twin.patch_desired({"kept": 1}, NOW)
    before = (twin.desired, twin.desired_version, twin.etag, twin.service_properties())
    with pytest.raises(TwinError) as caught:
        twin.patch_desired(patch, NOW)
    assert caught.value.status == status
    assert text in caught.value.text
    assert (twin.desired, twin.desired_version, twin.etag, twin.service_properties()) == before


def test_what_the_hub_takes_at_the_edge_of_its_limits() -> None:
    twin = Twin(NOW)
    twin.patch_desired({**nested(10), "k" * 1024: "x" * 4096, "#": -(2**52), "n": 2**52 - 1}, NOW)
    twin.patch_tags({"a": "x" * 4096, "b": "x" * 4094})
    with pytest.raises(TwinError, match="tags would have 8193 bytes"):
        twin.patch_tags({"c": ""})


def test_all_faults_are_told_up_to_five() -> None:
    with pytest.raises(TwinError) as caught:
        Twin(NOW).patch_reported({f"a.{number}": number for number in range(9)}, NOW)
    assert caught.value.text.count("has the key") == 5
    assert caught.value.text.endswith("and more")
