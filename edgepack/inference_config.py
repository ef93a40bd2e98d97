"""The inference configuration: entry script, its folder and its conda environment, in the file format of Azure ML v1.

JSON or YAML. Keys that only the cloud could act on are reported and left out; keys that would change what runs and
cannot be honoured are errors. So is a base Dockerfile with steps that run or copy something; of one without them,
what is not taken is reported. Source: the v1 configuration schema for `az ml model deploy --ic`.
"""

import re
from collections.abc import Iterator, Mapping
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
    "schemaFile": str,
}
_RUNTIMES = ("python", "python-slim")
_MOST_OF_A_STEP = 60
_FROM = re.compile(r"\s*FROM\s", re.IGNORECASE)
_BASE = "the base is Debian's, or what `edgepack build --base` names"
_INSTEAD = (
    "nothing is run or copied at build time: name packages, and libraries such as libgl or ffmpeg, in the conda file "
    "(docs/conda.md), and keep files beside the script"
)


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """What the file says. Paths are as written; `conda` is an environment's own dependencies, if it has any.

    `base_dockerfile` is a file, where the environment names one in place of its text: see `dockerfile_problems`.
    """

    entry_script: str | None = None
    source_directory: str | None = None
    conda_file: str | None = None
    conda: Mapping[str, Any] | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    base_dockerfile: str | None = None


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
        problems.append(f"{where}: extraDockerfileSteps ({steps}) cannot be carried out: {_INSTEAD}")
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
    docker = _mapping(environment, "docker", where, problems)
    dockerfile = docker.get("baseDockerfile")
    if not isinstance(dockerfile, str | None):
        problems.append(f"{where}: environment.docker.baseDockerfile must be the text of a Dockerfile")
    elif dockerfile:
        problems += dockerfile_problems(dockerfile, f"{where}: docker.baseDockerfile")
    notes = tuple(_notes(document, docker, where))
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
        dockerfile if dockerfile and "\n" not in dockerfile and not _FROM.match(dockerfile) else None,
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
        notes.append(f"{where}: base image {image} is not used; {_BASE}")
    if isinstance(dockerfile := docker.get("baseDockerfile"), str) and dockerfile:
        notes.append(f"{where}: docker.baseDockerfile is not used; {_BASE}")
        notes += dockerfile_notes(dockerfile, where)
    if _mapping(document.get("environment") or {}, "python", where, []).get("userManagedDependencies") is True:
        notes.append(
            f"{where}: userManagedDependencies has no effect: the packages of the image are not there, those of "
            "condaDependencies are installed"
        )
    if document.get("enableGpu"):
        notes.append(f"{where}: enableGpu has no effect: the image has no CUDA libraries")
    if document.get("schemaFile"):
        notes.append(
            f"{where}: schemaFile is not used: /swagger.json describes the script by its `@input_schema` and "
            "`@output_schema`, unless the app root has a swagger.json of your own (docs/agent.md)"
        )
    return notes


def dockerfile_notes(text: str, where: str) -> tuple[str, ...]:
    """What else of a base Dockerfile has no effect."""
    sets = any(word == "ENV" for word, _, _ in _instructions(text))
    return (f"{where}: ENV of docker.baseDockerfile is not set: name it in environmentVariables",) if sets else ()


def dockerfile_problems(text: str, where: str) -> list[str]:
    """What of a base Dockerfile would have changed what runs: the steps that run or copy something, all in one."""
    steps = [f"line {number}: {step}" for word, number, step in _instructions(text) if word in ("RUN", "COPY", "ADD")]
    if not steps:
        return []
    return [
        f"{where} ({'; '.join(steps)}) cannot be carried out: {_INSTEAD}; then leave out baseDockerfile. A Dockerfile "
        "with steps of your own is for `edgepack build --builder docker --dockerfile FILE` (docs/engine.md)"
    ]


def _instructions(text: str) -> Iterator[tuple[str, int, str]]:
    """The instructions of a Dockerfile: the word, its line, and the line, cut where it goes on."""
    is_continued = False
    for number, line in enumerate(text.splitlines(), 1):
        step = line.strip()
        if not step or step.startswith("#"):
            continue
        if not is_continued:
            yield step.split()[0].upper(), number, step.removesuffix("\\").strip()[:_MOST_OF_A_STEP]
        is_continued = step.endswith("\\")
