"""createOptions: merged, cut and put together."""

import json

import pytest

from edgepack.deployment.create_options import chunk, join, merge, minified, parse
from edgepack.errors import InputError


def test_merging_goes_object_by_object() -> None:
    defaults = {"HostConfig": {"ReadonlyRootfs": True, "PortBindings": {"1/tcp": [1]}, "Memory": 1}, "User": "x"}
    given = {"HostConfig": {"PortBindings": {"1/tcp": [2], "2/tcp": [3]}, "Memory": None}, "Labels": {"a": "b"}}
    assert merge(defaults, given) == {
        "HostConfig": {"ReadonlyRootfs": True, "PortBindings": {"1/tcp": [2], "2/tcp": [3]}},
        "User": "x",
        "Labels": {"a": "b"},
    }
    assert defaults["HostConfig"]["Memory"] == 1  # type: ignore[index]


def test_merging_replaces_what_is_no_object() -> None:
    assert merge({"a": 1, "b": {"c": 2}}, {"a": {"x": None, "y": 1}, "b": 3}) == {"a": {"y": 1}, "b": 3}


def test_mounts_are_joined_by_their_place_in_the_container() -> None:
    defaults = {"Binds": ["one:/a", "two:/b"], "Mounts": [{"Target": "/c", "Source": "x"}]}
    given = {"Binds": ["/dev/x:/b:ro", "y:/d"], "Mounts": [{"Target": "/e"}, {"Target": "/c", "Source": "z"}]}
    assert merge(defaults, given) == {
        "Binds": ["one:/a", "/dev/x:/b:ro", "y:/d"],
        "Mounts": [{"Target": "/e"}, {"Target": "/c", "Source": "z"}],
    }


def test_pieces_of_512_characters() -> None:
    text = "x" * 1025
    pieces = chunk(text)
    assert [(key, len(piece)) for key, piece in pieces.items()] == [
        ("createOptions", 512),
        ("createOptions01", 512),
        ("createOptions02", 1),
    ]
    assert join({"image": "x", **pieces}) == text
    assert chunk("") == {"createOptions": ""}
    assert list(chunk("x" * 512)) == ["createOptions"]


def test_no_more_than_100_pieces() -> None:
    assert len(chunk("x" * 51_200)) == 100
    with pytest.raises(InputError, match="51201 characters"):
        chunk("x" * 51_201)
    assert len(chunk("x" * 51_201, 4096)) == 13
    with pytest.raises(InputError, match="at least 1"):
        chunk("x", 0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("createOptions", "createOptions02"), "expected createOptions01 found createOptions02"),
        (("createOptions01",), 'expected empty field number but found "01"'),
        (("createOptions", "createOptions01", "createOptions1"), "expected createOptions02 found createOptions1"),
        (("createOptions", "createoptions"), "expected createOptions01 found createOptions"),
        (("createOptions", "createOptions" + "9" * 5000), "expected createOptions01"),
    ],
)
def test_gaps_are_errors(keys: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        join(dict.fromkeys(keys, "{}"))


def test_keys_match_in_any_case_and_numbers_of_any_width() -> None:
    assert join({"CREATEOPTIONS1": "b", "createOptions": "a", "createoptions2": "c"}) == "abc"
    assert join({}) == ""


def test_a_piece_must_be_text() -> None:
    with pytest.raises(InputError, match="createOptions must be a text that holds JSON, not an object"):
        join({"createOptions": {}})


@pytest.mark.parametrize("text", ["", "  \n", "null", "{}"])
def test_no_options(text: str) -> None:
    assert parse(text) == {}


@pytest.mark.parametrize("text", ["{", "[]", "1", "true", '"x"', "[" * 100_000])
def test_text_that_is_no_object(text: str) -> None:
    with pytest.raises(InputError, match="createOptions"):
        parse(text)


def test_the_same_options_give_the_same_ascii_text() -> None:
    assert minified({"b": 1, "a": "ä"}) == minified({"a": "ä", "b": 1}) == '{"a":"\\u00e4","b":1}'
    assert json.loads(minified({"a": "ä"})) == {"a": "ä"}
