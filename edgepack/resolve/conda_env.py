"""A conda environment file, as Azure ML wrote them, read as requirements of the Python index. Pure.

There is no conda on the device: each conda package becomes the wheel of the same software. Operators: conda's
`=1.2` means any 1.2 (`==1.2.*`), `==1.2` and a bare `1.2` are exact, the others are those of the Python index. Build
strings and channels cannot be honoured and are noted. Everything that is dropped or changed is in `notes`.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from edgepack.errors import InputError
from edgepack.resolve.conda_names import HEADLESS, RENAMED, REPLACED, SYSTEM
from edgepack.yaml_text import parse_yaml

_SPEC = re.compile(
    r"(?:(?P<channel>[^:\s]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.\-]*)\s*"
    r"(?P<version>[=<>!~*0-9][^\[]*)?(?:\[(?P<bracket>[^\]]*)\])?"
)
_INDEX_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}


@dataclass(frozen=True, slots=True)
class PackageRequests:
    """What an environment asks for.

    `requirements` are texts as in PEP 508, sorted, without duplicates. `from_conda` tells which index names came from
    conda's own section. `options` are arguments for the resolver, paths in them relative to `folder`. `python` is the
    pin as it stands in the file. `system` are names of Debian packages, sorted, for libraries and programs that are
    not Python.
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


