"""createOptions: merged, cut and put together."""

import json

import pytest

from edgepack.deployment.create_options import OptionsError, chunk, join, merge, minified, parse, read_options
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


def test_an_object_counts_as_its_text_and_null_as_none() -> None:
    assert parse(join({"createOptions": {"User": "a"}})) == {"User": "a"}
    assert parse(join({"createOptions": '{"User": ', "createOptions01": "1}", "createOptions02": None})) == {"User": 1}
    with pytest.raises(InputError, match="createOptions must be a text that holds JSON, not an array"):
        join({"createOptions": []})


@pytest.mark.parametrize(
    ("text", "options", "oddities"),
    [
        ("{'a': 'b\"c\\'d'}", {"a": "b\"c'd"}, ("single quotes",)),
        ('{"a": "it\\\'s"}', {"a": "it's"}, ()),
        ("{a: {$b_1: true}}", {"a": {"$b_1": True}}, ("names without quotes",)),
        ('/* a */ {"a": 1, // b\n}', {"a": 1}, ("comments", "a comma before a closing bracket")),
        ('{"a": ["x // y", "/*", ], }', {"a": ["x // y", "/*"]}, ("a comma before a closing bracket",)),
        ('{"a": "b\nc"}', {"a": "b\nc"}, ("line breaks in texts",)),
        ("NULL", {}, ()),
    ],
)
def test_what_the_agent_reads_though_it_is_no_json(text: str, options: object, oddities: tuple[str, ...]) -> None:
    reading = read_options(text)
    assert (reading.options, reading.oddities) == (options, oddities)


@pytest.mark.parametrize(
    ("text", "column"), [("{'a': 1, b}", 10), ("{'a': /* c */ }", 15), ("{'a': 'b", 7), ("{,1}", 2), ("{'a' 'b'}", 6)]
)
def test_where_it_cannot_be_read(text: str, column: int) -> None:
    with pytest.raises(OptionsError) as caught:
        parse(text)
    assert caught.value.column == column


def test_a_byte_order_mark_is_told_in_own_words() -> None:
    with pytest.raises(InputError, match=r"begins with a byte order mark \(U\+FEFF\), column 1"):
        parse("\ufeff{}")


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
