"""A conda environment file, as Azure ML wrote them, read as requirements of the Python index. Pure.

There is no conda on the device: each conda package becomes the wheel of the same software, or the Debian package of
the same library, or is left out because the base or a wheel has it. Builds and channels cannot be honoured. Everything
that is dropped or changed is in `notes`; what cannot be had so is a problem. docs/conda.md tells what becomes of what.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from packaging.utils import canonicalize_name

from edgepack.errors import InputError
from edgepack.resolve.conda_names import FINER_ON_INDEX, index_name, is_renamed
from edgepack.resolve.match_spec import MatchSpec, parse_match_spec, to_pep440
from edgepack.resolve.package_requests import Gathering, PackageRequests
from edgepack.resolve.pip_lines import read_pip_lines
from edgepack.resolve.system_names import fate_of
from edgepack.yaml_text import parse_yaml

_KEYS = ("name", "channels", "dependencies", "variables", "prefix")
_OTHERS_KEYS = {
    "channel_priority": "channels are not used, and so have no order",
    "platforms": "platforms are chosen with --platform or in edgepack.yaml",
    "prefix": "the folder of an environment on another machine has no meaning here",
}
_COMMON_CHANNELS = frozenset({"defaults", "nodefaults"})
# A build made for no Python, as all C programs and libraries have. The hashes that are let through are those of
# packages without content for one system, which may be Python packages.
_WITHOUT_PYTHON = re.compile(r"(?!.*py)(?!.*(?:hd8ed1ab|ha770c72|hd3eb1b0|h06a4308))(?:.*_)?h[0-9a-f]{7,}(?:_.*)?")
_EXPORTED = 8  # this many packages with a build: nobody wrote that by hand


def parse_conda_file(text: str, where: str, read_text: Callable[[str], str]) -> PackageRequests:
    """Read an environment file; `read_text` gives the text of a file that a `-r` line names.

    Raises:
        InputError: all problems of the file, each starting with `where`.
    """
    kept, dropped = _of_linux(text)
    return read_conda_document(parse_yaml(kept, where), where, read_text, dropped)


def read_conda_document(
    document: Any, where: str, read_text: Callable[[str], str], dropped: tuple[str, ...] = ()
) -> PackageRequests:
    """As `parse_conda_file`, for a document that has been read already; `dropped` are lines for other systems."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: a conda file is a mapping with `name`, `channels` and `dependencies`")
    gathering = Gathering(where, read_text)
    for line in dropped:
        gathering.note(line, "left out, its selector is for another system")
    _check_keys(gathering, document)
    _read_variables(gathering, document.get("variables") or {})
    dependencies = document.get("dependencies") or []
    if not isinstance(dependencies, list):
        gathering.problem("`dependencies` must be a list")
        dependencies = []
    builds = sum(isinstance(each, str) and each.count("=") == 2 and "==" not in each for each in dependencies)
    gathering.is_complete = builds >= _EXPORTED
    for dependency in dependencies:
        match dependency:
            case str():
                read_conda_spec(gathering, dependency.strip())
            case {"pip": list(lines)} if len(dependency) == 1:
                for line in lines:
                    if isinstance(line, str):
                        read_pip_lines(gathering, [line], "")
                    else:
                        gathering.problem(f"{line!r} under `pip:` is not a text; put it in quotes")
            case {"pip": None} if len(dependency) == 1:
                pass
            case _:
                gathering.problem(f"{dependency!r} is neither a package nor a `pip:` list{_hint(dependency)}")
    _read_channels(gathering, document.get("channels") or [])
    if gathering.is_complete:
        gathering.note(
            "this file",
            "looks like `conda env export`, with every package of one machine at its exact version; if they do not fit "
            "here, write those that the script imports (`conda env export --from-history` lists what was asked for)",
        )
    InputError.raise_if_any(gathering.problems)
    return gathering.finish()


def _hint(dependency: Any) -> str:
    if isinstance(dependency, dict) and len(dependency) == 1:
        ((key, value),) = dependency.items()
        if key == "pip" and isinstance(value, str):
            return "; put `- ` before each package under `pip:`"
        if isinstance(value, str | int | float):
            return f"; write `- {key}={value}`"
    return ""


