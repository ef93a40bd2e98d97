"""Where problems stand: lines and columns, keys and values, inside of texts and of pieces; texts that are no JSON."""

import json
from typing import Any

import pytest

from edgepack.deployment.create_options import chunk
from edgepack.deployment.json_text import read_json
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.manifest_check import Finding, check_text

GOOD = deployment_manifest([ModuleSpec("scorer", "registry.example/x", "sha256:" + "a" * 64)])
SCORER: dict[str, Any] = GOOD["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"]


def finding_of(text: str, rule: str) -> Finding:
    found = [finding for finding in check_text(text).findings if finding.rule == rule]
    assert len(found) == 1, found
    return found[0]


def with_scorer(**changes: Any) -> str:
    document = json.loads(json.dumps(GOOD))
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"] |= changes
    return json.dumps(document, indent=2)


def pointed_at(text: str, finding: Finding) -> str:
    line = text.split("\n")[finding.span.line - 1]
    return line[finding.span.column - 1 : finding.span.end_column - 1]


def test_a_value_and_a_key() -> None:
    text = with_scorer(status="on", statsu=1)
    assert pointed_at(text, finding_of(text, "module-value")) == '"on"'
    assert pointed_at(text, finding_of(text, "unknown-key")) == '"statsu"'


def test_what_is_missing_stands_at_what_lacks_it() -> None:
    text = '{\n  "modulesContent": {"$edgeHub": {"properties.desired": []}}\n}'
    finding = next(finding for finding in check_text(text).findings if "'$edgeAgent'" in finding.text)
    assert (finding.pointer, finding.span.line, finding.span.column) == ("/modulesContent", 2, 21)


def test_inside_a_route() -> None:
    document = json.loads(json.dumps(GOOD))
    document["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]["x"] = (
        'FROM /* WHERE "é" = "é" AND a > 3 INTO $up'
    )
    text = json.dumps(document, indent=1)
    finding = next(each for each in check_text(text).findings if each.rule == "route-condition")
    assert pointed_at(text, finding).startswith('"FROM /*')
    assert finding.value_column == 31
    assert finding.caret is not None
    assert text.split("\n")[finding.span.line - 1][finding.caret - 1 :].startswith("> 3 INTO")


@pytest.mark.parametrize("size", [7, 33, 4096])
def test_inside_createoptions_whatever_their_pieces(size: int) -> None:
    options = json.dumps({"Env": ["A=😀é\n", "=b"], "HostConfig": {"Mry": 1}})
    settings = {"image": "registry.example/x:1", **chunk(options, size)}
    text = with_scorer(settings=settings)
    for rule, wanted, inner in (
        ("create-options-env", '"=b"', "/Env/1"),
        ("create-options-unknown-key", '"Mry"', "/HostConfig/Mry"),
    ):
        finding = finding_of(text, rule)
        key = finding.pointer.rpartition("/")[2]
        assert finding.inner == inner
        assert finding.value_column is not None
        assert finding.caret is not None
        before = "".join(piece for name, piece in chunk(options, size).items() if name < key)
        assert options[len(before) + finding.value_column - 1 :].startswith(wanted)
        assert pointed_at(text, finding) == json.dumps(settings[key])
        assert text.split("\n")[finding.span.line - 1][finding.caret - 1 :].startswith('\\"')


def test_createoptions_that_are_no_json() -> None:
    text = with_scorer(settings={"image": "registry.example/x:1", "createOptions": '{"Env":', "createOptions01": " x}"})
    finding = finding_of(text, "create-options")
    assert finding.pointer.endswith("/createOptions01")
    assert finding.value_column == 2


@pytest.mark.parametrize("size", [3, 4096])
def test_inside_createoptions_that_are_more_than_json(size: int) -> None:
    options = "{ // none\n 'Env': ['A=\\'', '=b',], hostConfig: {Mry: 1}, 'User': 'a', \"User\": \"b\"}"
    text = with_scorer(settings={"image": "registry.example/x:1", **chunk(options, size)})
    for rule, wanted in (
        ("create-options-env", "'=b'"),
        ("create-options-key-case", "hostConfig"),
        ("create-options-unknown-key", "Mry"),
        ("create-options-twice", '"User"'),
    ):
        finding = finding_of(text, rule)
        key = finding.pointer.rpartition("/")[2]
        before = "".join(piece for name, piece in chunk(options, size).items() if name < key)
        assert finding.value_column is not None
        assert options[len(before) + finding.value_column - 1 :].startswith(wanted)


