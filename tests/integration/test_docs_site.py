"""The documentation site builds without a warning, loads nothing from elsewhere, and its own links lead somewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}


class Page(HTMLParser):
    """What a page loads, where it leads, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.unlinked: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None:
                self.loads |= {value} if (tag, name) in LOADED else set()
                self.links |= {value} if (tag, name) == ("a", "href") else set()
                self.anchors |= {value} if name == "id" else set()

        if tag in ("a", "code", "pre", "script"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.unlinked += re.findall(r"\bdocs/[\w/-]+\.md\b", data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path: Page(path.read_text()) for path in folder.rglob("*.html")}


def test_every_document_has_its_page(site: dict[Path, Page]) -> None:
    names = {path.name for path in site}
    documents = list((ROOT / "docs").rglob("*.md"))
    assert [str(path) for path in documents if path.with_suffix(".html").name not in names] == []


def test_what_a_page_says_of_another_leads_there(site: dict[Path, Page]) -> None:
    """But in what is made from code."""
    assert {
        path.name: page.unlinked for path, page in site.items() if page.unlinked and "reference" not in str(path)
    } == {}


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Page]) -> None:
    foreign = {load for page in site.values() for load in page.loads if urlsplit(load).netloc}
    assert foreign == set()


def test_links_between_pages_lead_to_what_is_there(site: dict[Path, Page]) -> None:
    lost = []
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in site[target].anchors):
                lost.append(f"{path.name}: {link}")
    assert lost == []
    assert sum(len(page.links) for page in site.values()) > 1000
