"""A package specification of conda as it stands in environment files, and its versions as the Python index says them.

Source: conda's documentation of match specifications. A pure module. Where conda and the index differ: `=1.2` and
`1.2.*` mean any 1.2, a bare `1.2` and `==1.2` exactly that, `=1.2=BUILD` exactly 1.2 too; `>=1.2.*` is `>=1.2`. Of
alternatives (`1.2|1.3`) the index can say only one: the highest is taken.
"""

import re
from dataclasses import dataclass, field

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_NAME = re.compile(r"_*[A-Za-z0-9][A-Za-z0-9_.\-]*")
_BUILD = re.compile(r"(.+?)(?:(?<![=!|,<>~])[ =]([^\s\-=,|<>~]+))?")
_BRACKET = re.compile(r"""([A-Za-z0-9_\-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^'",\s]*))\s*(?:,|$)\s*""")
_CONSTRAINT = re.compile(r"(==|!=|<=|>=|~=|=|<|>)?(.+)")


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """The parts of a specification. `channel` may have a platform after `/`; `others` are the remaining keys."""

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""
    others: tuple[str, ...] = field(default=())


def parse_match_spec(text: str) -> MatchSpec:
    """Read a specification; the name comes out in lower case.

    Raises:
        ValueError: it is none; the message says why, and what to do.
    """
    text = text.partition("#")[0].strip()
    if re.search(r"\.(conda|tar\.bz2)$", text.partition("[")[0]) or "://" in text:
        raise ValueError("is a package file of conda; write the package's name and version")
    keys: dict[str, str] = {}
    bracketed = re.fullmatch(r"([^\[\]]*)\[(.*)\]", text)
    if bracketed:
        text = bracketed[1].strip()
        keys = _parse_bracket(bracketed[2], text)
    channel, _, rest = text.rpartition("::")
    name = _NAME.match(rest)
    if name is None or (rest[name.end() :] and rest[name.end()] not in " =<>!~*"):
        raise ValueError("is no conda package specification")
    version, build = _split_build(rest[name.end() :].strip())
    others = tuple(sorted(keys.keys() - {"version", "build", "channel", "subdir"}))
    place = "/".join(filter(None, (keys.get("channel", ""), keys.get("subdir", ""))))
    return MatchSpec(
        name[0].lower(), keys.get("version") or version, keys.get("build") or build, channel or place, others
    )


def _parse_bracket(text: str, name: str) -> dict[str, str]:
    keys, position = {}, 0
    while position < len(text.rstrip()):
        match = _BRACKET.match(text, position)
        if match is None:
            raise ValueError(f"conda knows no extras and no {text!r} in brackets; list {name}[...] under `pip:`")
        keys[match[1]] = next((value for value in match.groups()[1:] if value is not None), "").strip()
        position = match.end()
    return keys


def _split_build(text: str) -> tuple[str, str]:
    """Version and build; conda takes as build what follows the last space or `=` and has no operator in it."""
    match = _BUILD.fullmatch(text)
    if match is None:
        return text, ""
    version, build = match.groups()
    if re.search(r"[^\s=!|,<>~]\s+[^\s=!|,<>~]", version):
        raise ValueError("is no conda package specification: it has too many parts")
    return re.sub(r"\s+", "", version), build or ""


def to_pep440(version: str, *, exact: bool = False) -> tuple[str, str | None]:
    """(specifier of the index, the alternative that was chosen if there were several).

    `exact`: a build is named too, so that `=1.2` means exactly 1.2.

    Raises:
        ValueError: the index cannot say this; the message says why.
    """
    choices = [choice.strip() for choice in version.replace(" ", "").split("|")]
    if len(choices) == 1:
        return _all_of(choices[0], exact=exact), None
    found = [_all_of(choice, exact=exact) for choice in choices]
    if "" in found:
        return "", None
    best = _most_open(found)
    return found[best], choices[best]


def _most_open(specifiers: list[str]) -> int:
    """Which range goes highest: one without an upper end, the longest of those, else the one that ends highest."""
    ends: list[tuple[Version, int]] = []
    begins: list[tuple[Version, int]] = []
    for index, text in enumerate(specifiers):
        parts = [(each.operator, Version(each.version.removesuffix(".*"))) for each in SpecifierSet(text)]
        upper = [version for operator, version in parts if operator in ("<", "<=", "==", "~=")]
        if upper:
            ends.append((min(upper), index))
        else:
            lower = [version for operator, version in parts if operator in (">", ">=")]
            begins.append((max(lower, default=Version("0")), index))
    return min(begins)[1] if begins else max(ends)[1]


def _all_of(text: str, *, exact: bool) -> str:
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    if "(" in text or ")" in text:
        raise ValueError("alternatives within others, in parentheses, cannot be said to the Python index; choose one")
    parts = [_constraint(part, exact=exact) for part in text.split(",")] if text else []
    specifier = ",".join(filter(None, parts))
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        raise ValueError(
            f"{text!r} cannot be said to the Python index; write it as `>=1.2,<1.3` or `==1.2.3`"
        ) from None
    return specifier


def _constraint(text: str, *, exact: bool) -> str:
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise ValueError("a version is missing between its commas or after its operator")
    operator, number = match[1] or "", match[2]
    if re.fullmatch(r"\*(\.\*)*", number) and operator in ("", "=", "==", ">=", "<="):
        return ""
    if number.startswith("^") or number.endswith("$"):
        raise ValueError("versions as regular expressions cannot be said to the Python index; write a range")
    plain = re.sub(r"\.?\*$", "", number)
    prefix = plain != number
    if re.search(r"[=<>~]|(?<!\d)!|!(?!\d)", plain):
        raise ValueError(
            "a version is missing after an operator, or a comma between two of them; write `>=1.2,<1.3` or `==1.2.3`"
        )
    _check_version(plain)
    if operator == "~=" and (prefix or "." not in plain):
        raise ValueError(f"`~=` needs a version of two parts or more without `*`, not {number!r}")
    if operator in ("", "=", "==", "!="):
        if operator == "=" and not exact:
            prefix = True
        ends_in_release = re.fullmatch(r"(\d+!)?\d+(\.\d+)*", plain) is not None
        return f"{'!=' if operator == '!=' else '=='}{plain}{'.*' if prefix and ends_in_release else ''}"
    return f"{operator}{plain}"


def _check_version(number: str) -> None:
    """conda takes versions such as `1.0.2t` and `2020a`, which the index does not know or reads differently."""
    try:
        Version(number)
    except InvalidVersion:
        pass
    else:
        if not re.search(r"[A-Za-z]$", number.partition("+")[0]):
            return
    raise ValueError(
        f"{number!r} is a version of conda's that the Python index does not know; look up what it is there"
    )