def test_a_gap_stands_at_the_piece_that_is_out_of_turn() -> None:
    text = with_scorer(settings={"image": "registry.example/x:1", "createOptions": "", "createOptions02": ""})
    assert finding_of(text, "create-options").pointer.endswith("/createOptions02")


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "the file is empty"),
        ("  \n ", 2, 2, "the file is empty"),
        ('{"a": 1 // no\n}', 1, 9, "no comments"),
        ('{"a": /* no\n */ 1}', 1, 7, "no comments"),
        ('{"a": 1}\n# no', 2, 1, "no comments"),
        ('{"a": [1,\n]}', 1, 9, "a comma before a closing bracket"),
        ("{'a': 1}", 1, 2, "double quotes"),
        ('{"a": ${PORT}}', 1, 7, "a placeholder that was not replaced"),
        ('{"a": "x', 1, 7, "no closing quote"),
        ('{"a": "x\ny"}', 1, 9, "line break"),
        ('{"a": "\\x"}', 1, 8, "a backslash"),
        ("\ufeff{}", 1, 1, "a byte order mark"),
        ('{"a": 1} {}', 1, 10, "has ended before"),
        ('{"a": 1', 1, 8, "ends too early"),
        ('{"a": True}', 1, 7, "found 'T'"),
        ('{"a": NaN}', 1, 7, "NaN is no JSON number"),
        ('{"a": -Infinity}', 1, 7, "-Infinity is no JSON number"),
        ('{"a": ' + "9" * 5000 + "}", 1, 7, "thousands of digits"),
        ("[" * 100_000, 1, 100_000, "nested too deep"),
        ('{"a": {"b": 1, "c": [2, {"b": 3, "\\u0062": 4}]}}', 1, 34, "'b' stands twice"),
    ],
)
def test_texts_that_are_no_json(text: str, line: int, column: int, says: str) -> None:
    faults = [
        finding
        for finding in check_text(text).findings
        if finding.rule in ("json-syntax", "json-depth", "duplicate-key")
    ]
    assert [(finding.span.line, finding.span.column) for finding in faults] == [(line, column)]
    assert says in faults[0].text


def test_comments_and_commas_do_not_hide_what_else_is_wrong() -> None:
    text = (
        with_scorer(status="on").replace('"status": "on",', '"status": "on", // on? "or" off\n').replace("\n}", ",\n}")
    )
    check = check_text(text)
    assert check.kind == "deployment"
    assert [finding.rule for finding in check.findings] == ["module-value", "json-syntax", "json-syntax"]


def test_what_looks_like_a_comment_in_a_text_is_none() -> None:
    assert read_json('{"a": "http://x", "b": "/* # */ ,}", "c": 1,}').value == {
        "a": "http://x",
        "b": "/* # */ ,}",
        "c": 1,
    }


def test_placeholders_of_a_template_stand_where_values_and_keys_do() -> None:
    text = '{"$schema-template": "4.0.0", "a": [${TTL}, $ttl], $KEY: "${X} $Y", "b": 1}'
    reading = read_json(text, has_placeholders=True)
    assert reading.value == {"$schema-template": "4.0.0", "a": ["${TTL}", "${ttl}"], "${KEY}": "${X} $Y", "b": 1}
    assert (len(reading.readable), reading.faults) == (len(text), ())
    check = check_text(text.replace('"b": 1', '"modulesContent": {"$edgeAgent": 1, "$edgeHub": ${HUB}}'))
    assert check.kind == "template"
    wrong = {finding.pointer: finding.span.column for finding in check.findings if finding.severity == "error"}
    assert wrong == {"/modulesContent/$edgeAgent": text.index('"b"') + 34}
    assert check_text(text.replace("$schema-template", "x")).kind == "none"
    assert check_text(text.replace("$schema-template", "x"), is_template=True).kind == "template"


def test_the_pointer_of_a_key_that_stands_twice() -> None:
    assert read_json('{"x/y": [0, {"k~": 1, "k~": 2}]}').faults[0].pointer == "/x~1y/1/k~0"


@pytest.mark.parametrize(
    "text", ['{"a": "' + '\\"' * 200_000, "/* " * 100_000, '"' * 200_000, ", " * 200_000, "{" * 500_000]
)
def test_hostile_texts_are_answered(text: str) -> None:
    assert check_text(text).errors


def test_very_many_problems_are_answered() -> None:
    options = json.dumps({"HostConfig": {f"k{number}": 1 for number in range(400)}, "Env": ["=x"] * 5000})
    document = json.loads(with_scorer(settings={"image": "registry.example/x:1", **chunk(options, 4000)}))
    desired = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    desired["modules"] |= {f"m{number}": 1 for number in range(2000)}
    hub = document["modulesContent"]["$edgeHub"]["properties.desired"]
    hub["routes"] = {f"r{number}": f"FROM /messages/modules/x{number}/* INTO $upstream" for number in range(200)}
    rules = [finding.rule for finding in check_text(json.dumps(document)).findings]
    assert rules.count("create-options-unknown-key") == 400
    assert rules.count("create-options-env") == 5000
    assert rules.count("route-module") == 200
