"""What stands on a page of the documentation: its blocks of commands and of Python, each with what it prints.

A block is fenced (`sh`, `python`), or indented by four blanks and begins with a program. What follows it, indented or
fenced as `text`, with nothing but an empty line between, is what it prints; in it `...` is anything. In a block with a
prompt (`$ `) each command has what is below it.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    str(path.relative_to(ROOT))
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("examples/*/README.md"),
        *ROOT.glob("docs/**/*.md"),
    ]
]
_PROGRAM = re.compile(
    r"(?:edgepack|python|pip|uv|apt|az|curl|docker|locust|cosign|export|cd|cat|echo|until|generate|scripts/\w+|examples/[\w-]+/\w+"
    r"|[A-Z_]+=\S+(?= ))(?=\s|$)"
)
_FENCE = re.compile(r"```(.*)")


@dataclass(frozen=True)
class Block:
    """A block under a heading; `line` is that of its first line, `printed` None where the page does not say it.

    `language` is `sh`, `python` or, for what is shown and neither of them, `text`.
    """

    page: str
    line: int
    heading: str
    language: str
    code: str
    printed: str | None = None


@dataclass(frozen=True)
class Command:
    """One command of a block, with the lines that it goes on for; `block` is the line where the block begins, `printed`
    what the block prints up to the end of this command.
    """

    page: str
    line: int
    text: str
    block: int
    printed: str | None = None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def read_blocks(page: str) -> list[Block]:
    """All blocks of a page, named from the repository's root; what a block prints is not one."""
    found: list[Block] = []
    previous_end = 0
    for block, end, is_alone in _chunks(page, (ROOT / page).read_text()):
        last = found[-1] if found else None
        if block.language == "text" and is_alone and last and last.language != "text" and last.printed is None:
            if last.line <= previous_end:
                found[-1] = replace(last, printed=block.code)
        elif block.code.startswith("$ "):
            found += _session(block)
        else:
            found.append(block)
        previous_end = end
    return found


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page that are run."""
    return [block for block in read_blocks(page) if block.language != "text"]


def shown(page: str, beginning: str) -> str:
    """The one block of a page that begins so and is no code: a file, or what a command prints."""
    (found,) = (block for block in read_blocks(page) if block.language == "text" and block.code.startswith(beginning))
    return found.code


@cache
def commands_of(page: str) -> tuple[Command, ...]:
    """All commands of a page; a block of Python is one."""
    return tuple(command for block in blocks_of(page) for command in _commands(block))


def is_as_printed(printed: str, told: str) -> bool:
    """Whether `told` is what the page says; `...` in the page is anything, also several lines."""
    pattern = r".*".join(map(re.escape, printed.rstrip().split("...")))
    return re.search(rf"^{pattern}[ \t]*$", told, re.DOTALL | re.MULTILINE) is not None


def without_figures(text: str) -> str:
    """The text with one sign for each number, size and digest, and one blank for several."""
    text = re.sub(r"\b(?=\w*\d)[0-9a-f]{8,}\b", "HEX", text)
    text = re.sub(r"\d+(?:\.\d+)?(?:e-?\d+)?(?: [kMG]?B\b)?", "N", text)
    return re.sub(r" +", " ", text)


def _chunks(page: str, text: str) -> Iterator[tuple[Block, int, bool]]:
    """Fenced and indented pieces, with their last line, and whether nothing but blank lines is before them."""
    lines = [*text.splitlines(), ""]
    heading, number, is_alone = "", 0, False
    while number < len(lines):
        line = lines[number]
        first = number
        if fence := _FENCE.match(line):
            while lines[number + 1] != "```":
                number += 1
            code = "\n".join(lines[first + 1 : number + 1]) + "\n"
            number += 1
            language = {"sh": "sh", "python": "python", "text": "text"}.get(fence[1])
            if language:
                yield Block(page, first + 2, heading, language, code), number + 1, is_alone
            is_alone = language is not None
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip() or lines[number - 1][0] == "#"):
            while lines[number + 1].startswith("    "):
                number += 1
            code = "".join(f"{each[4:]}\n" for each in lines[first : number + 1])
            language = "sh" if _PROGRAM.match(code.removeprefix("$ ")) else "text"
            yield Block(page, first + 1, heading, language, code), number + 1, is_alone
            is_alone = True
        elif line.strip():
            is_alone = False
            heading = line.removeprefix("## ") if line.startswith("## ") else heading
        number += 1


def _session(block: Block) -> Iterator[Block]:
    """A block a prompt."""
    line = block.line
    for part in re.split(r"(?m)^(?=\$ )", block.code)[1:]:
        command, _, printed = part.removeprefix("$ ").partition("\n")
        yield Block(block.page, line, block.heading, "sh", f"{command}\n", printed or None)
        line += part.count("\n")


def _commands(block: Block) -> Iterator[Command]:
    if block.language == "python":
        yield Command(block.page, block.line, block.code, block.line, block.printed)
        return
    found, pending, first = [], "", 0
    for number, line in enumerate(block.code.splitlines()):
        if not pending and (not line.strip() or line.startswith("#")):
            continue
        first = first if pending else number
        pending += f"{line}\n"
        if _is_whole(pending):
            found.append(Command(block.page, block.line + first, pending.rstrip(), block.line))
            pending = ""
    if pending:
        raise ValueError(f"{block.page}:{block.line + first}: a command without an end")
    if found:
        last = found.pop()
        yield from found
        yield replace(last, printed=block.printed)


def _is_whole(text: str) -> bool:
    """Whether a command does not go on in the next line; what is left open in a shell is not."""
    if text.rstrip().endswith(("\\", "|")):
        return False
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return False
    return words.count("do") == words.count("done")
