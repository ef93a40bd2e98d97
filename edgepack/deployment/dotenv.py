"""`.env` files: variables for templates, one `NAME=VALUE` a line. Pure.

Read as the known tools read them: `export ` before a name, `#` comments, 'single' or "double" quotes (also over several
lines; in double ones a backslash escapes), and `${NAME}` in a value for a variable of the environment or of a line
before.
"""

import re
from collections.abc import Mapping

from edgepack.errors import InputError

_LINE = re.compile(
    r"""[ \t]*(?:\#[^\n]*)?(?:\r?\n|\Z)                                 # blank, or a comment
    | [ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*=[ \t]*
      (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>[^\n]*?) )
      [ \t]*(?:(?<=\s)\#[^\n]*)?(?:\r?\n|\Z)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_dotenv(text: str, where: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file. `environment` is what `${NAME}` in a value may refer to, and wins over the file there.

    Raises:
        InputError: lines that are no variable; all of them.
    """
    found: dict[str, str] = {}
    problems = []
    at = 0
    while at < len(text):
        match = _LINE.match(text, at)
        if match is None or match.end() == at:
            end = text.find("\n", at)
            problems.append(f"{where}: line {text.count(chr(10), 0, at) + 1}: expected NAME=VALUE")
            at = len(text) if end < 0 else end + 1
            continue
        at = match.end()
        if match["name"] is not None:
            found[match["name"]] = _REFERENCE.sub(
                lambda reference: environment.get(reference[1], found.get(reference[1], "")), _value(match)
            )
    InputError.raise_if_any(problems)
    return found


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), match["double"])
    return match["single"] if match["single"] is not None else match["bare"].strip()
