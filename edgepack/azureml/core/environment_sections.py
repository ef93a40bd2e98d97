"""The parts of an `Environment`, with v1's names and defaults, and what they are in its JSON document. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.azureml.core.conda_dependencies import CondaDependencies
from edgepack.azureml.exceptions import UserErrorException

DEFAULT_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
EXAMPLE = {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}


@dataclass(slots=True)
class PythonSection:
    """Python and its packages."""

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None
    conda_dependencies: CondaDependencies | None = field(default_factory=CondaDependencies)


@dataclass(slots=True)
class ContainerRegistry:
    """Where a base image is, and who may pull it."""

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class DockerImagePlatform:
    """What an image was for."""

    os: str = "Linux"
    architecture: str = "amd64"


@dataclass(slots=True)
class DockerBuildContext:
    """A folder with a Dockerfile: in git or in a storage account."""

    location_type: str | None = None
    location: str | None = None
    dockerfile_path: str | None = "Dockerfile"


@dataclass(slots=True)
class DockerSection:
    """The image below the packages; kept, and not used: the base is Debian, or what `edgepack build --base` names."""

    enabled: bool = False
    base_image: str | None = DEFAULT_IMAGE
    base_dockerfile: str | None = None
    build_context: DockerBuildContext | None = None
    shared_volumes: bool = True
    shm_size: str | None = "2g"
    arguments: list[str] = field(default_factory=list)
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    platform: DockerImagePlatform = field(default_factory=DockerImagePlatform)


@dataclass(slots=True)
class SparkSection:
    """Of Spark; kept, and not used."""

    repositories: list[Any] = field(default_factory=list)
    packages: list[Any] = field(default_factory=list)
    precache_packages: bool = True


def image_problem(docker: DockerSection) -> str | None:
    """Whether more than one of the three ways to name an image is used."""
    named = [name for name in ("base_image", "base_dockerfile", "build_context") if getattr(docker, name) is not None]
    if len(named) < 2:
        return None
    return f"docker.{' and docker.'.join(named)} are mutually exclusive: set all but one to None"


def check_sections(document: Mapping[str, Any]) -> None:
    """See that a document has what one of an environment has.

    Raises:
        UserErrorException: it has no name, or a section is not one.
    """
    if not isinstance(document.get("name"), str):
        raise UserErrorException("an environment has a name")
    for key in ("python", "docker", "spark", "databricks", "environmentVariables"):
        if not isinstance(document.get(key) or {}, dict):
            raise UserErrorException(f"environment {document['name']}: {key} must be a mapping")


def python_document(python: PythonSection) -> dict[str, Any]:
    """The section as v1's file has it."""
    conda = python.conda_dependencies
    return {
        "interpreterPath": python.interpreter_path,
        "userManagedDependencies": python.user_managed_dependencies,
        "condaDependenciesFile": python.conda_dependencies_file,
        "baseCondaEnvironment": python.base_conda_environment,
        "condaDependencies": None if conda is None else conda.as_dict(),
    }


def docker_document(docker: DockerSection) -> dict[str, Any]:
    """The section as v1's file has it."""
    registry, context = docker.base_image_registry, docker.build_context
    return {
        "enabled": docker.enabled,
        "baseImage": docker.base_image,
        "baseDockerfile": docker.base_dockerfile,
        "buildContext": None
        if context is None
        else {
            "locationType": context.location_type,
            "location": context.location,
            "dockerfilePath": context.dockerfile_path,
        },
        "sharedVolumes": docker.shared_volumes,
        "shmSize": docker.shm_size,
        "arguments": list(docker.arguments),
        "baseImageRegistry": {
            "address": registry.address,
            "username": registry.username,
            "password": registry.password,
        },
        "platform": {"os": docker.platform.os, "architecture": docker.platform.architecture},
    }


def spark_document(spark: SparkSection) -> dict[str, Any]:
    """The section as v1's file has it."""
    return {
        "repositories": list(spark.repositories),
        "packages": list(spark.packages),
        "precachePackages": spark.precache_packages,
    }


def read_python(document: Mapping[str, Any]) -> PythonSection:
    """The inverse of `python_document`; what is not there has its default."""
    conda, file = _mapping(document, "condaDependencies"), document.get("condaDependenciesFile")
    if not isinstance(file, str | None):
        raise UserErrorException(f"condaDependenciesFile must be the name of a file, not {file!r}")
    return PythonSection(
        bool(document.get("userManagedDependencies", False)),
        document.get("interpreterPath") or "python",
        file,
        document.get("baseCondaEnvironment"),
        CondaDependencies(_underlying_structure=dict(conda)) if conda else None,
    )


def read_docker(document: Mapping[str, Any]) -> DockerSection:
    """The inverse of `docker_document`; what is not there has its default."""
    registry, platform = _mapping(document, "baseImageRegistry"), _mapping(document, "platform")
    context = _mapping(document, "buildContext")
    names_another = document.get("baseDockerfile") or context
    return DockerSection(
        bool(document.get("enabled", False)),
        document.get("baseImage", None if names_another else DEFAULT_IMAGE),
        document.get("baseDockerfile"),
        DockerBuildContext(context.get("locationType"), context.get("location"), context.get("dockerfilePath"))
        if context
        else None,
        bool(document.get("sharedVolumes", True)),
        document.get("shmSize", "2g"),
        _list(document, "arguments"),
        ContainerRegistry(registry.get("address"), registry.get("username"), registry.get("password")),
        DockerImagePlatform(platform.get("os", "Linux"), platform.get("architecture", "amd64")),
    )


def read_spark(document: Mapping[str, Any]) -> SparkSection:
    """The inverse of `spark_document`."""
    return SparkSection(
        _list(document, "repositories"),
        _list(document, "packages"),
        bool(document.get("precachePackages", True)),
    )


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UserErrorException(f"{key} must be a mapping, not {value!r}")
    return value or {}


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise UserErrorException(f"{key} must be a list, not {value!r}")
    return list(value or ())
