"""`edgepack manifest render`: a deployment template of the known tools, as the manifest for one platform."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import text_of
from edgepack.deployment.dotenv import parse_dotenv
from edgepack.deployment.manifest_check import sentence
from edgepack.deployment.placeholders import ModuleFile, Surroundings
from edgepack.deployment.template import manifest_name, render_template, template_platform
from edgepack.errors import InputError
from edgepack.files import write_file

_DOTENV = ".env"


@click.command("render")
@click.argument("template", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--platform", required=True, metavar="PLATFORM", help="Such as linux/arm64, or arm64v8, which is the same."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Where to write, -: stdout. Default: config/deployment.PLATFORM.json beside TEMPLATE; stdout for stdin.",
)
@pass_session
def render_command(session: Session, template: Path, platform: str, output: Path | None) -> None:
    """Write the deployment manifest of TEMPLATE (deployment.template.json; -: stdin, as if it were here).

    Variables come from the environment and from .env beside TEMPLATE or in this folder.
    """
    platform = template_platform(platform)
    variables = _variables(template.parent, os.environ)
    folder = template.parent
    surroundings = Surroundings(
        variables,
        lambda module: _module_file(folder / module, variables),
        variables.get("MODULES_PATH") or Surroundings.modules_folder,
    )
    is_stdin = str(template) == "-"
    where = "stdin" if is_stdin else str(template)
    rendered = render_template(text_of(template), platform, surroundings, where)
    for finding in rendered.warnings:
        session.warn(sentence(where, finding))
    text = json.dumps(rendered.manifest, indent=2, ensure_ascii=False)
    if str(output) == "-" or (is_stdin and output is None):
        click.echo(text)
        return
    name = variables.get("DEPLOYMENT_CONFIG_FILE") or manifest_name(template.name, rendered.schema_version, platform)
    output = output or folder / (variables.get("CONFIG_OUTPUT_DIR") or "config") / name
    write_file(output, f"{text}\n".encode(), mode=0o600 if rendered.holds_secrets else 0o644)
    document = {"manifest": str(output), "platform": platform, "layered": rendered.is_layer}
    session.result(document, f"{output}: {'a layer' if rendered.is_layer else 'complete'}, for {platform}")


def _variables(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the file, and above them those of the environment."""
    named = environment.get("DOTENV_FILE", "").strip("\"'")
    if named and not Path(named).is_file():
        raise InputError(f"{named}, which DOTENV_FILE names, is not there")
    for path in [Path(named)] if named else [folder / _DOTENV, Path(_DOTENV)]:
        if path.is_file():
            return {**parse_dotenv(text_of(path), str(path), environment), **environment}
    return dict(environment)


def _module_file(folder: Path, variables: Mapping[str, str]) -> ModuleFile | None:
    path, own = folder / "module.json", folder / _DOTENV
    if not path.is_file():
        return None
    return ModuleFile(
        text_of(path), str(path), parse_dotenv(text_of(own), str(own), variables) if own.is_file() else {}
    )
