"""Every command of every page is run by a test, or stands among those that none runs; both lists say what is there."""

import ast
import re
import shutil
import tomllib
from functools import cache

import pytest
import yaml

from simulator.scenario import parse_scenario
from tests.fakes.page_tests import NOT_RUN, RUNS, NotRun, Runs, commands_for, row_of
from tests.fakes.pages import (
    PAGES,
    ROOT,
    Block,
    Command,
    commands_of,
    is_as_printed,
    read_blocks,
    shown,
    without_figures,
)


@cache
def functions_of(path: str) -> dict[str, str]:
    """The source of each test of a file, by name."""
    source = (ROOT / path).read_text()
    found = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return {node.name: ast.get_source_segment(source, node) or "" for node in found}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_or_listed(page: str) -> None:
    assert [f"{each.place} {each.text}" for each in commands_of(page) if row_of(each) is None] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_shown_is_no_command(page: str) -> None:
    def is_program(block: Block) -> bool:
        word = block.code.split()[0]
        return shutil.which(word) is not None or ("/" in word and (ROOT / word).is_file())

    shown = [block for block in read_blocks(page) if block.language == "text"]
    assert [f"{page}:{block.line}" for block in shown if is_program(block)] == []


@pytest.mark.parametrize("row", RUNS, ids=lambda row: f"{row.page} {row.test}")
def test_a_test_that_is_to_run_a_page_is_there(row: Runs) -> None:
    assert commands_for(row.page, row.test), f"no command of {row.page} is left for it"
    unused = [word for word in row.only if not any(each.text.startswith(word) for each in commands_of(row.page))]
    assert unused == [], f"nothing on {row.page} begins so"
    path, _, name = row.test.partition("::")
    assert name in functions_of(path)
    assert row.by in (ROOT / path).read_text()
    assert row.by or f'PageRun("{row.page}", request' in functions_of(path)[name]


@pytest.mark.parametrize("row", NOT_RUN, ids=lambda row: f"{row.page} {row.beginning}")
def test_what_is_not_run_is_still_on_its_page(row: NotRun) -> None:
    assert any(row_of(command) is row for command in commands_of(row.page))


@pytest.mark.parametrize("page", PAGES)
def test_extras_are_those_of_the_distribution(page: str) -> None:
    named = {
        extra
        for extras in re.findall(r"edgepack\[([a-z,]+)\]", (ROOT / page).read_text())
        for extra in extras.split(",")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert named <= project["optional-dependencies"].keys()


def test_the_scenario_that_is_shown_is_one() -> None:
    scenario = parse_scenario(yaml.safe_load(shown("docs/simulator.md", "name: a bad hour")), "docs/simulator.md")
    assert (scenario.devices, scenario.speed) == (20, 60)


def test_how_a_page_is_read() -> None:
    blocks = {block.code: block for block in read_blocks("docs/routes.md")}
    assert blocks["cat message.json\n"].printed is not None
    folded = [command for command in commands_of("docs/fleet.md") if command.text.startswith("echo")]
    assert [text.endswith("python -m simulator.devices") for text in [each.text for each in folded]] == [True]
    assert is_as_printed("a ...\nc\n", "x\na b\nb\nc\nd")
    assert not is_as_printed("a ...\nc\n", "x a b\nd")
    assert row_of(Command("docs/promise.md", 1, "edgepack build", 1)) is None
    assert without_figures("3 sent (2.2 kB)  a0b1c2d3e4f5") == "N sent (N) HEX"
