"""What reaches a terminal."""

from pathlib import Path

import pytest

from edgepack.cli.session import Session
from tests.fakes.command_line import command_line


def test_of_what_steers_a_terminal_only_colours_pass(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(Path())
    session.result({}, "a\x1b]0;title\x07\x1b[2Jb\r\x9bc\td\né \x1b[31mred\x1b[0m \U0001f600")
    out = capsys.readouterr().out  # no terminal: click has left out the colours
    assert out == "a\\x1b]0;title\\x07\\x1b[2Jb\\r\\x9bc\td\né red \U0001f600\n"


@pytest.mark.parametrize("option", ["-q", "--quiet", "--workspace"])
def test_an_option_in_the_wrong_place_is_told_its_own(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = command_line(capsys)("model", "list", option)
    assert result.code == 2
    assert f"It stands before the command: edgepack {option} COMMAND." in result.err
