"""What every command shares: where the workspace is, and how results and progress are written.

Results go to stdout (with `--json`, exactly one JSON document); progress, warnings and errors go to stderr.
"""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgepack.workspace_folder import find_workspace

_STEERING = re.compile(r"(\x1b\[[0-9;]*m)|[^\n\t\x20-\x7e\xa0-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Session:
    """The global options of one run of the command line."""

    workspace: Path
    as_json: bool = False
    verbosity: int = 0
    workspace_given: bool = True  # by an option or variable, as against found from the current folder

    def result(self, document: Any, text: str) -> None:
        """Print the result: `document` with `--json`, else `text`, whose titles and names may be anybody's: of what
        steers a terminal, only colours pass.
        """
        click.echo(_json(document) if self.as_json else _STEERING.sub(_shown, text))

    def say(self, text: str) -> None:
        """Progress for people: stderr, silent with `-q`."""
        if self.verbosity >= 0:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """A warning: stderr, also with `-q`."""
        click.secho(f"warning: {text}", err=True, fg="yellow")

    @property
    def shows_progress(self) -> bool:
        """Progress bars are for terminals only."""
        return self.verbosity >= 0 and sys.stderr.isatty()


def _json(document: Any) -> str:
    """As JSON, which knows neither NaN nor infinities: they are null."""
    try:
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(document), parse_constant=lambda _: None)
        return json.dumps(finite, indent=2, ensure_ascii=False, allow_nan=False)


def _shown(found: re.Match[str]) -> str:
    return found[1] or found[0].encode("unicode_escape").decode()


def current_session(option: str | None, as_json: bool, verbosity: int) -> Session:
    """The session of this process."""
    given = bool(option or os.environ.get("EDGEPACK_WORKSPACE"))
    return Session(find_workspace(option, os.environ, Path.cwd()), as_json, verbosity, given)


pass_session = click.make_pass_decorator(Session)
