"""What an environment asks for, and the place where a reader of one of its file formats puts what it finds. Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from edgepack.resolve.conda_names import HEADLESS, fate_in_scoring
from edgepack.resolve.match_spec import to_pep440
from edgepack.resolve.url_variables import without_secrets

_MACHINES = ("x86_64", "aarch64", "armv7l")


@dataclass(frozen=True, slots=True)
class PackageRequests:
    """What an environment asks for.

    `requirements` are texts as in PEP 508, sorted, without duplicates. `from_conda` tells which index names came from
    conda's own section. `options` are arguments for the resolver, paths in them relative to `folder`. `python` is the
    pin as it stands in the file. `system` are names of Debian packages, sorted, for libraries and programs that are
    not Python; in `a|b` the first counts that the base's release has. `constraints` limit packages that something
    else asks for. `hashes` are (index name, its SHA-256 digests). `variables` are (name, value) of the environment.
    URLs in `requirements` and `options` may hold `${NAME}`, to be replaced only where they are used.
    """

    requirements: tuple[str, ...] = ()
    from_conda: frozenset[str] = frozenset()
    channels: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    python: str | None = None
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folder: str = ""
    system: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass
class Gathering:
    """What has been found so far in the file `where`; `read_text` gives the text of a file that it refers to.

    `is_complete`: the file names all packages that were installed somewhere, also those that others need.
    """

    where: str
    read_text: Callable[[str], str]
    requirements: dict[tuple[str, str], Requirement] = field(default_factory=dict)
    constraints: dict[tuple[str, str], Requirement] = field(default_factory=dict)
    from_conda: set[str] = field(default_factory=set)
    channels: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    is_complete: bool = False
    python: str | None = None
    replaced: list[str] = field(default_factory=list)
    system: set[str] = field(default_factory=set)
    hashes: dict[str, set[str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def note(self, what: str, reason: str) -> None:
        """Say what becomes of `what`; what becomes the same is told together."""
        told = self.notes.setdefault(reason, [])
        if what not in told:
            told.append(what)

    def problem(self, text: str) -> None:
        """Say what is wrong."""
        self.problems.append(f"{self.where}: {without_secrets(text)}")

    def add(self, text: str, original: str, *, constraint: bool = False) -> Requirement | None:
        """Ask for the requirement `text`, which stands as `original` in the file; None if it is not wanted or wrong."""
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            self.problem(f"{original!r} cannot be read as a package and version: {reason}")
            return None
        name = canonicalize_name(requirement.name)
        fate = None if constraint else fate_in_scoring(name)
        if fate is not None and fate.kind == "refused":
            self.problem(f"{original!r}: {fate.reason}")
            return None
        if fate is not None:
            if fate.kind == "replaced":
                self.replaced.append(name)
            self.note(original, fate.reason)
            return None
        if name in HEADLESS and not requirement.url:
            requirement.name = HEADLESS[name]
            if not constraint:
                self.note(original, f"taken as {requirement.name}, the same without windows on a screen")
        if constraint:
            requirement.extras = set()
        _combine(self.constraints if constraint else self.requirements, requirement, self.problem)
        return requirement

    def finish(self) -> PackageRequests:
        """All that was found; `problems` are the caller's to raise."""
        found = (each for each in self.requirements.values())
        return PackageRequests(
            tuple(sorted(map(str, found))),
            frozenset(self.from_conda),
            tuple(without_secrets(channel) for channel in self.channels),
            tuple(self.options),
            self.python,
            tuple(self.replaced),
            tuple(without_secrets(f"{', '.join(told)}: {reason}") for reason, told in self.notes.items()),
            system=tuple(sorted(self.system)),
            constraints=tuple(sorted(map(str, self.constraints.values()))),
            hashes=tuple((name, tuple(sorted(digests))) for name, digests in sorted(self.hashes.items())),
            variables=tuple(sorted(self.variables.items())),
        )


