"""`edgepack init`."""

import shlex
from pathlib import Path

import click

from edgepack.cli.session import Session, pass_session
from edgepack.errors import InputError
from edgepack.models.naming import FRAMEWORKS


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--example",
    type=click.Choice(["onnx", "sklearn", "blank"]),
    show_default="onnx",
    help="What the project starts from.",
)
@click.option(
    "--from-model",
    "source",
    metavar="PATH|URI",
    help="Start from a model of your own: an ONNX or scikit-learn file, an MLflow folder or name, any other.",
)
@click.option("--framework", type=click.Choice(FRAMEWORKS), help="Of that model, if its files do not tell.")
@click.option("--with-script", is_flag=True, help="Write a script also for a model that is served without one.")
@pass_session
def init_command(
    session: Session, folder: Path, example: str | None, source: str | None, framework: str | None, with_script: bool
) -> None:
    """Write a project to DIR that builds and runs as it is, and register its model."""
    from edgepack.scaffold import WORKSPACE, write_model_project, write_project

    if source and example:
        raise InputError("--from-model names what the project starts from: leave out --example")
    if not source and (framework or with_script):
        raise InputError("--framework and --with-script are of a model of your own: name it with --from-model")
    workspace = session.workspace if session.workspace_given else None
    if source:
        made = write_model_project(folder, source, workspace, framework=framework, with_script=with_script)
    else:
        made = write_project(folder, example or "onnx", workspace or folder.absolute() / WORKSPACE)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    shown = [name for name in names if not name.startswith(".")]
    lines = [f"{folder}: {', '.join(shown)}"]
    if made.model:
        how = "served by score.py" if made.has_script else "served without a script (docs/models.md)"
        lines.append(f"registered model {made.model}" + (f", {how}" if source else ""))
    lines += ["", "Next:", f"  cd {shlex.quote(str(folder))}", "  edgepack build"]
    document = {"folder": str(folder), "files": shown, "model": made.model, "script": made.has_script}
    session.result(document, "\n".join(lines))
