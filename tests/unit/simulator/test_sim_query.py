"""The query language: what fits a condition, which rows a query has, and what is refused where."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from simulator.cloud.condition import parse_condition
from simulator.cloud.query import parse_query, run_query
from simulator.cloud.query_text import QueryError

TWIN: dict[str, Any] = {
    "deviceId": "edge-1",
    "tags": {"site": "a", "line": 3, "in-hall": True, "lines": [1, 2]},
    "capabilities": {"iotEdge": True},
    "configurations": {"dep-1.x": {"status": "Applied"}},
    "properties": {
        "desired": {"$version": 4, "a": {"b": "it's"}},
        "reported": {"lastDesiredVersion": 4, "ratio": 0.5, "zero": 0},
    },
}


@pytest.mark.parametrize(
    "text",
    [
        "deviceId = 'edge-1'",
        'DeviceID = "edge-1"',
        "devices.deviceId='edge-1'",
        "tags.site = 'a' AND tags.line = 3",
        "tags.site = 'b' or tags.line >= 3 and tags.line < 4",
        "(tags.site = 'b' OR tags.line > 2) AND NOT tags.site = 'b'",
        "NOT NOT tags.line = 3",
        "tags.[[in-hall]] = true",
        "tags.[[in-hall]]",
        "capabilities.iotEdge = true",
        "tags.site IN ['a', 'b']",
        "tags.site NOT IN ['b']",
        "tags.line NIN [4, -5]",
        "not tags.site in ['b']",
        "is_defined(tags.site) AND NOT is_defined(tags.nothing)",
        "IS_DEFINED(properties.reported.zero)",
        "array_contains(tags.lines, 2)",
        "configurations.[[dep-1.x]].status = 'Applied'",
        "properties.desired.$version = properties.reported.lastDesiredVersion",
        "properties.desired.a.b = 'it\\'s'",
        "properties.reported.ratio <= 5e-1",
        "properties.reported.zero > -1",
        "tags.site <> 'b' AND tags.site != 'c'",
        "(((tags.line = 3)))",
        "\ntags.site = 'b'\n OR\ttags.line = 3\n",
    ],
)
def test_a_twin_fits(text: str) -> None:
    assert parse_condition(text).fits(TWIN)


@pytest.mark.parametrize(
    "text",
    [
        "deviceId = 'EDGE-1'",
        "tags.Site = 'a'",
        "tags.nothing = 'a'",
        "tags.nothing != 'a'",
        "NOT tags.nothing = 'a'",
        "tags.nothing NOT IN ['a']",
        "tags.nothing = null",
        "tags.line = '3'",
        "tags.line != '3'",
        "tags.[[in-hall]] = 1",
        "tags.site < 3",
        "tags = 'a'",
        "tags.site.deeper = 'a'",
        "tags.site",
        "array_contains(tags.site, 'a')",
        "tags.nothing = 'a' AND tags.site = 'a'",
    ],
)
def test_a_twin_does_not_fit(text: str) -> None:
    assert not parse_condition(text).fits(TWIN)


def test_undefined_is_neither_true_nor_false_but_or_may_decide() -> None:
    assert parse_condition("tags.nothing = 'a' OR tags.site = 'a'").fits(TWIN)
    assert parse_condition("NOT (tags.nothing = 'a' AND tags.site = 'b')").fits(TWIN)
    assert not parse_condition("NOT (tags.nothing = 'a' OR tags.site = 'b')").fits(TWIN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a value, found the end (column 1)"),
        ("tags.a = ", "expected a value, found the end (column 9)"),
        ("tags.a == 'x'", "expected a value, found '=' (column 9)"),
        ("tags.a 'x'", "expected AND, OR or the end, found \"'x'\" (column 8)"),
        ("(tags.a = 1", "expected an operator or ')', found the end (column 12)"),
        ("tags.a = 1)", "expected AND, OR or the end, found ')' (column 11)"),
        ("tags.a = 1 = 2", "comparisons cannot be chained"),
        ("tags.a = NOT true", "expected a value, found 'not' (column 10)"),
        ("tags.a IN 'x'", "expected a list in [ ]"),
        ("tags.a IN ['x' 'y']", "expected ',' or ']'"),
        ("tags.a IN [tags.b]", "expected a value, found 'tags.b'"),
        ("startswith(tags.a, 'x')", "expected one of the functions is_defined, array_contains"),
        ("is_defined()", "expected a value, found ')'"),
        ("is_defined(tags.a, tags.b)", "is_defined takes 1 argument(s), not 2"),
        ("tags.a = 'x", 'cannot read "\'x" (column 10)'),
        ("tags.a = 1.2.3", "cannot read '.3' (column 13)"),
        ("tags.a = 1 + 1", "cannot read '+ 1' (column 12)"),
        ("tags.a = 9999999999999999999", "the number is too large"),
        ("a" * 9000, "more than 8192 characters"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_column(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_condition(text)
    assert said in caught.value.text
    assert caught.value.status == 400


def test_long_and_deep_conditions_are_read_without_recursion() -> None:
    assert parse_condition("(" * 3000 + "tags.line = 3" + ")" * 3000).fits(TWIN)
    assert parse_condition("NOT " * 2000 + "tags.line = 3").fits(TWIN)
    assert parse_condition(" AND ".join(["tags.line=3"] * 500)).fits(TWIN)


def run(text: str) -> list[dict[str, Any]]:
    twins = [
        {"deviceId": "a", "tags": {"site": "x"}},
        {"deviceId": "b", "tags": {"site": "y"}},
        {"deviceId": "c", "tags": {}},
    ]
    modules = [{"deviceId": "a", "moduleId": "$edgeAgent"}, {"deviceId": "a", "moduleId": "m"}]

    def documents(source: str) -> Iterable[Mapping[str, Any]]:
        return twins if source == "devices" else modules

    return run_query(parse_query(text), documents)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT deviceId FROM devices", [{"deviceId": "a"}, {"deviceId": "b"}, {"deviceId": "c"}]),
        ("select * from devices where tags.site = 'y'", [{"deviceId": "b", "tags": {"site": "y"}}]),
        ("SELECT TOP 1 deviceId AS id, tags.site FROM devices", [{"id": "a", "site": "x"}]),
        ("SELECT TOP 0 * FROM devices", []),
        ("SELECT tags.site AS place FROM devices", [{"place": "x"}, {"place": "y"}, {}]),
        ("SELECT COUNT() AS n FROM devices WHERE is_defined(tags.site)", [{"n": 2}]),
        ("SELECT count() FROM devices.modules", [{"$1": 2}]),
        ("SELECT moduleId FROM devices.modules WHERE devices.modules.moduleId != '$edgeAgent'", [{"moduleId": "m"}]),
    ],
)
def test_rows_of_a_query(text: str, rows: list[dict[str, Any]]) -> None:
    assert run(text) == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected SELECT, found the end (column 1)"),
        ("SELECT FROM devices", "expected * or a property, found 'from'"),
        ("SELECT * devices", "expected ',' or FROM"),
        ("SELECT * FROM devices.jobs", "expected devices or devices.modules"),
        ("SELECT * FROM devices GROUP BY tags.site", "expected WHERE, AND, OR or the end, found 'group' (column 23)"),
        ("SELECT AVG(tags.line) FROM devices", "expected a property or COUNT()"),
        ("SELECT deviceId, COUNT() FROM devices", "cannot stand beside other columns"),
        ("SELECT TOP many * FROM devices", "expected a value, found 'many'"),
        ("SELECT TOP true * FROM devices", "expected a whole number"),
        ("SELECT deviceId AS 'x' FROM devices", "expected a name"),
        ("SELECT * FROM devices WHERE", "expected a value, found the end"),
        ("SELECT * FROM devices WHERE a = 1; DROP", "cannot read '; DROP'"),
    ],
)
def test_what_is_no_query_is_refused(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert said in caught.value.text