def _of_linux(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without list items whose remark is a selector for another system (`# [win]`), and those items."""
    lines, dropped = [], []
    for line in text.split("\n"):
        selector = re.fullmatch(r"\s*-\s+([^\s#].*?)\s+#\s*\[\s*([a-z0-9_ ]+?)\s*\]\s*", line)
        if selector and not _is_for_linux(selector[2]):
            dropped.append(selector[1])
            line = ""
        lines.append(line)
    return "\n".join(lines), tuple(dropped)


def _is_for_linux(selector: str) -> bool:
    words = selector.split()
    if words and words[0] == "not":
        return not any(word.startswith(("linux", "unix")) for word in words[1:])
    known = [word for word in words if re.fullmatch(r"(win|osx|linux|unix)(64|32|-64|-arm64)?|arm64", word)]
    return not known or any(word.startswith(("linux", "unix")) for word in known)


def _check_keys(gathering: Gathering, document: Mapping[str, Any]) -> None:
    for key in document:
        near = get_close_matches(key, _KEYS, 1, 0.75)
        if key in _OTHERS_KEYS:
            gathering.note(f"`{key}`", _OTHERS_KEYS[key])
        elif key == "pip":
            gathering.problem("key `pip` is not known here; `pip:` is an item of the list under `dependencies`")
        elif key not in _KEYS and near:
            gathering.problem(f"key `{key}` is not known; did you mean `{near[0]}`?")
        elif key not in _KEYS:
            gathering.note(f"`{key}`", f"no key of a conda file (those are {', '.join(_KEYS)}), and is left out")


def _read_channels(gathering: Gathering, channels: Any) -> None:
    if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
        gathering.problem("`channels` must be a list of names")
        return
    gathering.channels += channels
    used = [channel for channel in channels if channel not in _COMMON_CHANNELS]
    if used:
        gathering.note(f"channels {', '.join(used)}", "not used, packages come from the Python index and from Debian")


def _read_variables(gathering: Gathering, variables: Any) -> None:
    if not isinstance(variables, dict):
        gathering.problem("`variables` must be a mapping of names and values")
        return
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            gathering.problem(f"{name!r} cannot be the name of an environment variable")
        elif isinstance(value, bool) or not isinstance(value, str | int | float) or "\0" in str(value):
            gathering.problem(f"variable {name} must be a text or a number, not {value!r}; put it in quotes")
        else:
            gathering.variables[name] = str(value)


def read_conda_spec(gathering: Gathering, text: str) -> None:
    """Gather what a package specification of conda asks for."""
    try:
        spec = parse_match_spec(text)
    except ValueError as error:
        gathering.problem(f"{text!r} {error}" if str(error).startswith("is ") else f"{text!r}: {error}")
        return
    if spec.name == "python":
        gathering.python = re.sub(r"^=+", "", spec.version) or gathering.python
        return
    fate = fate_of(spec.name)
    if fate is None and gathering.is_complete and not is_renamed(spec.name) and _WITHOUT_PYTHON.fullmatch(spec.build):
        gathering.note(text, "left out, by its build it is no Python package")
    elif fate is None:
        _add_from_index(gathering, text, spec)
    elif fate.only_if_asked and gathering.is_complete and spec.version:
        gathering.note(text, "left out, other packages needed it; if the script does, write its name without a version")
    elif fate.refused:
        gathering.problem(f"{text!r}: {fate.reason}")
    else:
        gathering.system.update(fate.debian)
        gathering.note(text, fate.reason)


def _add_from_index(gathering: Gathering, text: str, spec: MatchSpec) -> None:
    name = index_name(spec.name)
    try:
        specifier, chosen = to_pep440(spec.version, exact=bool(spec.build))
    except ValueError as error:
        gathering.problem(f"{text!r}: {error}")
        return
    if name in FINER_ON_INDEX:
        specifier = re.sub(r"^==(\d+\.\d+\.\d+)$", r"==\1.*", specifier)
    if chosen is not None:
        gathering.note(text, f"of these versions {chosen} is used")
    if name != canonicalize_name(spec.name):
        gathering.note(text, f"called {name} on the Python index")
    if spec.build:
        gathering.note(text, "the build is conda's own and not used")
    if spec.channel:
        gathering.note(text, f"taken from the Python index, not from channel {spec.channel}")
    if spec.others:
        gathering.note(text, f"{', '.join(spec.others)} in brackets cannot be honoured")
    if gathering.add(f"{name}{specifier}", text) is not None:
        gathering.from_conda.add(name)
