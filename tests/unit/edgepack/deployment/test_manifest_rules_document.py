"""docs/manifest-rules.md: every rule is there as the table of rules has it, and its examples are what they say."""

import copy
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.manifest_check import DOCUMENT, check_text
from edgepack.deployment.rule_table import RULE_TABLE

ROOT = Path(__file__).parents[4]
ENV = {"EDGEPACK_INPUT": "frames", "EDGEPACK_OUTPUT": "results", "EDGEPACK_ERROR_OUTPUT": "errors"}
SCORER = ModuleSpec("scorer", "registry.example/scorer", "sha256:" + "a" * 64, env=ENV, desired={"threshold": 1})
GOOD = deployment_manifest([SCORER], {})
AGENT, HUB = ["$edgeAgent", "properties.desired"], ["$edgeHub", "properties.desired"]
ROOTS = {
    "content": [],
    "agent": AGENT,
    "hub": HUB,
    "twin": ["scorer", "properties.desired"],
    "scorer": [*AGENT, "modules", "scorer"],
    "options": [*AGENT, "modules", "scorer", "settings", "createOptions"],
}
MODULE = GOOD["modulesContent"]["$edgeAgent"]["properties.desired"]["systemModules"]["edgeHub"]


class Row(NamedTuple):
    rule: str
    severity: str
    meaning: str
    wrong: str
    right: str


def rows() -> list[Row]:
    found = []
    for line in (ROOT / DOCUMENT).read_text().splitlines():
        if line.startswith('| <a id="'):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            anchor, name = re.fullmatch(r'<a id="([a-z-]+)"></a>`([a-z-]+)`', cells[0]).groups()  # type: ignore[union-attr]
            assert anchor == name
            found.append(Row(name, *cells[1:]))
    return found


ROWS = rows()


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels else 1


def value_of(text: str) -> Any:
    match text:
        case "(51 modules)":
            return {f"m{number}": MODULE for number in range(51)}
        case "(50 modules)":
            return {f"m{number}": MODULE for number in range(50)}
        case "(11 levels)":
            return nested(11)
        case "(9 levels)":
            return nested(9)
        case "(33 texts of 1000 bytes)":
            return {f"w{number}": "x" * 1000 for number in range(33)}
        case "(31 texts of 1000 bytes)":
            return {f"w{number}": "x" * 1000 for number in range(31)}
    return json.loads(text)


def document_of(example: str) -> str:
    """The text of the file that an example means."""
    path, _, value = example.strip("`").partition(": ")
    if path == "(file)":
        return "[" * 100_000 if value.startswith("(100000") else value
    document = copy.deepcopy(GOOD)
    steps = path.split("/")
    if steps[0] == "template":
        document["$schema-template"] = "4.0.0"
        steps = steps[1:]
    place: Any = document["modulesContent"]
    steps = [*ROOTS[steps[0]], *steps[1:]]
    for step in steps[:-1]:
        place = place[step]
    if value == "(removed)":
        place.pop(steps[-1], None)
    elif path == "options":
        place[steps[-1]] = json.dumps(value_of(value))
    else:
        place[steps[-1]] = value_of(value)
    return json.dumps(document)


def test_the_document_has_the_rules_of_the_table() -> None:
    written = {row.rule: (row.severity, row.meaning) for row in ROWS}
    assert written == {rule: (meaning.severity, meaning.text) for rule, meaning in RULE_TABLE.items()}


@pytest.mark.parametrize("row", [row for row in ROWS if row.rule != "file"], ids=lambda row: row.rule)
def test_examples(row: Row) -> None:
    wrong = {(finding.rule, finding.severity) for finding in check_text(document_of(row.wrong)).findings}
    assert (row.rule, row.severity) in wrong
    right = {finding.rule for finding in check_text(document_of(row.right)).findings}
    assert row.rule not in right


def test_the_manifest_of_the_examples_has_no_problems() -> None:
    assert check_text(json.dumps(GOOD)).findings == ()
