"""Environment variables in URLs (`${NAME}`, as pip replaces them), and what of URLs nobody may see. Pure.

What is asked for and what is locked has the names; only the resolver and the downloader see the values.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgepack.errors import InputError

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_LEAST_SECRET = 4  # characters; shorter values occur by chance


def variables_in(text: str) -> tuple[str, ...]:
    """The environment variables that `text` names as `${NAME}`."""
    return tuple(_VARIABLE.findall(text))


@dataclass(frozen=True, slots=True)
class UrlVariables:
    """Values by name."""

    values: Mapping[str, str]

    def expand(self, text: str) -> str:
        """`text` with the values of its variables; those without a value stay as they are."""
        return _VARIABLE.sub(lambda match: self.values.get(match[1]) or match[0], text)

    def hide(self, text: str) -> str:
        """`text` with the names instead of the values."""
        for name, value in sorted(self.values.items(), key=lambda pair: -len(pair[1])):
            if len(value) >= _LEAST_SECRET:
                text = text.replace(value, f"${{{name}}}")
        return text


def find_variables(texts: Iterable[str], environment: Mapping[str, str], where: str) -> UrlVariables:
    """The values of all variables that `texts` name.

    Raises:
        InputError: names each that is not set.
    """
    names = dict.fromkeys(name for text in texts for name in variables_in(text))
    InputError.raise_if_any(
        f"{where}: environment variable {name}, which a URL in it names, is not set"
        for name in names
        if not environment.get(name)
    )
    return UrlVariables({name: environment[name] for name in names})


def without_log_in(url: str) -> str:
    """The URL without user and password."""
    return re.sub(r"^(\w+://)[^/\s@]+@", r"\1", url)


def without_secrets(text: str) -> str:
    """`text` for people: users, passwords, query strings and conda's tokens in its URLs are hidden."""
    text = re.sub(r"(\w+://)[^/\s@'\"]+@", r"\1***@", text)
    text = re.sub(r"(\w+://[^\s?'\"]+)\?[^\s#'\"]+", r"\1?***", text)
    return re.sub(r"(\w+://[^\s'\"]*/t/)[^/\s'\"]+", r"\1***", text)
