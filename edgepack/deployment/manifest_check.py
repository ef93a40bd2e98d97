"""The text of a manifest -> all its problems with their places: line and column in the file. Pure.

Places are looked up only when there are problems.
"""

from typing import TYPE_CHECKING, NamedTuple, Optional

from edgepack.deployment.json_text import read_json
from edgepack.deployment.problem import Severity
from edgepack.deployment.validate import check

if TYPE_CHECKING:
    from edgepack.deployment.json_places import Places

DOCUMENT = "docs/manifest-rules.md"


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
    """What a file is (`deployment`, `layer`, `template`, or `none`: no JSON), and what is wrong, in its order."""

    kind: str
    findings: tuple[Finding, ...]
    places: Optional["Places"] = None

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)


def check_text(text: str, *, is_template: bool = False) -> ManifestCheck:
    """Check the text of a manifest, a layer or a template."""
    document = read_json(text)
    kind, problems = check(document.value, is_template=is_template) if document.is_read else ("none", ())
    if not problems and not document.faults:
        return ManifestCheck(kind, ())
    from edgepack.deployment.findings import located

    return ManifestCheck(kind, *located(document, problems))
