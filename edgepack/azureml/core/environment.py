"""`Environment`: packages and variables of a script, in memory, in a folder, or under a name in the workspace."""

import copy
import json
from pathlib import Path
from typing import Any, NoReturn

from edgepack.azureml.cloud_only import names_of
from edgepack.azureml.core import environment_store
from edgepack.azureml.core.conda_dependencies import CONDA_FILE, CondaDependencies
from edgepack.azureml.core.environment_sections import (
    EXAMPLE,
    ContainerRegistry,
    DockerBuildContext,
    DockerImagePlatform,
    DockerSection,
    PythonSection,
    SparkSection,
    check_sections,
    docker_document,
    image_problem,
    python_document,
    read_docker,
    read_python,
    read_spark,
    spark_document,
)
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import UserErrorException
from edgepack.files import write_file

__all__ = [
    "CondaDependencies",
    "ContainerRegistry",
    "DockerBuildContext",
    "DockerImagePlatform",
    "DockerSection",
    "Environment",
    "PythonSection",
    "SparkSection",
]

ENVIRONMENT_FILE, DOCKERFILE = "azureml_environment.json", "BaseDockerfile"
_RESERVED = ("microsoft", "azureml")
__getattr__ = names_of(__name__)  # what is Azure's alone


class Environment:
    """An environment; what a new one holds is what v1's held, its example variable too (which no image gets)."""

    __slots__ = (
        "asset_id",
        "databricks",
        "docker",
        "environment_variables",
        "inferencing_stack_version",
        "name",
        "python",
        "r",
        "spark",
        "version",
    )

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Make an environment; other fields may be given by their names.

        Raises:
            UserErrorException: a field is not known.
        """
        self.name = name
        self.version: str | None = None
        self.environment_variables: dict[str, str] = dict(EXAMPLE)
        self.python = PythonSection()
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.databricks: dict[str, Any] = {}
        self.r: Any = None
        self.inferencing_stack_version: str | None = None
        self.asset_id: str | None = None
        unknown = sorted(set(kwargs) - set(self.__slots__))
        if unknown:
            raise UserErrorException(f"an environment has no {', '.join(unknown)}")
        for key, value in kwargs.items():
            setattr(self, key, value)

    @staticmethod
    def from_conda_specification(name: str, file_path: str) -> "Environment":
        """An environment with the packages of a conda file.

        Raises:
            FileNotFoundError: there is no such file.
            UserErrorException: it is no conda file.
        """
        return Environment(name, python=PythonSection(conda_dependencies=CondaDependencies(file_path)))

    @staticmethod
    def from_pip_requirements(name: str, file_path: str, pip_version: str | None = None) -> "Environment":
        """An environment with the packages of a requirements file, over Python 3.10.

        Raises:
            FileNotFoundError: there is no such file.
            UserErrorException: it is not text.
        """
        text = environment_store.text_of(Path(file_path))
        lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
        pip = f"pip={pip_version}" if pip_version else "pip"
        packages = CondaDependencies.create(pip_packages=[], conda_packages=[pip])
        packages.set_pip_requirements(line for line in lines if line and not line.startswith("#"))
        return Environment(name, python=PythonSection(conda_dependencies=packages))

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | None = None,
        pip_requirements: str | None = None,
    ) -> "Environment":
        """An environment with the packages of a file; the image is kept, and not used.

        Raises:
            FileNotFoundError, UserErrorException: as the two above; or both files are given.
        """
        made = _of_files(name, conda_specification, pip_requirements)
        made.docker.base_image = image
        made.docker.base_image_registry = container_registry or ContainerRegistry()
        return made

    @staticmethod
    def from_dockerfile(
        name: str, dockerfile: str, conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> "Environment":
        """As `from_docker_image`, with a Dockerfile: the path of one, or its text."""
        made = _of_files(name, conda_specification, pip_requirements)
        made.docker.base_image = None
        is_path = "\n" not in dockerfile and not dockerfile.lstrip().upper().startswith("FROM ")
        made.docker.base_dockerfile = environment_store.text_of(Path(dockerfile)) if is_path else dockerfile
        return made

    @staticmethod
    def add_private_pip_wheel(workspace: Workspace, file_path: str, exist_ok: bool = False) -> str:
        """Keep a wheel in the workspace; returns what to give to `add_pip_package`.

        Raises:
            FileNotFoundError: it is not there.
            UserErrorException: it is no wheel, or the workspace has one of that name and `exist_ok` is not given.
        """
        return environment_store.keep_wheel(workspace.folder, Path(file_path), exist_ok=exist_ok)

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> "Environment":
        """An environment with the packages that an environment of conda on this machine has now.

        Raises:
            UserErrorException: conda is not there, or has no such environment.
        """
        packages = CondaDependencies(_underlying_structure=environment_store.exported(conda_environment_name))
        return Environment(name, python=PythonSection(conda_dependencies=packages))

    @staticmethod
    def load_from_directory(path: str) -> "Environment":
        """What `save_to_directory` wrote: a conda file and a `BaseDockerfile` there win over the document.

        The conda file is `conda_dependencies.yml`, or else the one that the document names, if that is there.

        Raises:
            FileNotFoundError: there is none.
            UserErrorException: it is damaged, or a file is not text.
        """
        folder = Path(path)
        file = folder / ENVIRONMENT_FILE
        made = read_environment(environment_store.json_document(file.read_bytes(), str(file)))
        named = [folder / name for name in (CONDA_FILE, made.python.conda_dependencies_file) if name]
        if conda := next((path for path in named if path.is_file()), None):
            made.python.conda_dependencies = CondaDependencies(str(conda))
            made.python.conda_dependencies_file = None
        if (folder / DOCKERFILE).is_file():
            made.docker.base_dockerfile = environment_store.text_of(folder / DOCKERFILE)
        return made

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Write the environment to a folder, to be edited: its conda file, its Dockerfile, and a document of the rest.

        A folder that is overwritten has no document meanwhile: what a killed call leaves is no environment, not half
        of the old one and half of the new one.

        Raises:
            UserErrorException: the folder has files, and `overwrite` is not given.
        """
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()) and not overwrite:
            raise UserErrorException(f"{folder} is there and not empty: choose another folder, or overwrite=True")
        document = self.document()
        del document["python"]["condaDependencies"], document["docker"]["baseDockerfile"]
        text = json.dumps(document, indent=4, ensure_ascii=False) + "\n"
        has_secret = bool(self.docker.base_image_registry.password)
        for name in (ENVIRONMENT_FILE, CONDA_FILE, DOCKERFILE):
            (folder / name).unlink(missing_ok=True)
        python = self.python
        if python.conda_dependencies is not None and not python.conda_dependencies_file:  # the file would win
            python.conda_dependencies.save_to_file(str(folder), CONDA_FILE)
        if self.docker.base_dockerfile is not None:
            write_file(folder / DOCKERFILE, self.docker.base_dockerfile.encode())
        write_file(folder / ENVIRONMENT_FILE, text.encode(), mode=0o600 if has_secret else 0o644)

    def register(self, workspace: Workspace) -> "Environment":
        """Keep the environment in the workspace; the same content again is the same version.

        Raises:
            UserErrorException: its name is not allowed, or it names its image in two ways.
        """
        problem = image_problem(self.docker)
        if str(self.name).lower().startswith(_RESERVED):
            problem = f"environment name {self.name!r}: names that begin with Microsoft or AzureML are reserved"
        if problem:
            raise UserErrorException(problem)
        content = {**self.document(), "version": None, "assetId": None}
        version = environment_store.keep(workspace.folder, self.name, content)
        kept = self.clone(self.name)
        kept.version = version
        return kept

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> "Environment":
        """A registered environment; without `version`, the newest.

        Raises:
            UserErrorException: there is none; the text names those there are.
        """
        if label not in (None, "latest"):
            raise UserErrorException(f"label {label!r}: here environments have the label `latest` alone")
        document, found = environment_store.read(workspace.folder, name, version)
        made = read_environment(document)
        made.version = found
        return made

    @staticmethod
    def list(workspace: Workspace) -> dict[str, "Environment"]:
        """The newest version of each registered environment, by name."""
        return {name: Environment.get(workspace, name) for name in environment_store.names(workspace.folder)}

    def clone(self, new_name: str) -> "Environment":
        """A copy under another name, with no version."""
        made = Environment(new_name)
        for field in self.__slots__:
            if field not in ("name", "version", "asset_id"):
                setattr(made, field, copy.deepcopy(getattr(self, field)))
        return made

    def build(self, workspace: Workspace, image_build_compute: str | None = None) -> NoReturn:
        """Not here: an image is made of an environment, a script and models together.

        Raises:
            UserErrorException: always.
        """
        raise UserErrorException("an image is built with its script and models: Model.package, or `edgepack build`")

    def build_local(self, workspace: Workspace, platform: str | None = None, **kwargs: Any) -> NoReturn:
        """As `build`, which raises UserErrorException."""
        self.build(workspace)

    def get_image_details(self, workspace: Workspace) -> NoReturn:
        """As `build`, which raises UserErrorException."""
        self.build(workspace)

    def document(self) -> dict[str, Any]:
        """The environment as v1's file has it."""
        return {
            "name": self.name,
            "version": self.version,
            "environmentVariables": dict(self.environment_variables),
            "python": python_document(self.python),
            "docker": docker_document(self.docker),
            "spark": spark_document(self.spark),
            "databricks": dict(self.databricks),
            "r": self.r,
            "inferencingStackVersion": self.inferencing_stack_version,
            "assetId": self.asset_id,
        }

    def __repr__(self) -> str:
        """The document, without a password."""
        document = self.document()
        if document["docker"]["baseImageRegistry"]["password"]:
            document["docker"]["baseImageRegistry"]["password"] = "***"  # noqa: S105 - in its place
        return json.dumps(document, indent=4)


def _of_files(name: str, conda_specification: str | None, pip_requirements: str | None) -> Environment:
    """With the packages of one file; of none: as in v1, those are to be the image's (a build says they are not)."""
    if conda_specification and pip_requirements:
        raise UserErrorException("give conda_specification or pip_requirements, not both")
    if conda_specification:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements:
        return Environment.from_pip_requirements(name, pip_requirements)
    return Environment(name, python=PythonSection(user_managed_dependencies=True))


def read_environment(document: dict[str, Any]) -> Environment:
    """The inverse of `Environment.document`; what is not there has v1's default.

    Raises:
        UserErrorException: it has no name, or a section is not one.
    """
    check_sections(document)
    return Environment(
        document["name"],
        version=document.get("version"),
        environment_variables=dict(document.get("environmentVariables") or {}),
        python=read_python(document.get("python") or {}),
        docker=read_docker(document.get("docker") or {}),
        spark=read_spark(document.get("spark") or {}),
        databricks=dict(document.get("databricks") or {}),
        r=document.get("r"),
        inferencing_stack_version=document.get("inferencingStackVersion"),
        asset_id=document.get("assetId"),
    )
