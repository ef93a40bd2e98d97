"""The texts of a Debian archive: release files, package lists, versions, dependencies. Pure.

Source: Debian Policy (chapters 5 and 7) and the repository format page of Debian's wiki.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cmp_to_key

from edgepack.errors import DamagedDataError, InputError


@dataclass(frozen=True, slots=True)
class DebPackage:
    """One binary package of an archive; `filename` is relative to the archive's root."""

    name: str
    version: str
    architecture: str
    filename: str
    sha256: str
    size_bytes: int
    archive: str = "main"  # which of a release's archives has it: main or security


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package, what it needs (each a tuple of alternatives), and the virtual packages that it provides."""

    package: DebPackage
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """What a signed release file says. `files` maps a path below `dists/SUITE/` to (SHA-256, size in bytes)."""

    suite: str
    codename: str
    architectures: tuple[str, ...]
    date: datetime
    valid_until: datetime | None
    files: Mapping[str, tuple[str, int]]


def parse_release(text: str, where: str) -> ReleaseFile:
    """Read the text that a signature covers.

    Raises:
        DamagedDataError: a needed field is missing or unreadable; the message starts with `where`.
    """
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, int]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(" "):
            parts = line.split()
            if name == "SHA256" and len(parts) == 3 and parts[1].isdecimal():
                files[parts[2]] = (parts[0], int(parts[1]))
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    try:
        until = fields.get("Valid-Until")
        return ReleaseFile(
            fields["Suite"],
            fields["Codename"],
            tuple(fields["Architectures"].split()),
            parsedate_to_datetime(fields["Date"]).astimezone(UTC),
            parsedate_to_datetime(until).astimezone(UTC) if until else None,
            files,
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise DamagedDataError(f"{where}: not a Debian release file ({error!r})") from error


class PackageLists:
    """The packages of several `Packages` files, for one architecture. A stanza is read only when it is asked for.

    Given the texts in order of preference as (text, archive); architecture `all` counts as the wanted one.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], architecture: str) -> None:
        self._architecture = architecture
        self._stanzas: dict[str, list[tuple[str, str]]] = {}
        self._provided: list[tuple[str, str]] = []  # package, its line of what it provides
        self._known: dict[str, Candidate | None] = {}
        for text, archive in texts:
            for stanza in text.split("\n\n"):
                if stanza.startswith("Package: "):
                    name = stanza[9 : stanza.index("\n")]
                    self._stanzas.setdefault(name, []).append((stanza, archive))
                    if "\nProvides: " in stanza:
                        self._provided.append((name, stanza.partition("\nProvides: ")[2].partition("\n")[0]))

    def find(self, name: str) -> Candidate | None:
        """The newest version of `name`, else of the first package (by name) that provides it, else None."""
        if name not in self._known:
            self._known[name] = self._newest(name if name in self._stanzas else self._provider(name))
        return self._known[name]

    def _newest(self, name: str) -> Candidate | None:
        found = [self._candidate(stanza, archive) for stanza, archive in self._stanzas.get(name, ())]
        fitting = [one for one in found if one.package.architecture in (self._architecture, "all")]
        return max(fitting, key=lambda one: version_key(one.package.version), default=None)

    def _provider(self, virtual: str) -> str:
        """The first package (by name) that provides `virtual`; "": none does."""
        lines = ((name, line) for name, line in self._provided if virtual in line)
        return min((name for name, line in lines if any(each == virtual for each, *_ in _relations(line))), default="")

    def _candidate(self, stanza: str, archive: str) -> Candidate:
        fields: dict[str, str] = {}
        for line in stanza.split("\n"):
            if line[:1] not in (" ", "\t", ""):
                key, _, value = line.partition(": ")
                fields[key] = value
        try:
            package = DebPackage(
                fields["Package"],
                fields["Version"],
                fields["Architecture"],
                fields["Filename"],
                fields["SHA256"],
                int(fields["Size"]),
                archive,
            )
            _split_version(package.version)
        except (KeyError, ValueError) as error:
            raise DamagedDataError(f"package list: a stanza cannot be read ({error!r}): {stanza[:80]!r}") from error
        needs = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        provides = tuple(virtual for virtual, *_ in _relations(fields.get("Provides", "")))
        return Candidate(package, tuple(_relations(needs)), provides)


def close_dependencies(
    seeds: Iterable[str], available: PackageLists, excluded: Collection[str]
) -> tuple[DebPackage, ...]:
    """`seeds` and all that they need, sorted by name, without what is `excluded` and what only that needs.

    A virtual package is looked at last: one that a chosen package provides brings no other.

    Raises:
        InputError: names every package that neither exists nor is provided by another.
    """
    chosen: dict[str, DebPackage] = {}
    satisfied: set[str] = set(excluded)
    problems: list[str] = []
    waiting = list(seeds)
    virtual: list[str] = []
    while waiting or virtual:
        name = waiting.pop() if waiting else virtual.pop()
        if name in satisfied:
            continue
        candidate = available.find(name)
        if waiting and candidate is not None and candidate.package.name != name:
            virtual.append(name)
            continue
        satisfied.add(name)
        if candidate is None:
            problems.append(f"Debian package {name!r} is not in the archive")
        elif candidate.package.name not in chosen:
            chosen[candidate.package.name] = candidate.package
            satisfied.update((candidate.package.name, *candidate.provides))
            for alternatives in candidate.depends:
                if satisfied.isdisjoint(alternatives):
                    known = (other for other in alternatives if available.find(other))
                    waiting.append(next(known, alternatives[0]))
    InputError.raise_if_any(problems)
    return tuple(sorted(chosen.values(), key=lambda package: package.name))


def _relations(text: str) -> Iterator[tuple[str, ...]]:
    for relation in filter(None, (part.strip() for part in text.split(","))):
        yield tuple(re.split(r"[ (:\[]", choice.strip(), maxsplit=1)[0] for choice in relation.split("|"))


def compare_versions(one: str, other: str) -> int:
    """-1, 0 or 1 as `one` is lower than, equal to or higher than `other`, by Debian Policy 5.6.12."""
    parts = [_split_version(version) for version in (one, other)]
    if parts[0][0] != parts[1][0]:
        return -1 if parts[0][0] < parts[1][0] else 1
    return _compare_part(parts[0][1], parts[1][1]) or _compare_part(parts[0][2], parts[1][2])


version_key = cmp_to_key(compare_versions)


def _split_version(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    upstream, _, revision = (rest if colon else version).rpartition("-")
    if not upstream:
        upstream, revision = revision, ""
    return (int(epoch) if colon else 0), upstream, revision


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare_part(one: str, other: str) -> int:
    while one or other:
        texts = [re.match(r"\D*", part).group() for part in (one, other)]  # type: ignore[union-attr]
        weights = [[*(_order(character) for character in text), 0] for text in texts]
        if weights[0] != weights[1]:
            return -1 if weights[0] < weights[1] else 1
        one, other = one[len(texts[0]) :], other[len(texts[1]) :]
        digits = [re.match(r"\d*", part).group() for part in (one, other)]  # type: ignore[union-attr]
        numbers = [int(text or 0) for text in digits]
        if numbers[0] != numbers[1]:
            return -1 if numbers[0] < numbers[1] else 1
        one, other = one[len(digits[0]) :], other[len(digits[1]) :]
    return 0
