"""The text of a manifest -> all its problems with their places: line and column in the file. Pure.

Places are looked up only when there are problems.
"""

from typing import TYPE_CHECKING, NamedTuple, Optional

from edgepack.deployment.document_view import TEMPLATE_KEY
from edgepack.deployment.json_text import read_json
from edgepack.deployment.problem import Severity
from edgepack.deployment.validate import check

if TYPE_CHECKING:
    from edgepack.deployment.json_places import Places

DOCUMENT = "docs/manifest-rules.md"
_KINDS = {
    "deployment": "deployment manifest",
    "layer": "layered deployment",
    "template": "template",
    "none": "no JSON",
    "unread": "not read",
}


class Span(NamedTuple):
    """Line and column (characters) from 1, of the first character and behind the last one."""

    line: int
    column: int
    end_line: int
    end_column: int


class Finding(NamedTuple):
    """A problem and its place. `span` is the value's or key's; `value_column` counts from 1 inside of the text there,
    and `caret` is then the column of that character in the file.
    """

    severity: Severity
    rule: str
    text: str
    pointer: str
    span: Span
    value_column: int | None = None
    caret: int | None = None
    inner: str | None = None


class ManifestCheck(NamedTuple):
    """What is wrong with a file, in its order. `kind`: deployment, layer, template, `none` (no JSON), `unread`."""

    kind: str
    findings: tuple[Finding, ...]
    places: Optional["Places"] = None

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)


def check_text(text: str, *, is_template: bool = False) -> ManifestCheck:
    """Check the text of a manifest, a layer or a template."""
    document = read_json(text, has_placeholders=is_template or f'"{TEMPLATE_KEY}"' in text)
    kind, problems = check(document.value, is_template=is_template) if document.is_read else ("none", ())
    if not problems and not document.faults:
        return ManifestCheck(kind, ())
    from edgepack.deployment.findings import located

    return ManifestCheck(kind, *located(document, problems))


def summary(name: str, check: ManifestCheck) -> str:
    """What a file is, and how many problems it has."""
    kind = f"{printable(name)}: {_KINDS[check.kind]}"
    if check.kind == "unread":
        return kind
    counts = ((check.errors, "error"), (len(check.findings) - check.errors, "warning"))
    parts = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
    return f"{kind}, {', '.join(parts) or 'no problems'}"


def sentence(name: str, finding: Finding) -> str:
    """`FILE:LINE:COLUMN: POINTER: TEXT` for people."""
    place = f"{name}:{finding.span.line}:{finding.span.column}"
    pointer = finding.pointer + (finding.inner or "")
    return printable(f"{place}: {pointer}: {finding.text}" if pointer else f"{place}: {finding.text}")


def printable(text: str) -> str:
    """The text without characters that move the cursor or cannot be encoded."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
