"""The file that names the packages, in whichever of its formats: which one it is, and how it is read. Pure.

Beside a conda environment: a requirements file of pip, MLflow's `python_env.yaml`, the lists that conda writes
(`conda list --explicit` and `--export`), and a lock of conda-lock. Files of other tools are told apart, with what to
do.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from edgepack.errors import InputError
from edgepack.resolve.conda_env import parse_conda_file, read_conda_spec
from edgepack.resolve.package_requests import Gathering, PackageRequests
from edgepack.resolve.pip_lines import read_pip_lines
from edgepack.yaml_text import parse_yaml

_OTHER_TOOLS = {
    "pyproject.toml": "write its dependencies to a file with `uv pip compile pyproject.toml -o requirements.txt`",
    "pixi.toml": "write its packages to a conda file with `pixi workspace export conda-environment`",
    "pixi.lock": "write its packages to a conda file with `pixi workspace export conda-environment`",
    "Pipfile*": "write its packages to a file with `pipenv requirements > requirements.txt`",
    "poetry.lock": "write its packages to a file with `poetry export -o requirements.txt`",
    "uv.lock": "write its packages to a file with `uv export --no-hashes -o requirements.txt`",
    "pylock.*": "locks are made by edgepack; name the file that says what is wanted",
    "setup.py": "list what it requires in a requirements file",
    "setup.cfg": "list what it requires in a requirements file",
}
_PACKAGE_URL = re.compile(r"(?:\S*/)?([A-Za-z0-9_.\-]+)-([^-\s/]+)-([^-\s/]+)\.(?:conda|tar\.bz2)(?:#\S*)?")
_LISTED = re.compile(r"([A-Za-z0-9_.\-]+)=([^=\s]+)=([^=\s]+)")


def parse_packages_file(text: str, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """Read a file that names packages; `read_text` gives the text of a file that it refers to.

    Raises:
        InputError: all problems of the file, each starting with `where`.
    """
    text = text.removeprefix("\ufeff")
    name = re.split(r"[/\\]", where)[-1]
    for pattern, advice in _OTHER_TOOLS.items():
        if fnmatchcase(name, pattern):
            raise InputError(f"{where}: is neither a conda file nor a requirements file; {advice}")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if "@EXPLICIT" in lines or (lines and all(_LISTED.fullmatch(line) for line in lines)):
        return _read_list(lines, where, read_text)
    if name.endswith((".txt", ".in")) or _is_requirements(lines):
        gathering = Gathering(where, read_text)
        gathering.files.add(f"-r {name}")
        read_pip_lines(gathering, [text], "")
        InputError.raise_if_any(gathering.problems)
        return gathering.finish()
    if re.search(r"(?m)^package:", text) and re.search(r"(?m)^metadata:", text):
        return _read_conda_lock(parse_yaml(text, where), where, read_text)
    if re.search(r"(?m)^build_dependencies:", text) or name == "python_env.yaml":
        return _read_python_env(parse_yaml(text, where), where, read_text)
    return parse_conda_file(text, where, read_text)


def _is_requirements(lines: list[str]) -> bool:
    """Is every line one of a requirements file? A line of YAML with a key or a list item is none."""

    def fits(line: str) -> bool:
        if re.match(r"--?[A-Za-z]", line):
            return True
        try:
            Requirement(re.split(r"\s+#|\s+--hash|\s*\\$", line)[0])
        except InvalidRequirement:
            return False
        return True

    return bool(lines) and all(map(fits, (line for line in lines if not line.startswith("--hash"))))


def _read_list(lines: list[str], where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """What `conda list --explicit` or `conda list --export` wrote."""
    gathering = Gathering(where, read_text, is_complete=True)
    for line in lines:
        listed = _LISTED.fullmatch(line)
        package = _PACKAGE_URL.fullmatch(line)
        if listed and listed[3].startswith("pypi"):
            read_pip_lines(gathering, [f"{listed[1]}=={listed[2]}"], "")
        elif listed or package:
            name, version, build = (listed or package).groups()  # type: ignore[union-attr]
            any_system = "/noarch/" in line  # where builds without Python's name may well be Python packages
            read_conda_spec(gathering, f"{name}=={version}" + ("" if any_system else f"={build}"))
        elif line != "@EXPLICIT":
            gathering.problem(f"{line!r} is no line of a list that conda writes")
    gathering.note("this list", "names every package of one machine; the versions are kept, the builds are not")
    InputError.raise_if_any(gathering.problems)
    return gathering.finish()


def _read_conda_lock(document: Any, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    gathering = Gathering(where, read_text, is_complete=True)
    packages = list(_locked(document, gathering))
    platforms = [platform for platform, *_ in packages]
    wanted = next((each for each in ("linux-64", "linux-aarch64", *platforms) if each in platforms), None)
    for platform, manager, name, version, build in packages:
        if platform != wanted:
            continue
        if manager == "pip":
            read_pip_lines(gathering, [f"{name}=={version}"], "")
        else:
            read_conda_spec(gathering, f"{name}=={version}" + (f"={build}" if build else ""))
    gathering.note("this lock", f"is one of conda; its versions for {wanted} are used, its builds are not")
    InputError.raise_if_any(gathering.problems)
    return gathering.finish()


def _read_python_env(document: Any, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """MLflow's file for environments without conda: `python`, and lines of pip under `dependencies`."""
    gathering = Gathering(where, read_text)
    lines = document.get("dependencies") if isinstance(document, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise InputError(f"{where}: `dependencies` must be a list of lines for pip")
    gathering.python = str(document["python"]) if "python" in document else None
    read_pip_lines(gathering, lines, "")
    InputError.raise_if_any(gathering.problems)
    return gathering.finish()


def _locked(document: Any, gathering: Gathering) -> Iterator[tuple[str, str, str, str, str]]:
    """(platform, manager, name, version, build) of each package of the main group."""
    packages = document.get("package") if isinstance(document, dict) else None
    for package in packages if isinstance(packages, list) else [None]:
        if not isinstance(package, Mapping) or not all(
            isinstance(package.get(key), str) for key in ("name", "version")
        ):
            gathering.problem(f"{package!r} is no package of a conda lock")
        elif package.get("category", "main") == "main" and not package.get("optional"):
            file = _PACKAGE_URL.fullmatch(str(package.get("url")))
            build = file[3] if file and "/noarch/" not in package["url"] else str(package.get("build") or "")
            place, manager = str(package.get("platform")), str(package.get("manager", "conda"))
            yield place, manager, package["name"], package["version"], build
