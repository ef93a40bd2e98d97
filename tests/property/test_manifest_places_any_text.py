"""Any text is answered; a place is that of the value or key that a pointer names, whatever the text looks like."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from edgepack.deployment.create_options import chunk
from edgepack.deployment.json_places import Node, find, index
from edgepack.deployment.json_text import read_json
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.manifest_check import check_text
from edgepack.deployment.rule_table import RULE_TABLE
from edgepack.errors import InputError

from .test_manifest_properties import DOCUMENTS, GOOD

TEXTS = st.text(max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)
INDENTS = st.sampled_from([None, 0, 1, "\t"])
GOOD_TEXT = json.dumps(GOOD, indent=1)


def all_pointers(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    found = [(pointer, value)]
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        found += all_pointers(member, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    return found


@given(VALUES, INDENTS, st.booleans())
def test_every_value_and_key_is_found(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    root, twice = index(text)
    assert twice == []
    for pointer, wanted in all_pointers(value):
        node: Node = find(root, pointer)
        assert json.loads(text[node.at : node.end]) == wanted
        if node.key_at >= 0:
            assert json.JSONDecoder().raw_decode(text, node.key_at)[0] == (
                pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
            )


@given(st.text(alphabet='{}[]",:/*#\n\\ a1-.e$NI', max_size=60))
@example('{"a": 1, /* } */ "a": [,]}')
@example('"\\ud800"')
def test_any_text_is_answered(text: str) -> None:
    reading = read_json(text)
    try:
        expected = json.loads(text)
    except ValueError:
        assert reading.faults
    else:
        assert reading.is_read
        assert json.dumps(reading.value) == json.dumps(expected)
    lines = text.split("\n")
    for finding in check_text(text).findings:
        assert finding.rule in RULE_TABLE
        assert 1 <= finding.span.line <= len(lines)
        assert 1 <= finding.span.column <= len(lines[finding.span.line - 1]) + 1


@given(DOCUMENTS, INDENTS)
def test_any_document_is_answered_with_rules_of_the_table(document: Any, indent: Any) -> None:
    text = json.dumps(document, indent=indent)
    for finding in check_text(text).findings:
        meaning = RULE_TABLE[finding.rule]
        assert finding.severity == meaning.severity
        assert finding.text


@given(st.data())
def test_a_changed_place_is_pointed_at(data: st.DataObject) -> None:
    """Whatever stands somewhere in a good manifest: each problem is at the value or key that its pointer names."""
    document = json.loads(GOOD_TEXT)
    pointers = [pointer for pointer, value in all_pointers(document) if pointer and not isinstance(value, dict)]
    steps = data.draw(st.sampled_from(pointers)).split("/")[1:]
    place = document
    for step in steps[:-1]:
        place = place[int(step)] if isinstance(place, list) else place[step.replace("~1", "/")]
    if isinstance(place, list):
        return
    place[steps[-1].replace("~1", "/")] = data.draw(VALUES)
    text = json.dumps(document, indent=1)
    lines = text.split("\n")
    root = index(text)[0]
    for finding in check_text(text).findings:
        at = sum(len(line) + 1 for line in lines[: finding.span.line - 1]) + finding.span.column - 1
        node = find(root, finding.pointer)
        assert at in (node.at, node.key_at)


@given(
    st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True), min_size=1, max_size=4, unique=True),
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(max_size=20) | st.integers(0, 99), max_size=3
    ),
    st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.integers(-1000, 1000), max_size=3),
    st.integers(20, 600),
)
def test_what_is_rendered_has_no_errors(
    names: list[str], env: dict[str, Any], desired: dict[str, Any], size: int
) -> None:
    reserved = {"edgeagent", "edgehub"}
    modules = [
        ModuleSpec(name, "registry.example/x", "sha256:" + "a" * 64, env=env, desired=desired, host_port=6000 + number)
        for number, name in enumerate(names)
        if name.lower() not in reserved
    ]
    try:
        manifest = deployment_manifest(modules, {}, piece_characters=size)
    except InputError:  # it says what it does not take
        return
    assert check_text(json.dumps(manifest)).errors == 0


@given(st.text(max_size=60), st.integers(1, 50))
def test_createoptions_of_any_text_are_answered(options: str, size: int) -> None:
    document = json.loads(GOOD_TEXT)
    modules = document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    modules["scorer"]["settings"] = {"image": "registry.example/x:1", **chunk(options, size)}
    for finding in check_text(json.dumps(document)).findings:
        assert finding.caret is None or finding.span.column < finding.caret <= finding.span.end_column