@dataclass
class _Reading:
    where: str
    read_text: Callable[[str], str]
    requirements: dict[tuple[str, str], Requirement] = field(default_factory=dict)
    from_conda: set[str] = field(default_factory=set)
    options: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    python: str | None = None
    replaced: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_conda_file(text: str, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """Read an environment file; `read_text` gives the text of a file that a `-r` line names.

    Raises:
        InputError: all problems of the file, each starting with `where`.
    """
    return read_conda_document(parse_yaml(text, where), where, read_text)


def read_conda_document(document: Any, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """As `parse_conda_file`, for a document that has been read already."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: a conda file is a mapping with `name`, `channels` and `dependencies`")
    reading = _Reading(where, read_text)
    dependencies = document.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise InputError(f"{where}: `dependencies` must be a list")
    channels = document.get("channels") or []
    if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
        reading.problems.append(f"{where}: `channels` must be a list of names")
        channels = []
    for dependency in dependencies:
        match dependency:
            case str():
                _read_conda_spec(reading, dependency.strip())
            case {"pip": list(lines)} if len(dependency) == 1:
                for line in lines:
                    if isinstance(line, str):
                        _read_pip_line(reading, line.strip(), "")
                    else:
                        reading.problems.append(f"{where}: {line!r} under `pip:` is not a text; put it in quotes")
            case {"pip": None} if len(dependency) == 1:
                pass
            case _:
                reading.problems.append(f"{where}: {dependency!r} is neither a package nor a `pip:` list")
    InputError.raise_if_any(reading.problems)
    return PackageRequests(
        tuple(sorted(map(str, reading.requirements.values()))),
        frozenset(reading.from_conda),
        tuple(channels),
        tuple(reading.options),
        reading.python,
        tuple(reading.replaced),
        tuple(reading.notes),
    )


def with_requirements(requests: PackageRequests, more: Iterable[str]) -> PackageRequests:
    """`requests` and `more`; two requirements of one name and marker become one that asks for both."""
    found: dict[tuple[str, str], Requirement] = {}
    for text in (*requests.requirements, *more):
        _combine(found, Requirement(text))
    return replace(requests, requirements=tuple(sorted(map(str, found.values()))))


def python_fits(pin: str, python: str) -> bool:
    """Does Python `3.N` answer what a conda file asks for, such as `3.8`, `3.8.*` or `>=3.8,<3.12`?"""
    if re.fullmatch(r"\d+(\.\d+)*(\.\*)?", pin):
        parts = zip(pin.removesuffix(".*").split("."), python.split("."), strict=False)
        return all(one == other for one, other in parts)
    try:
        return SpecifierSet(pin).contains(python)
    except InvalidSpecifier:
        return False


def _combine(found: dict[tuple[str, str], Requirement], requirement: Requirement) -> None:
    key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
    if key in found:
        found[key].specifier &= requirement.specifier
        found[key].extras |= requirement.extras
    else:
        found[key] = requirement


def _read_conda_spec(reading: _Reading, spec: str) -> None:
    match = _SPEC.fullmatch(spec)
    if match is None:
        reading.problems.append(f"{reading.where}: {spec!r} is no conda package specification")
        return
    name = match["name"].lower()
    version = (match["version"] or "").strip()
    if match["bracket"]:
        inside = re.search(r"version\s*=\s*['\"]([^'\"]*)['\"]", match["bracket"])
        version = version or (inside[1] if inside else "")
        reading.notes.append(f"{spec}: what stands in brackets is used for the version only")
    if name == "python":
        reading.python = re.sub(r"(?<=[\d*])[\s=]+\S*$", "", version.lstrip("= ")) or None
        return
    if name in SYSTEM:
        reading.notes.append(f"{spec}: left out, wheels bring what they need of it")
        return
    if match["channel"]:
        reading.notes.append(f"{spec}: taken from the Python index, not from channel {match['channel']}")
    if "|" in version:
        reading.problems.append(f"{reading.where}: {spec!r}: alternatives with `|` are not supported; choose one")
        return
    index_name = RENAMED.get(name, name.replace("_", "-"))
    if index_name != name.replace("_", "-"):
        reading.notes.append(f"{spec}: called {index_name} on the Python index")
    text = f"{index_name}{_pep440(version, spec, reading)}"
    reading.from_conda.add(canonicalize_name(index_name))
    _add(reading, text, spec)


def _pep440(version: str, spec: str, reading: _Reading) -> str:
    if not version:
        return ""
    exact = re.fullmatch(r"(==?)?\s*([^\s=<>!~,]+)(?:[\s=]+(\S+))?", version)
    if exact:
        operator, number, build = exact.groups()
        if build:
            reading.notes.append(f"{spec}: the build {build} is conda's own and is not used")
        if number == "*":
            return ""
        if number.endswith("*"):
            return f"=={number.rstrip('.*')}.*"
        return f"=={number}.*" if operator == "=" else f"=={number}"
    parts = [part.strip() for part in version.split(",")]
    return ",".join(re.sub(r"^=(?!=)\s*([^*]+?)(\.\*)?$", r"==\1.*", part) for part in parts)


def _read_pip_line(reading: _Reading, line: str, folder: str) -> None:
    """Read a line of a `pip:` list or of a requirements file in `folder`, relative to the conda file."""
    line = re.sub(r"(^|\s)#.*$", "", line).strip()
    if not line:
        return
    if line.startswith("-"):
        option, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("--") else line.partition(" ")
        value = value.strip()
        if option in _INDEX_OPTIONS and value:
            place = value if "://" in value else posixpath.normpath(posixpath.join(folder, value))
            reading.options += [_INDEX_OPTIONS[option], place]
        elif option == "--no-index" and not value:
            reading.options.append("--no-index")
        elif option == "--pre":
            reading.options += ["--prerelease", "allow"]
        elif option in ("-r", "--requirement") and value:
            _read_required(reading, posixpath.normpath(posixpath.join(folder, value)))
        elif option in ("--trusted-host", "--prefer-binary", "--no-cache-dir"):
            reading.notes.append(f"{line}: has no meaning here and is left out")
        else:
            reading.problems.append(
                f"{reading.where}: pip option {line!r} is not supported; write packages by name and version"
            )
        return
    if re.match(r"(git|hg|svn|bzr)\+|\.{0,2}/|file:", line) or line.endswith((".whl", ".tar.gz")):
        reading.problems.append(
            f"{reading.where}: {line!r} is not a package of an index; publish a wheel of it, put the wheel into a "
            "folder that a `--find-links` line names, and ask for it by name and version"
        )
        return
    _add(reading, line, line)


def _read_required(reading: _Reading, name: str) -> None:
    """Read a requirements file, each one once, with what it refers to."""
    if name in reading.files:
        return
    reading.files.add(name)
    try:
        text = reading.read_text(name)
    except (OSError, ValueError) as error:
        reading.problems.append(f"{reading.where}: -r {name}: cannot be read ({error})")
        return
    except InputError as error:
        reading.problems += [f"{reading.where}: -r {problem}" for problem in error.problems]
        return
    for line in text.splitlines():
        _read_pip_line(reading, line, posixpath.dirname(name))


def _add(reading: _Reading, text: str, original: str) -> None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        reading.problems.append(f"{reading.where}: {original!r} cannot be read as a package and version: {reason}")
        return
    name = canonicalize_name(requirement.name)
    if name in REPLACED:
        reading.replaced.append(name)
        reading.notes.append(f"{original}: replaced by what the device agent offers")
        return
    if requirement.url:
        reading.problems.append(f"{reading.where}: {original!r}: packages by URL are not supported; use the index")
        return
    if name in HEADLESS:
        requirement.name = HEADLESS[name]
        reading.notes.append(f"{original}: taken as {requirement.name}, the same without windows on a screen")
    _combine(reading.requirements, requirement)
