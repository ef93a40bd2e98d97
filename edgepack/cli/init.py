"""`edgepack init`."""

from pathlib import Path

import click

from edgepack.cli.session import Session, pass_session


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--example",
    type=click.Choice(["onnx", "sklearn", "blank"]),
    default="onnx",
    show_default=True,
    help="What the project starts from.",
)
@pass_session
def init_command(session: Session, folder: Path, example: str) -> None:
    """Write a project to DIR that builds and runs as it is, and register its example model."""
    from edgepack.scaffold import write_project

    workspace = session.workspace if session.workspace_given else folder.absolute() / ".edgepack"
    made = write_project(folder, example, workspace)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    shown = [name for name in names if not name.startswith(".")]
    lines = [f"{folder}: {', '.join(shown)}"]
    if made.model:
        lines.append(f"registered model {made.model}")
    lines += ["", "Next:", f"  cd {folder}", "  edgepack build"]
    session.result({"folder": str(folder), "files": shown, "model": made.model}, "\n".join(lines))
