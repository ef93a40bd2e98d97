"""The rules for what a model may be called and labelled, and how people write that on a command line.

Pure. Names, frameworks and `k=v` follow Azure Machine Learning's SDK and command line v1.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgepack.errors import InputError

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """What a user names: a model, and one of its versions or (None) the latest."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def parse_model_reference(text: str) -> ModelReference:
    """Read `NAME` or `NAME:VERSION`; the version is a positive integer of at most nine digits.

    Raises:
        InputError: the name or the version breaks its rule; both are told.
    """
    name, colon, version = text.partition(":")
    problems = list(name_problems(name))
    if colon and not _VERSION.fullmatch(version):
        problems.append(
            f"model version {version!r} in {text!r} is not a positive integer: "
            "write NAME:VERSION such as iris:3, or only NAME for the latest version"
        )
    InputError.raise_if_any(problems)
    return ModelReference(name, int(version) if colon else None)


def name_problems(name: str) -> tuple[str, ...]:
    """Say why `name` cannot be a model's name; empty when it can."""
    if _NAME.fullmatch(name):
        return ()
    if not name:
        return ("the model has no name: give one (-n NAME)",)
    return (
        f"model name {name!r} is not allowed: use 1 to 255 letters, digits, '-', '.' or '_', "
        "starting with a letter or digit",
    )


def framework_problems(framework: str | None, version: str | None) -> tuple[str, ...]:
    """Say why a framework and its version cannot be recorded; empty when they can."""
    if framework is None:
        if version is None:
            return ()
        return (
            "Model framework version cannot be provided without a valid framework: "
            f"name the framework of version {version!r} (--model-framework), one of {', '.join(FRAMEWORKS)}",
        )
    if framework in FRAMEWORKS:
        return ()
    near = nearest(framework, FRAMEWORKS)
    hint = f"did you mean {near}? " if near else ""
    return (f"model framework {framework!r} is unknown: {hint}choose one of {', '.join(FRAMEWORKS)}",)


def parse_pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """Read `k=v` texts: split at the first `=`, trim both sides; a repeated key keeps its last value.

    `what` (such as "--tag") begins each problem's text.

    Raises:
        InputError: texts without `=` or with an empty key, all of them.
    """
    pairs: dict[str, str] = {}
    problems = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            problems.append(f"{what} {text!r} has no '=': write KEY=VALUE")
        elif not key.strip():
            problems.append(f"{what} {text!r} has an empty key: write KEY=VALUE")
        else:
            pairs[key.strip()] = value.strip()
    InputError.raise_if_any(problems)
    return pairs


def parse_filter(text: str) -> str | tuple[str, str]:
    """Read `k` (that key, with any value) or `k=v`."""
    key, equals, value = text.partition("=")
    return (key.strip(), value.strip()) if equals else key.strip()


def has_pair(pairs: Mapping[str, str], wanted: str | tuple[str, str]) -> bool:
    """Whether tags or properties answer a filter."""
    return wanted in pairs if isinstance(wanted, str) else pairs.get(wanted[0]) == wanted[1]


def pairs_problems(pairs: Mapping[str, str], what: str) -> tuple[str, ...]:
    """Say which tags or properties cannot be stored (an empty key, or text that is not valid Unicode)."""
    problems = []
    for key, value in pairs.items():
        if not key.strip():
            problems.append(f"a {what} has an empty key (its value is {value!r}): give it a name")
        for part, text in (("key", key), ("value", value)):
            problems += text_problems(text, f"{part} of {what} {key!r}")
    return tuple(problems)


def text_problems(text: str | None, what: str) -> tuple[str, ...]:
    """Say whether `text` cannot be stored as UTF-8 (lone surrogates, such as undecodable arguments)."""
    if text is None or _is_unicode(text):
        return ()
    return (f"{what} is not valid UTF-8 text: {text!r}",)


def file_name_problem(name: str) -> str | None:
    """Why a path cannot be an artifact's name (control characters, undecodable bytes); None when it can."""
    if not _is_unicode(name):
        return "its name is not valid UTF-8: rename it"
    if _CONTROL.search(name):
        return "its name has control characters: rename it"
    return None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`, ignoring case; None when none does."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[found[0]] if found else None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
