"""A service's log as text: the files that the keeper writes, and what in it says why a script failed."""

import json
import re
from pathlib import Path

_ERROR_LINE = re.compile(r"^\S+ \S+ E \[\d+\] (\S+) - (.*)$")
_ANY_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z] \[\d+\] \S+ - ")
_TRACEBACK = "Encountered Exception: "
_ENDING = re.compile(r"Ending with exit code \d+: (.*)", re.DOTALL)


def log_files(folder: Path) -> list[Path]:
    """The files of a log, oldest first."""
    found = [
        (int(path.suffix[1:] or 0) if path.suffix[1:].isdigit() else 0, path) for path in folder.glob("service.log*")
    ]
    return [path for _, path in sorted(found, key=lambda pair: -pair[0])]


def last_lines(folder: Path, count: int) -> str:
    """The last lines of the log in `folder`, from as many of its files as it takes."""
    lines: list[str] = []
    for path in reversed(log_files(folder)):
        lines = [*path.read_text(encoding="utf-8", errors="replace").splitlines(), *lines]
        if len(lines) >= count:
            break
    return "".join(f"{line}\n" for line in lines[len(lines) - min(count, len(lines)) :])


def failure_text(log: str) -> str:
    """What a log tells about a script that did not start: the agent's last sentence, then the script's traceback.

    Both forms of lines (text, JSON) are understood. Empty where the log tells nothing of the kind.
    """
    traceback = ending = ""
    for logger, message in _errors(log):
        if logger == "azmlinfsrv" and message.startswith(_TRACEBACK):
            traceback = message.removeprefix(_TRACEBACK)
        elif (found := _ENDING.match(message)) is not None:
            ending = found[1]
    return "\n".join(part for part in (ending, traceback) if part)


def _errors(log: str) -> list[tuple[str, str]]:
    """Logger and message of each error."""
    found: list[list[str]] = []
    is_error = False
    for line in log.splitlines():
        if line.startswith("{"):
            is_error = False
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("level") == "ERROR":
                found.append([str(entry.get("logger")), str(entry.get("message"))])
        elif (match := _ERROR_LINE.match(line)) is not None:
            is_error = True
            found.append([match[1], match[2]])
        elif _ANY_LINE.match(line):
            is_error = False
        elif is_error:
            found[-1][1] += f"\n{line}"
    return [(logger, message) for logger, message in found]
