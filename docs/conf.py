"""The documentation site: `scripts/docs`. The pages are plain Markdown, to be read in the repository as well."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "edgepack"
html_title = "edgepack"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns: list[str] = []
myst_heading_anchors = 3
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["misc.highlighting_failure"]  # command lines of several shells

FENCED = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
PAGE = re.compile(r"(?<![`\w/\[-])(?<!\]\()docs/((?:decisions/)?[\w-]+)(\.md)?(?![\w/`-])")


def linked(text: str) -> str:
    """`text` with a link wherever another page is named, but in blocks of code."""
    parts = FENCED.split(text)
    return "".join(part if part.startswith("```") else PAGE.sub(_link, part) for part in parts)


def _link(found: re.Match[str]) -> str:
    pages = sorted(Path(__file__).parent.glob(f"{found[1]}*.md"))
    if not pages:
        return found[0]
    page = pages[0].relative_to(Path(__file__).parent)
    return f"[{found[0]}](/{page.as_posix()})"


def _on_source(_app: Sphinx, _name: str, content: list[str]) -> None:
    content[0] = linked(content[0])


def _on_include(_app: Sphinx, _path: Path, _name: str, content: list[str]) -> None:
    content[0] = linked(content[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _on_source)
    app.connect("include-read", _on_include)
