"""`edgepack build`."""

import os
from pathlib import Path
from typing import Any

import click

from edgepack.cli.base_options import BaseOptions, base_options, check_base
from edgepack.cli.build_check import check_samples
from edgepack.cli.build_steps import BuildSteps, check_steps, signing_key, step_options, take_steps
from edgepack.cli.builder_choice import builder_options, chosen_builder, chosen_compression
from edgepack.cli.platform_option import platforms_option
from edgepack.cli.session import Session, pass_session
from edgepack.workspace_folder import find_project


@click.command("build")
@click.option("-m", "--model", "models", multiple=True, metavar="NAME[:V]", help="A registered model; repeatable.")
@click.option(
    "--ic",
    "--inference-config-file",
    "inference_config",
    type=click.Path(path_type=Path),
    help="Inference configuration: entry script and conda file.",
)
@platforms_option("Platforms, separated by commas: linux/amd64,linux/arm64 (default), linux/arm/v7.")
@click.option("-t", "--tag", "image", metavar="REF", help="Name of the image: REGISTRY/NAME:TAG.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Where to write. Default: dist.")
@base_options
@builder_options
@click.option(
    "--exclude",
    "excluded",
    multiple=True,
    metavar="PATTERN",
    help="Leave files of the source directory out, as a .gitignore does; repeatable.",
)
@click.option("--lock", "update_lock", is_flag=True, help="Resolve packages and base anew and rewrite the locks.")
@click.option("--locked", "frozen_lock", is_flag=True, help="Fail rather than resolve: the locks must be up to date.")
@click.option("--offline", is_flag=True, help="Use the cache only.")
@click.option("--layered", is_flag=True, help="Write the modules and routes as a layered deployment, too.")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd"]),
    default="gzip",
    help="Of the layers. zstd is smaller and faster, for devices whose engine takes it (Docker from 23.0 on).",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and make nothing but the locks.")
@step_options
@pass_session
def build_command(
    session: Session,
    /,
    models: tuple[str, ...],
    inference_config: Path | None,
    platforms: list[str] | None,
    image: str | None,
    output: Path | None,
    base: str | None,
    update_base: bool,
    without_security: bool,
    builder: str,
    dockerfile: Path | None,
    build_network: str | None,
    excluded: tuple[str, ...],
    update_lock: bool,
    frozen_lock: bool,
    offline: bool,
    layered: bool,
    compression: str,
    dry_run: bool,
    **steps: Any,
) -> None:
    """Build the images for all platforms and the deployment manifest.

    Without -m and --ic, builds the project whose edgepack.yaml is in this folder or the nearest one above; with
    them, what they name, and no edgepack.yaml is read.
    """
    if update_lock and frozen_lock:
        raise click.UsageError("--lock and --locked exclude each other.")
    if update_lock and offline:
        raise click.UsageError("--lock needs the network, which --offline forbids.")
    check_base(BaseOptions(base, update_base, without_security), frozen=frozen_lock, offline=offline)
    from edgepack import build as verb
    from edgepack.assembly import read_assembly
    from edgepack.project import BuildOptions

    here = Path.cwd()
    named = bool(models or inference_config)
    folder = here if named else find_project(here) or here
    output = output or folder / "dist"
    options = BuildOptions(
        models, inference_config, platforms, image, base, output, session.workspace, dockerfile, excluded
    )
    assembly = read_assembly(folder, options, os.environ)
    packing = chosen_compression(compression, builder)
    make_images = chosen_builder(builder, build_network, assembly, output, session)
    settings = verb.BuildSettings(
        session.workspace,
        output,
        update_lock,
        frozen_lock,
        offline,
        layered,
        session.say,
        session.warn,
        make_images,
        packing,
        update_base,
        without_security,
        bool(steps.get("insecure")),
    )
    if dry_run:
        plan = verb.dry_run(assembly, settings)
        session.result(plan, _plan_text(plan))
        return
    wanted = BuildSteps(**steps)
    check_steps(wanted, [str(recipe.image) for recipe in assembly.recipes.values()])
    key = signing_key(wanted, session)
    samples = check_samples(assembly, session) if wanted.check else {}
    report = verb.build(assembly, settings)
    done = take_steps(wanted, report, output, session, key, samples)
    session.result(report | done, _report_text(report, output, layered=layered))


def _plan_text(plan: dict[str, Any]) -> str:
    if "modules" not in plan:
        return "\n".join(_platform_lines(plan))
    lines = []
    for name, module in plan["modules"].items():
        lines.append(f"module {name}  {module['image']}")
        lines += [f"  {line}" for line in _platform_lines(module.get("platforms", {}))]
    lines += [f"route {name}  {_route_text(route)}" for name, route in plan["routes"].items()]
    lines += [f"credentials {name}" for name in plan["credentials"]]
    return "\n".join(lines)


def _platform_lines(platforms: dict[str, Any]) -> list[str]:
    lines = []
    for platform, image in platforms.items():
        lines.append(platform)
        for layer in image["layers"]:
            holds = layer["holds"]
            shown = ", ".join(holds[:4]) + (f" and {len(holds) - 4} more" if len(holds) > 4 else "")
            lines.append(f"  {layer['kind']:<9} {layer['title']}: {shown}")
    return lines


def _route_text(route: str | dict[str, Any]) -> str:
    if isinstance(route, str):
        return route
    more = [f"priority {route['priority']}"] if "priority" in route else []
    more += [f"for {route['timeToLiveSecs']} s"] if "timeToLiveSecs" in route else []
    return f"{route['route']} ({', '.join(more)})"


def _report_text(report: dict[str, Any], output: Path, *, layered: bool) -> str:
    from edgepack.cli.text import layer_lines, relative

    modules = report.get("modules") or {"": {**report, "layout": "image"}}
    lines = []
    for name, module in modules.items():
        if "layout" not in module:
            lines += [f"module {name}  {module['image']}, not built here", ""]
            continue
        lines += [f"module {name}"] if name else []
        for platform, image in module["platforms"].items():
            lines.append(f"{platform}  {image['size_bytes'] / 1e6:.1f} MB  {image['digest']}")
            lines += layer_lines(image["layers"])
        lines += [
            "",
            f"image       {module['image']}@{module['digest']}",
            f"layout      {relative(output / module['layout'])}",
            *([""] if name else []),
        ]
    downloads = report["downloads"]
    lines.append(f"deployment  {relative(output / 'deployment.json')}")
    lines += [f"layer       {relative(output / 'deployment.layered.json')}"] if layered else []
    lines.append(
        f"built in {report['seconds']:.1f} s; downloaded {downloads['bytes'] / 1e6:.1f} MB "
        f"in {downloads['seconds']:.1f} s of them"
    )
    return "\n".join(lines)
