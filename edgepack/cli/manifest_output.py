"""What a check of manifests looks like: lines for people, a document for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from edgepack.deployment.manifest_check import DOCUMENT, Finding, ManifestCheck, printable, summary

Checks = Sequence[tuple[str, ManifestCheck]]

_WIDTH = 110
_COLORS = {"error": "red", "warning": "yellow"}


def checks_lines(checks: Checks, *, with_excerpts: bool, quiet: bool) -> Iterator[str]:
    """`FILE:LINE:COLUMN: SEVERITY RULE: TEXT (POINTER)` for each problem, then what came of each file."""
    for name, check in checks:
        for finding in check.findings:
            yield _line(name, finding, is_read=check.kind != "unread")
            if with_excerpts and check.places is not None:
                yield from _excerpt(check.places.line(finding.span.line), finding)
    if quiet:
        return
    for name, check in checks:
        yield summary(name, check)
    if any(check.findings for _, check in checks):
        yield f"What each rule asks for: {DOCUMENT}"


def checks_document(checks: Checks) -> dict[str, Any]:
    """The same as a JSON document."""
    errors = sum(check.errors for _, check in checks)
    return {
        "ok": errors == 0,
        "errors": errors,
        "warnings": sum(len(check.findings) for _, check in checks) - errors,
        "files": [
            {
                "file": printable(name),
                "kind": check.kind,
                "ok": check.errors == 0,
                "problems": [_document(finding, is_read=check.kind != "unread") for finding in check.findings],
            }
            for name, check in checks
        ],
    }


def _document(finding: Finding, *, is_read: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "severity": finding.severity,
        "rule": finding.rule,
        "text": printable(finding.text),
        "pointer": finding.pointer,
    }
    if is_read:
        document |= finding.span._asdict()
    if finding.value_column is not None:
        document |= {"value_column": finding.value_column, "character_column": finding.caret}
    if finding.inner is not None:
        document["inner_pointer"] = finding.inner
    return {**document, "help": f"{DOCUMENT}#{finding.rule}"}


def _line(name: str, finding: Finding, *, is_read: bool) -> str:
    severity = click.style(finding.severity, fg=_COLORS[finding.severity])
    where = f"{printable(name)}:{finding.span.line}:{finding.span.column}" if is_read else printable(name)
    pointer = finding.pointer + (finding.inner or "")
    text = f"{finding.text} ({pointer})" if pointer else finding.text
    return f"{where}: {severity} {finding.rule}: {printable(text)}"


def _excerpt(line: str, finding: Finding) -> list[str]:
    """The line, cut around the place where it is long, and a caret below; `~` up to the end of what is meant."""
    at = (finding.caret or finding.span.column) - 1
    end = finding.span.end_column - 1 if finding.span.end_line == finding.span.line and not finding.caret else at + 1
    start = 0 if at < _WIDTH * 2 // 3 else at - _WIDTH // 2
    shown = line[start : start + _WIDTH]
    marks = "^" + "~" * (min(end, start + len(shown)) - at - 1)
    before, after = "..." if start else "", "..." if len(line) > start + _WIDTH else ""
    text = "".join(each if each.isprintable() else " " for each in shown)
    return [f"  {before}{text}{after}", f"  {' ' * (len(before) + at - start)}{marks}"]
