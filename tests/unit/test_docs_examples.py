"""What docs/templates.md and docs/projects.md show is what comes out."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from edgepack.assembly import read_assembly
from edgepack.deployment.dotenv import parse_dotenv
from edgepack.deployment.placeholders import ModuleFile, Surroundings, expand
from edgepack.module import deployment_document
from edgepack.project import BuildOptions

DOCS = Path(__file__).parent.parent.parent / "docs"
TEMPLATES = (DOCS / "templates.md").read_text()
PROJECTS = (DOCS / "projects.md").read_text()
SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


def block_after(text: str, sentence: str) -> str:
    """The first indented block after a sentence."""
    lines = text[text.index(sentence) :].splitlines()[1:]
    first = next(number for number, line in enumerate(lines) if line.startswith("    "))
    end = next(number for number, line in enumerate(lines) if number > first and line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[first:end])).strip() + "\n"


ROWS = [
    (before, after)
    for row in re.findall(r"(?m)^\| (`.+`) \| (.+) \|$", TEMPLATES)
    for before, after in zip(
        re.findall(r"`([^`]+)`", row[0]),
        re.findall(r"`([^`]+)`", row[1]) or re.findall(r"`([^`]+)`", row[0]),
        strict=True,
    )
]


def test_the_table_is_read() -> None:
    assert len(ROWS) == 13


@pytest.mark.parametrize(("before", "after"), ROWS)
def test_what_is_replaced(before: str, after: str) -> None:
    variables = parse_dotenv(block_after(TEMPLATES, "With `.env` beside"), ".env", {})
    module = block_after(TEMPLATES, "and in `modules/filter/module.json`")
    files = {folder: ModuleFile(module, folder, {}) for folder in ("modules/filter", "shared/filter")}
    around = Surroundings({**variables, "upstream": "x", "edgeHub": "x", "body": "x"}, files.get)
    assert expand(before, "arm64v8", around, "template") == after
    json.loads(after)


def test_the_project_is_one(tmp_path: Path) -> None:
    (tmp_path / "edgepack.yaml").write_text(block_after(PROJECTS, "All of them make one deployment"))
    for name, file in (("filter", "filter.py"), (".", "score.py")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / file).write_text(SCRIPT)
        (tmp_path / name / "conda.yml").write_text("dependencies: [python=3.11]\n")
    (tmp_path / "filter" / "inferenceConfig.json").write_text('{"entryScript": "filter.py", "condaFile": "conda.yml"}')
    environment = {"REGISTRY_USERNAME": "me", "REGISTRY_PASSWORD": "secret"}
    assembly = read_assembly(tmp_path, BuildOptions(), environment)
    manifest = deployment_document(assembly, dict.fromkeys(("filter", "scorer"), f"sha256:{'0' * 64}"))
    assert str(assembly.recipes["scorer"].image) == "registry.example.com/team/line/scorer:1.0"
    routes = manifest["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    assert set(routes) == {"warm", "alarms", "readings"}
