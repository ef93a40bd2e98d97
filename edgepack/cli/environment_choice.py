"""`-e`, `--ev`, `--ed`: a registered environment, or that of a folder, in place of an inference configuration's own."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.session import Session
from edgepack.cli.text import text_of
from edgepack.errors import InputError
from edgepack.inference_config import read_inference_config
from edgepack.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgepack.azureml.core.environment import Environment
    from edgepack.azureml.core.workspace import Workspace

_FOLDER = click.Path(path_type=Path, file_okay=False)
# What an environment stands in place of, and what goes with it unsaid: nearly every file has it, and it does nothing.
_REPLACED = (
    "condaFile",
    "environment",
    "baseImage",
    "baseImageRegistry",
    "enableGpu",
    "cudaVersion",
    "extraDockerfileSteps",
    "extraDockerFileSteps",
)
_REPLACED_UNSAID = ("runtime",)


@dataclass(frozen=True, slots=True)
class EnvironmentChoice:
    """The options as they were given."""

    name: str | None = None
    version: str | None = None
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class PlacedConfig:
    """An inference configuration, a file or a document, and the folder where the paths of a document start."""

    config: Path | Mapping[str, Any] | None
    folder: Path


def environment_options(command: "Callable[..., Any]") -> "Callable[..., Any]":
    """The options; the command gets them as `environment_name`, `environment_version`, `environment_directory`."""
    for option in (
        click.option("--environment-directory", "--ed", type=_FOLDER, help="As -e, of a folder."),
        click.option("--environment-version", "--ev", metavar="V", help="Its version; default: the newest."),
        click.option("--environment-name", "-e", metavar="NAME", help="A registered environment, for that of --ic."),
    ):
        command = option(command)
    return command


def with_environment(
    session: Session, choice: EnvironmentChoice, config: Path | Mapping[str, Any] | None
) -> PlacedConfig:
    """The configuration with the chosen environment; as it was where none is chosen.

    Raises:
        InputError: there is no such environment, or the file of the configuration is none; both together.
    """
    if choice == EnvironmentChoice():
        return PlacedConfig(config, Path.cwd())
    if choice.name is not None and choice.directory is not None:
        raise click.UsageError("--environment-directory excludes --environment-name.")
    if choice.version is not None and choice.name is None:
        raise click.UsageError("--environment-version is that of a registered environment: name it with -e NAME.")
    if config is None:
        raise click.UsageError(
            "An environment is for a script: name it with --ic FILE (in `model deploy` also with --entry-script FILE)."
        )
    problems: list[str] = []

    def attempt(call: "Callable[..., Any]", *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return None

    environment, document = attempt(_environment, session, choice), attempt(_document, config)
    InputError.raise_if_any(problems)
    from edgepack.azureml.core.inference_config import environment_document

    folder = _folder(config, document)
    dropped = [key for key in _REPLACED if document.get(key) is not None]
    named = f"{environment.name}:{environment.version}" if environment.version else environment.name
    session.say(f"environment {named}" + (f" in place of {', '.join(dropped)} of {config}" if dropped else ""))
    kept = {key: value for key, value in document.items() if key not in _REPLACED + _REPLACED_UNSAID}
    place = folder / (document.get("sourceDirectory") or "")
    return PlacedConfig({**kept, "environment": environment_document(environment, place)}, folder)


def workspace_of(session: Session) -> "Workspace":
    """The workspace of a command, for the Python interface of SDK v1."""
    from edgepack.azureml.core.workspace import Workspace

    workspace = Workspace()
    workspace.folder = session.workspace
    return workspace


@contextmanager
def told_as_input() -> "Iterator[None]":
    """Errors of the Python interface of SDK v1 as those of the command line."""
    from edgepack.azureml.exceptions import AzureMLException

    try:
        yield
    except AzureMLException as error:
        raise InputError(*error.message.replace("overwrite=True", "--overwrite").splitlines()) from error
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error


def _environment(session: Session, choice: EnvironmentChoice) -> "Environment":
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        if choice.directory is not None:
            return Environment.load_from_directory(str(choice.directory))
        return Environment.get(workspace_of(session), choice.name or "", choice.version)


def _document(config: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(config, Path):
        return config
    document = parse_yaml(text_of(config), str(config), kind="JSON or YAML")
    read_inference_config(document, str(config))
    found: Mapping[str, Any] = document
    return found


def _folder(config: Path | Mapping[str, Any], document: Mapping[str, Any]) -> Path:
    """Where the document's paths start: the folder of its file; the current one, if the script is only there."""
    from edgepack.script_folder import first_with

    here = Path.cwd()
    if not isinstance(config, Path):
        return here
    folders, source = (config.resolve().parent, here), document.get("sourceDirectory")
    name = source or document.get("entryScript") or ""
    return first_with(name, folders, folder=bool(source)) or folders[0]
