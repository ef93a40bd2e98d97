"""The blocks of a page, run in their order as a reader would, with what the page says that they print."""

import contextlib
import io
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
EXAMPLE = ROOT / "examples" / "sentiment"
_BLOCK = re.compile(r"^(## [^\n]+)$|^```(python|sh)\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code under a heading; `printed` is what follows it, None if nothing does."""

    heading: str
    language: str
    code: str
    printed: str | None


def blocks_of(text: str) -> list[Block]:
    """All blocks of Python and commands of a page."""
    found, heading = [], ""
    for match in _BLOCK.finditer(text):
        heading = (match[1] or heading).removeprefix("## ")
        if match[2]:
            found.append(Block(heading, match[2], match[3], match[4]))
    return found


def is_as_printed(printed: str, told: str) -> bool:
    """Whether `told` is what the page says; `...` in the page is anything, also several lines."""
    pattern = r".*".join(map(re.escape, printed.rstrip().split("...")))
    return re.search(rf"^{pattern}", told, re.DOTALL | re.MULTILINE) is not None


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
