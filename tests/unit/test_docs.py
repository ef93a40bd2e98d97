"""What the documents say exists: commands, options, files and scripts."""

import re
from pathlib import Path

import click
import pytest

from edgepack.cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *sorted(ROOT.glob("docs/**/*.md"))]


def options_of(command: click.Command) -> set[str]:
    """All option names of a command and its subcommands."""
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= options_of(inner)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"`edgepack {command}\b", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_real_commands_and_options(path: Path) -> None:
    known = options_of(cli)
    for line in path.read_text().splitlines():
        for match in re.finditer(r"(?:^\s*|`)edgepack (?!\[)(\S.*?)(?:`|\s#|\s\s|$)", line):
            words = match[1].split()
            assert words[0] in COMMANDS, f"{path.name}: {match[0]!r}"
            unknown = [word for word in words if re.fullmatch(r"--?[a-z-]+", word) and word not in known]
            assert not unknown, f"{path.name}: {match[0]!r} has unknown options {unknown}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_real_files(path: Path) -> None:
    for name in re.findall(r"`((?:scripts|tests|edgepack|device_agent|docs|simulator)/[\w./-]+)`", path.read_text()):
        assert (ROOT / name).exists(), f"{path.name} names {name}"
