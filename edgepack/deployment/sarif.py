"""Problems of manifests as a SARIF 2.1.0 log, which code hosts and editors show beside the file. Pure."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from edgepack.deployment.manifest_check import DOCUMENT, Finding, ManifestCheck
from edgepack.deployment.rule_table import RULE_TABLE

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_text(checks: Sequence[tuple[str, ManifestCheck]], version: str) -> str:
    """The log of the checked files (by their names as they were given), as JSON."""
    used = {finding.rule for _, check in checks for finding in check.findings}
    rules = [rule for rule in RULE_TABLE if rule in used]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "edgepack manifest validate",
                        "version": version,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "artifacts": [
                    {"location": {"uri": uri_of(name)}, "mimeType": "application/json", "sourceLanguage": "json"}
                    for name in dict.fromkeys(name for name, _ in checks)
                ],
                "results": [
                    _result(name, finding, rules.index(finding.rule), is_read=check.kind != "unread")
                    for name, check in checks
                    for finding in check.findings
                ],
            }
        ],
    }
    return json.dumps(log, indent=2)


def uri_of(name: str) -> str:
    """A file's name as a reference: relative ones stay so."""
    path = name.replace("\\", "/").encode(errors="surrogateescape")
    return f"file://{quote(path)}" if name.startswith("/") else quote(path, safe="/")


def _rule(rule: str) -> dict[str, Any]:
    meaning = RULE_TABLE[rule]
    return {
        "id": rule,
        "shortDescription": {"text": meaning.text},
        "help": {"text": f"{meaning.text} See {DOCUMENT}, {rule}, for what is wrong and what is right."},
        "defaultConfiguration": {"level": meaning.severity},
    }


def _result(name: str, finding: Finding, rule_index: int, *, is_read: bool) -> dict[str, Any]:
    span = finding.span
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri_of(name)}}
    if is_read:
        physical["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    place: dict[str, Any] = {"physicalLocation": physical}
    if finding.pointer:
        pointer = finding.pointer + (finding.inner or "")
        place["logicalLocations"] = [{"fullyQualifiedName": pointer, "kind": "member"}]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.severity,
        "message": {"text": finding.text},
        "locations": [place],
    }
    if finding.value_column is not None:
        result["properties"] = {"valueColumn": finding.value_column, "characterColumn": finding.caret}
    return result