def with_requirements(requests: PackageRequests, more: Iterable[str]) -> PackageRequests:
    """`requests` and `more`; two requirements of one name and marker become one that asks for both."""
    found: dict[tuple[str, str], Requirement] = {}
    for text in (*requests.requirements, *more):
        _combine(found, Requirement(text), lambda _problem: None)
    return replace(requests, requirements=tuple(sorted(map(str, found.values()))))


def joined(requests: PackageRequests, more: PackageRequests) -> PackageRequests:
    """What two environments ask for together; where only one can count (`python`, `folder`), it is the first's."""
    return replace(
        with_requirements(requests, more.requirements),
        from_conda=requests.from_conda | more.from_conda,
        options=(*requests.options, *(option for option in more.options if option not in requests.options)),
        python=requests.python or more.python,
        system=tuple(sorted({*requests.system, *more.system})),
        constraints=tuple(sorted({*requests.constraints, *more.constraints})),
        hashes=tuple(sorted({*requests.hashes, *more.hashes})),
        variables=tuple(sorted((dict(more.variables) | dict(requests.variables)).items())),
    )


def without(requests: PackageRequests, names: Iterable[str]) -> PackageRequests:
    """`requests` without the packages of these canonical names."""
    left_out = set(names)
    kept = (text for text in requests.requirements if canonicalize_name(Requirement(text).name) not in left_out)
    return replace(requests, requirements=tuple(kept))


def specifier_of(requests: PackageRequests, name: str) -> str | None:
    """Which versions of the package of this canonical name, such as `==1.2`, are asked for; None: it is not."""
    for text in requests.requirements:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == name:
            return str(requirement.specifier)
    return None


def _combine(
    found: dict[tuple[str, str], Requirement], requirement: Requirement, problem: Callable[[str], None]
) -> None:
    name = canonicalize_name(requirement.name)
    key = (name, str(requirement.marker or ""))
    former = found.get(key)
    if former is None:
        found[key] = requirement
        return
    former.extras |= requirement.extras
    former.specifier &= requirement.specifier
    if former.url and requirement.url and former.url != requirement.url:
        parts = [_for_one_machine(each) for each in (former, requirement)]
        if all(parts) and parts[0] != parts[1]:
            del found[key]
            for each in (former, requirement):
                found[(name, str(each.marker or ""))] = each
        else:
            problem(f"{name} is asked for from two addresses; leave one, or give each a marker of its own")
    elif former.url or requirement.url:  # the address decides, as with pip
        former.url = former.url or requirement.url
        former.specifier = SpecifierSet()


def _for_one_machine(requirement: Requirement) -> str | None:
    """Give a wheel by URL the marker of the one machine that its name speaks of; the marker, or None."""
    from packaging.markers import Marker

    try:
        _, _, _, tags = parse_wheel_filename(wheel_name(requirement.url or ""))
    except InvalidWheelFilename:
        return None
    machines = {machine for machine in _MACHINES for tag in tags if tag.platform.endswith(machine)}
    if len(machines) != 1 or (requirement.marker and "platform_machine" not in str(requirement.marker)):
        return None
    if requirement.marker is None:
        requirement.marker = Marker(f"platform_machine == '{machines.pop()}'")
    return str(requirement.marker)


def wheel_name(url: str) -> str:
    """The file name at the end of a URL or path, decoded."""
    from urllib.parse import unquote

    return unquote(re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2])


def python_fits(pin: str, python: str) -> bool:
    """Does Python `3.N` answer what a conda file asks for, such as `3.8`, `3.8.*`, `>=3.8,<3.12` or `3.8|3.9`?"""
    return any(_fits(choice.strip().lstrip("="), python) for choice in pin.split("|"))


def _fits(pin: str, python: str) -> bool:
    if re.fullmatch(r"\d+(\.\d+)*(\.?\*)?", pin):
        parts = zip(re.sub(r"\.?\*$", "", pin).split("."), python.split("."), strict=False)
        return all(one == other for one, other in parts)
    try:
        return SpecifierSet(to_pep440(pin)[0]).contains(python)
    except (InvalidSpecifier, ValueError):
        return False
