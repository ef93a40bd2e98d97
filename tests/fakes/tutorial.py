"""The blocks of a page, run in their order as a reader would, with what the page says that they print."""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.fakes.pages import ROOT, Block, is_as_printed

PAGE = "docs/tutorial.md"
EXAMPLE = ROOT / "examples" / "sentiment"


def run_blocks(blocks: Iterable[Block], folder: Path, environment: Mapping[str, str]) -> None:
    """Run them in `folder`, which is the current one: all Python with the same names, commands with `environment`."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block.code, block.heading, "exec"), names)  # noqa: S102 - the repository's own page
            told = output.getvalue()
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.code]
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"
            told = done.stdout
        if block.printed is not None:
            assert is_as_printed(block.printed, told), f"{block.code}\nprints\n{told}\nnot\n{block.printed}"
