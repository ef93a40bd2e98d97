"""`edgepack environment`: the registered environments of SDK v1, as `az ml environment` had them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.az_options import AzGroup
from edgepack.cli.environment_choice import told_as_input, workspace_of
from edgepack.cli.session import Session, pass_session

if TYPE_CHECKING:
    from edgepack.azureml.core.environment import Environment

_name = click.option("-n", "--name", required=True, help="The environment's name.")
_version = click.option("-v", "--version", metavar="V", help="Default: the newest.")
_folder = click.option(
    "-d",
    "--directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Its folder.",
)
_overwrite = click.option("--overwrite", is_flag=True, help="Into a folder that has files.")


@click.group(cls=AzGroup)
def environment_command() -> None:
    """Environments under a name: packages and variables of scripts, for `-e` of a deployment."""


@environment_command.command("scaffold")
@_name
@_folder
@_overwrite
@pass_session
def scaffold(session: Session, name: str, directory: Path, overwrite: bool) -> None:
    """Write the files of a new environment into a folder, to be edited and registered."""
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        Environment(name).save_to_directory(str(directory), overwrite=overwrite)
    session.result({"name": name, "directory": str(directory)}, str(directory))


@environment_command.command("register")
@_folder
@pass_session
def register(session: Session, directory: Path) -> None:
    """Register the environment of a folder, and print NAME:VERSION; the same content again is the same version."""
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        made = Environment.load_from_directory(str(directory)).register(workspace_of(session))
    session.result(_document(made), f"{made.name}:{made.version}")


@environment_command.command("list")
@pass_session
def list_environments(session: Session) -> None:
    """List the registered environments, each with its newest version."""
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        found = Environment.list(workspace_of(session)).values()
    empty = f"no environments in {session.workspace}: register one with\n  edgepack environment register -d DIR"
    lines = [f"{each.name}:{each.version}" for each in found]
    session.result([_document(each) for each in found], "\n".join(lines) or empty)


@environment_command.command("show")
@_name
@_version
@pass_session
def show(session: Session, name: str, version: str | None) -> None:
    """Show an environment as the document that it is."""
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        document = _document(Environment.get(workspace_of(session), name, version))
    session.result(document, json.dumps(document, indent=4, ensure_ascii=False))


@environment_command.command("download")
@_name
@_version
@_folder
@_overwrite
@pass_session
def download(session: Session, name: str, version: str | None, directory: Path, overwrite: bool) -> None:
    """Write the files of an environment into a folder."""
    from edgepack.azureml.core.environment import Environment

    with told_as_input():
        found = Environment.get(workspace_of(session), name, version)
        found.save_to_directory(str(directory), overwrite=overwrite)
    session.result({"name": found.name, "version": found.version, "directory": str(directory)}, str(directory))


def _document(environment: "Environment") -> dict[str, Any]:
    """The document, without a password."""
    found: dict[str, Any] = json.loads(repr(environment))
    return found
