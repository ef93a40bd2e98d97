"""The command line, run in the test's own process: exit code and what was printed."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from edgepack.cli.main import main


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The output of `--json`."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


def command_line(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `edgepack ARGUMENTS`."""

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Outcome(caught.value.code, captured.out, captured.err)

    return run
