"""`CondaDependencies`: the packages of an environment, as a conda file has them.

Packages added twice stand there once, as they were added last. What becomes of them in an image is told in
docs/projects.md; channels are kept, and not used.
"""

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from edgepack.azureml.exceptions import UserErrorException, told_as
from edgepack.files import write_file
from edgepack.yaml_text import parse_yaml

SDK_VERSION = "1.61.0"
BARE_PYTHON, CREATED_PYTHON = "3.8.13", "3.10.18"
DEFAULTS = "azureml-defaults"
CHANNELS = ("anaconda", "conda-forge")
CONDA_FILE = "conda_dependencies.yml"
_NAME = "project_environment"
_OF_THE_SDK = re.compile(r"azureml-(?!designer|inference-server)[a-z-]+")


class CondaDependencies:
    """The dependencies of an environment, in memory; read from a conda file, or those of a new environment."""

    def __init__(
        self, conda_dependencies_file_path: str | None = None, _underlying_structure: dict[str, Any] | None = None
    ) -> None:
        """Read a file, take a structure as it is, or begin with Python 3.8.13 and `azureml-defaults`.

        Raises:
            FileNotFoundError: there is no such file.
            UserErrorException: the file is no conda file.
        """
        if conda_dependencies_file_path and _underlying_structure:
            raise UserErrorException("give a conda file or a structure, not both")
        if conda_dependencies_file_path:
            self._structure = _read(Path(conda_dependencies_file_path))
        elif _underlying_structure is not None:
            self._structure = _checked(copy.deepcopy(_underlying_structure), "_underlying_structure")
        else:
            self._structure = _new(BARE_PYTHON)

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: list[str] | None = None,
        conda_packages: list[str] | None = None,
        python_version: str = CREATED_PYTHON,
        pin_sdk_version: bool = True,
    ) -> "CondaDependencies":
        """Dependencies with these packages; by default `azureml-defaults`. SDK packages get its version."""
        made = CondaDependencies(_underlying_structure=_new(python_version))
        made.remove_pip_package(DEFAULTS)
        for package in [DEFAULTS] if pip_packages is None else pip_packages:
            is_sdk = _OF_THE_SDK.fullmatch(_pip_name(package) or "")
            named_only = re.sub(r"\s*[=<>!~].*", "", package)
            made.add_pip_package(f"{named_only}~={SDK_VERSION}" if is_sdk and pin_sdk_version else package)
        for package in conda_packages or ():
            made.add_conda_package(package)
        if pip_indexurl:
            made.set_pip_index_url(pip_indexurl)
        return made

    @property
    def conda_packages(self) -> list[str]:
        """Conda's packages, Python among them."""
        return [each for each in self._structure["dependencies"] if isinstance(each, str)]

    @property
    def pip_packages(self) -> list[str]:
        """Pip's packages, without its options."""
        return [line for line in self._pip_lines() if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        """The lines under `pip:` that are options."""
        return [line for line in self._pip_lines() if line.startswith("-")]

    @property
    def conda_channels(self) -> list[str]:
        """The channels."""
        return list(self._structure.get("channels") or ())

    def add_conda_package(self, conda_package: str) -> None:
        """Add a package of conda, or replace the entry of that name."""
        _put(self._structure["dependencies"], _text(conda_package), _conda_name, at=self._conda_end())

    def remove_conda_package(self, conda_package: str) -> None:
        """Remove the entry of that name, whatever its version."""
        _drop(self._structure["dependencies"], _conda_name(conda_package), _conda_name)

    def add_pip_package(self, pip_package: str) -> None:
        """Add a package of pip, or replace the entry of that name."""
        lines = self._pip_lines(make=True)
        _put(lines, _text(pip_package), _pip_name, at=len(lines))

    def remove_pip_package(self, pip_package: str) -> None:
        """Remove the entry of that name, whatever its version."""
        _drop(self._pip_lines(), _pip_name(pip_package), _pip_name)

    def add_channel(self, channel: str) -> None:
        """Add a channel, once."""
        if channel not in self.conda_channels:
            self._structure["channels"] = [*self.conda_channels, _text(channel)]

    def remove_channel(self, channel: str) -> None:
        """Remove a channel."""
        self._structure["channels"] = [each for each in self.conda_channels if each != channel]

    def set_python_version(self, version: str) -> None:
        """Ask for a version of Python."""
        self.remove_conda_package("python")
        self._structure["dependencies"].insert(0, f"python={version}")

    def get_python_version(self) -> str | None:
        """The version of Python that is asked for, as it stands there."""
        found = next((each for each in self.conda_packages if _conda_name(each) == "python"), None)
        return re.sub(r"^\s*python\s*=*", "", found).strip() or None if found else None

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replace all that stands under `pip:`."""
        self._pip_lines(make=True)[:] = [_text(line) for line in pip_requirements]

    def set_pip_option(self, pip_option: str) -> None:
        """Add an option of pip, or replace that of the same name."""
        _put(self._pip_lines(make=True), _text(pip_option), _option_name, at=0)

    def remove_pip_option(self, pip_option: str) -> None:
        """Remove an option of pip."""
        _drop(self._pip_lines(), _option_name(pip_option), _option_name)

    def set_pip_index_url(self, index_url: str) -> None:
        """Take packages of pip from this index: its URL, or the whole option as v1 took it."""
        self.set_pip_option(index_url if _option_name(index_url) else f"--index-url {index_url}")

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Add TensorFlow from conda's section; `core_type` is `cpu` or `gpu`."""
        self.add_conda_package(_tensorflow(core_type) + (f"={version}" if version else ""))

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Add TensorFlow from pip's section; `core_type` is `cpu` or `gpu`."""
        self.add_pip_package(_tensorflow(core_type) + (f"=={version}" if version else ""))

    def get_default_number_of_packages(self) -> tuple[int, int]:
        """How many packages a new object has, of conda (Python) and of pip (`azureml-defaults`)."""
        new = CondaDependencies()
        return len(new.conda_packages), len(new.pip_packages)

    def as_dict(self) -> dict[str, Any]:
        """The content of the conda file."""
        return copy.deepcopy(self._structure)

    def serialize_to_string(self) -> str:
        """The text of the conda file."""
        return yaml.safe_dump(self._structure, sort_keys=False, allow_unicode=True)

    def save_to_file(self, base_directory: str, conda_file_path: str | None = None) -> str:
        """Write the conda file below `base_directory`; returns its path in there."""
        name = conda_file_path or CONDA_FILE
        write_file(Path(base_directory) / name, self.serialize_to_string().encode())
        return name

    def save(self, path: str | None = None) -> str:
        """Write the conda file; returns its path."""
        target = Path(path or CONDA_FILE)
        write_file(target / CONDA_FILE if target.is_dir() else target, self.serialize_to_string().encode())
        return str(target)

    def _pip_lines(self, *, make: bool = False) -> list[str]:
        for each in self._structure["dependencies"]:
            if isinstance(each, dict) and isinstance(each.get("pip"), list):
                lines: list[str] = each["pip"]
                return lines
        lines = []
        if make:
            self._structure["dependencies"] = self.conda_packages
            self._structure["dependencies"].append({"pip": lines})
        return lines

    def _conda_end(self) -> int:
        """Before `pip:`."""
        entries = self._structure["dependencies"]
        return next((place for place, each in enumerate(entries) if isinstance(each, dict)), len(entries))


def _new(python: str) -> dict[str, Any]:
    return {
        "name": _NAME,
        "channels": list(CHANNELS),
        "dependencies": [f"python={python}", {"pip": [DEFAULTS]}],
    }


def _read(path: Path) -> dict[str, Any]:
    with told_as(UserErrorException):
        try:
            structure = _checked(parse_yaml(path.read_text(encoding="utf-8"), str(path)), str(path))
        except UnicodeDecodeError as error:
            raise UserErrorException(f"{path}: not text in UTF-8") from error
    if not any(isinstance(each, str) and _conda_name(each) == "python" for each in structure["dependencies"]):
        structure["dependencies"].insert(0, f"python={CREATED_PYTHON}")
    return structure


def _checked(structure: Any, where: str) -> dict[str, Any]:
    entries = structure.get("dependencies", []) if isinstance(structure, dict) else None
    if entries is None and isinstance(structure, dict):
        entries = []
    if not isinstance(entries, list) or not all(isinstance(each, str | dict) for each in entries):
        raise UserErrorException(f"{where}: a conda file is a mapping with a list `dependencies` of packages")
    return {**structure, "dependencies": entries}


def _put(entries: list[Any], text: str, name_of: Any, *, at: int) -> None:
    """Replace the first entry of the same name, and drop others; else put it in at a place."""
    places = [place for place, each in enumerate(entries) if isinstance(each, str) and name_of(each) == name_of(text)]
    if not places or name_of(text) is None:
        entries.insert(at, text)
        return
    entries[places[0]] = text
    for place in reversed(places[1:]):
        del entries[place]


def _drop(entries: list[Any], name: str | None, name_of: Any) -> None:
    entries[:] = [each for each in entries if not (isinstance(each, str) and name and name_of(each) == name)]


def _conda_name(text: str) -> str:
    return re.split(r"[\s=<>!~\[]", text.rpartition("::")[2].strip(), maxsplit=1)[0].lower()


def _pip_name(line: str) -> str | None:
    """The normalised name; None for an option or an address."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?!\S*://)(?:[\[@=<>!~;\s]|$)", line)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else None


def _option_name(line: str) -> str | None:
    return re.split(r"[\s=]", line.strip(), maxsplit=1)[0] if line.strip().startswith("-") else None


def _text(value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserErrorException(f"a package is a text such as numpy=1.26, not {value!r}")
    return value.strip()


def _tensorflow(core_type: str) -> str:
    if core_type not in ("cpu", "gpu"):
        raise UserErrorException(f"core_type {core_type!r} is neither cpu nor gpu")
    return "tensorflow" if core_type == "cpu" else "tensorflow-gpu"
