"""The inference configuration: entry script, its folder and its conda environment, in the file format of Azure ML v1.

JSON or YAML. Keys that only the cloud could act on are reported and left out; keys that would change what runs and
cannot be honoured are errors. Source: the v1 configuration schema for `az ml model deploy --ic`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from edgepack.errors import InputError
from edgepack.yaml_text import parse_yaml

_KEYS = {
    "entryScript": str,
    "sourceDirectory": str,
    "condaFile": str,
    "runtime": str,
    "description": str,
    "environment": dict,
    "enableGpu": bool,
    "cudaVersion": str,
    "baseImage": str,
    "baseImageRegistry": object,
    "extraDockerfileSteps": str,
    "extraDockerFileSteps": str,
}
_RUNTIMES = ("python", "python-slim")


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """What the file says. Paths are as written; `conda` is an environment's own dependencies, if it has any."""

    entry_script: str | None = None
    source_directory: str | None = None
    conda_file: str | None = None
    conda: Mapping[str, Any] | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parse_inference_config(text: str, where: str) -> InferenceConfig:
    """Read the text of a file.

    Raises:
        InputError: all problems, each starting with `where`.
    """
    return read_inference_config(parse_yaml(text, where, kind="JSON or YAML"), where)


def read_inference_config(document: Any, where: str) -> InferenceConfig:
    """As `parse_inference_config`, for a document that has been read already."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: an inference configuration is a mapping with `entryScript` and `condaFile`")
    problems = [problem for key, value in document.items() for problem in _key_problems(key, value, where)]
    InputError.raise_if_any(problems)
    environment = document.get("environment") or {}
    clashes = [key for key in ("runtime", "condaFile", "enableGpu", "cudaVersion", "baseImage") if key in document]
    if environment and clashes:
        problems.append(f"{where}: `environment` cannot stand beside {', '.join(f'`{key}`' for key in clashes)}")
    if document.get("runtime", "python") not in _RUNTIMES:
        problems.append(f"{where}: runtime {document['runtime']!r} cannot run on a device; use `python`")
    steps = document.get("extraDockerfileSteps") or document.get("extraDockerFileSteps")
    if steps:
        problems.append(
            f"{where}: extraDockerfileSteps ({steps}) would have to run on the target; nothing is run there at build "
            "time: name the packages in the conda file instead"
        )
    python = _mapping(environment, "python", where, problems)
    variables = _mapping(environment, "environmentVariables", where, problems)
    conda = python.get("condaDependencies")
    if conda is not None and not isinstance(conda, dict):
        problems.append(f"{where}: environment.python.condaDependencies must be a mapping, not {conda!r}")
    if not isinstance(python.get("condaDependenciesFile"), str | None):
        problems.append(f"{where}: environment.python.condaDependenciesFile must be the name of a file")
    for name, value in variables.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            problems.append(f"{where}: {name!r} cannot be the name of an environment variable")
        elif not isinstance(value, str | int | float) or "\0" in str(value):
            problems.append(f"{where}: environment variable {name} must be a text or a number, not {value!r}")
    notes = tuple(_notes(document, _mapping(environment, "docker", where, problems), where))
    InputError.raise_if_any(problems)
    return InferenceConfig(
        document.get("entryScript"),
        document.get("sourceDirectory"),
        document.get("condaFile") or python.get("condaDependenciesFile"),
        conda,
        {
            name: str(value)
            for name, value in variables.items()
            if (name, value) != ("EXAMPLE_ENV_VAR", "EXAMPLE_VALUE")
        },
        notes,
    )


def _key_problems(key: Any, value: Any, where: str) -> list[str]:
    if key not in _KEYS:
        near = get_close_matches(str(key), _KEYS, 1)
        hint = f"; did you mean `{near[0]}`?" if near else f"; known are {', '.join(_KEYS)}"
        return [f"{where}: key `{key}` is not known{hint}"]
    if value is not None and not isinstance(value, _KEYS[key]):
        return [f"{where}: `{key}` must be a {_KEYS[key].__name__}, not {type(value).__name__}"]
    return []


def _mapping(environment: Mapping[str, Any], key: str, where: str, problems: list[str]) -> Mapping[str, Any]:
    value = environment.get(key)
    if value is None or isinstance(value, dict):
        return value or {}
    problems.append(f"{where}: environment.{key} must be a mapping, not {value!r}")
    return {}


def _notes(document: Mapping[str, Any], docker: Mapping[str, Any], where: str) -> list[str]:
    notes = []
    image = document.get("baseImage") or docker.get("baseImage")
    if image:
        notes.append(f"{where}: base image {image} is not used; the base is chosen with --base")
    if docker.get("baseDockerfile"):
        notes.append(f"{where}: docker.baseDockerfile is not used; the base is chosen with --base")
    if document.get("enableGpu"):
        notes.append(f"{where}: enableGpu has no effect: the image has no CUDA libraries")
    return notes
