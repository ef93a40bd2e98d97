"""What becomes of conda packages that are no Python packages of the index. Pure; the table is beside this file.

`debian`: the packages of Debian that hold the same library or program. `refused`: it cannot be had, with the reason;
`absent` is the same, but what a list of all installed packages names only because others need it is left out. Every
other kind is left out, since the base or the wheels have it or nothing on a device could use it. A name stands
before the patterns that fit it; `python` takes a name out of a pattern.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

_REASONS = {
    "base": "left out, the base has it",
    "wheels": "left out, wheels bring what they need of it",
    "build": "left out, it is needed only where something is compiled",
    "conda": "left out, it is conda's own",
    "gpu": "left out, it is for graphics processors",
    "screen": "left out, it is for windows on a screen",
    "windows": "left out, it is for another system",
}


@dataclass(frozen=True, slots=True)
class SystemFate:
    """What becomes of a package: `debian` packages (`a|b`: the first that the release has), and the reason to tell.

    `only_if_asked`: nothing is to come of it where a list names all packages, also those that others need.
    """

    reason: str
    debian: tuple[str, ...] = ()
    refused: bool = False
    only_if_asked: bool = False


def fate_of(conda_name: str) -> SystemFate | None:
    """The fate of a conda package by its lower-case name; None for a Python package."""
    names, patterns = _table()
    found = names.get(conda_name) or next((row for pattern, row in patterns if fnmatchcase(conda_name, pattern)), None)
    if found is None or found[0] == "python":
        return None
    kind, text = found
    if kind == "debian":
        packages = tuple(text.split())
        return SystemFate(
            f"taken from Debian as {', '.join(each.replace('|', ' or ') for each in packages)}",
            packages,
            only_if_asked=True,
        )
    if kind in ("refused", "absent"):
        return SystemFate(text, refused=True, only_if_asked=kind == "absent")
    return SystemFate(_REASONS[kind])


def debian_packages() -> tuple[str, ...]:
    """All Debian packages that the table names, as `a` or `a|b`."""
    names, _ = _table()
    return tuple(sorted({package for kind, text in names.values() if kind == "debian" for package in text.split()}))


@cache
def _table() -> tuple[dict[str, tuple[str, str]], tuple[tuple[str, tuple[str, str]], ...]]:
    """(rows by name, rows by pattern with the longest pattern first)."""
    names: dict[str, tuple[str, str]] = {}
    patterns: list[tuple[str, tuple[str, str]]] = []
    for line in files(__package__).joinpath("system_names.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, kind, *text = line.split("\t")
            if "*" in name:
                patterns.append((name, (kind, "".join(text))))
            else:
                names[name] = (kind, "".join(text))
    return names, tuple(sorted(patterns, key=lambda row: -len(row[0])))
