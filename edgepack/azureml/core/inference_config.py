"""`InferenceConfig`: the entry script and its environment, checked when it is made, as in v1."""

import ast
import keyword
import os
from pathlib import Path
from typing import Any

from edgepack.azureml.core.environment import Environment
from edgepack.azureml.core.environment_sections import DEFAULT_IMAGE, ContainerRegistry, image_problem
from edgepack.azureml.exceptions import UserErrorException, WebserviceException

RUNTIMES = ("python", "spark-py", "python-slim")
CUDA_VERSIONS = ("9.0", "9.1", "10.0")


class InferenceConfig:
    """How a model is served. Relative paths start at the folder in which it was made, or at its source directory."""

    def __init__(
        self,
        entry_script: str | os.PathLike[str],
        runtime: str | None = None,
        conda_file: str | os.PathLike[str] | None = None,
        extra_docker_file_steps: str | os.PathLike[str] | None = None,
        source_directory: str | os.PathLike[str] | None = None,
        enable_gpu: bool | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | None = None,
        cuda_version: str | None = None,
        environment: Environment | None = None,
    ) -> None:
        """Keep and check what is given.

        Raises:
            WebserviceException: a file is missing, or the values do not go together; all problems at once.
            UserErrorException: the script has a syntax error.
        """
        self.folder = Path.cwd()
        self.entry_script = _text(entry_script)
        self.runtime = runtime
        self.conda_file = _text(conda_file)
        self.extra_docker_file_steps = _text(extra_docker_file_steps)
        self.source_directory = _text(source_directory)
        self.enable_gpu = enable_gpu
        self.description = description
        self.base_image = base_image
        self.base_image_registry = base_image_registry
        self.cuda_version = cuda_version
        self.environment = environment
        self.validate_configuration()

    def validate_configuration(self) -> None:
        """Check the values and the files they name.

        Raises:
            WebserviceException, UserErrorException: as when it is made.
        """
        problems = [*self._value_problems(), *self._file_problems()]
        if problems:
            raise WebserviceException("\n".join(problems))
        try:
            ast.parse((self._root() / self.entry_script).read_bytes(), self.entry_script)
        except (SyntaxError, ValueError) as error:
            raise UserErrorException(f"{self.entry_script} is not valid Python: {error}") from error

    def document(self) -> dict[str, Any]:
        """The configuration as v1's file has it; its paths start at `folder`."""
        document = {
            "entryScript": self.entry_script,
            "sourceDirectory": self.source_directory,
            "runtime": self.runtime and self.runtime.lower(),
            "condaFile": self.conda_file,
            "extraDockerfileSteps": self.extra_docker_file_steps,
            "enableGpu": self.enable_gpu,
            "cudaVersion": self.cuda_version,
            "baseImage": self.base_image,
            "description": self.description,
            "environment": None if self.environment is None else environment_document(self.environment, self._root()),
        }
        return {key: value for key, value in document.items() if value is not None}

    def _root(self) -> Path:
        return Path(self.source_directory) if self.source_directory else self.folder

    def _value_problems(self) -> list[str]:
        problems = []
        if self.runtime is not None and str(self.runtime).lower() not in RUNTIMES:
            problems.append(f"runtime {self.runtime!r} is not known: choose one of {', '.join(RUNTIMES)}")
        if self.cuda_version is not None and self.cuda_version not in CUDA_VERSIONS:
            problems.append(f"cuda_version {self.cuda_version!r} is not one of {', '.join(CUDA_VERSIONS)}")
        if self.environment is None:
            return problems
        if not isinstance(self.environment, Environment):
            return [*problems, f"environment must be an Environment, not {type(self.environment).__name__}"]
        excluded = ("runtime", "conda_file", "extra_docker_file_steps", "enable_gpu", "cuda_version", "base_image")
        given = [name for name in excluded if getattr(self, name) is not None]
        if given:
            problems.append(f"environment cannot be given together with {', '.join(given)}")
        image = image_problem(self.environment.docker)
        return [*problems, *([image] if image else [])]

    def _file_problems(self) -> list[str]:
        if self.source_directory is not None:
            place = Path(self.source_directory)
            if not place.is_dir():
                return [f"source directory {self.source_directory!r} does not exist"]
            self.source_directory = str(place.resolve())
        if not isinstance(self.entry_script, str) or not self.entry_script:
            return ["entry_script is required: the Python file with init() and run()"]
        script = self._root() / self.entry_script
        problems = []
        if not script.is_file():
            problems.append(f"entry script {script} does not exist")
        if script.suffix != ".py":
            problems.append(f"entry script {self.entry_script!r} must be a Python file (.py)")
        if not script.stem.isidentifier() or keyword.iskeyword(script.stem):
            problems.append(f"entry script {self.entry_script!r}: {script.stem!r} cannot be the name of a module")
        for what, name in (("conda file", self.conda_file), ("docker file steps", self.extra_docker_file_steps)):
            if name is not None and not (self._root() / name).is_file():
                problems.append(f"{what} {self._root() / name} does not exist")
        return problems


def _text(path: Any) -> Any:
    """A path as a text; all else as it is, to be checked."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def environment_document(environment: Environment, root: Path) -> dict[str, Any]:
    """What of an environment counts for an image; a base image is named only where it is not the usual one."""
    python = environment.python
    document: dict[str, Any] = {
        "name": environment.name,
        "environmentVariables": dict(environment.environment_variables),
        "python": {},
        "docker": {},
    }
    if python.conda_dependencies_file:
        document["python"]["condaDependenciesFile"] = str(root / python.conda_dependencies_file)
    elif python.conda_dependencies is not None:
        document["python"]["condaDependencies"] = python.conda_dependencies.as_dict()
    if python.user_managed_dependencies:
        document["python"]["userManagedDependencies"] = True
    if environment.docker.base_image not in (None, DEFAULT_IMAGE):
        document["docker"]["baseImage"] = environment.docker.base_image
    if environment.docker.base_dockerfile:
        document["docker"]["baseDockerfile"] = environment.docker.base_dockerfile
    return document
