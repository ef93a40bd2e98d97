"""`edgepack model deploy`: what `az ml model deploy` was, for this machine (`local`) and for IoT Edge (`iot`).

All its flags are accepted; those that only make sense in the cloud are named as ignored.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgepack.cli.az_options import takes_format
from edgepack.cli.environment_choice import EnvironmentChoice, PlacedConfig, with_environment
from edgepack.cli.platform_option import platforms_option
from edgepack.cli.service_options import (
    DeployOptions,
    azure_options,
    deploy_here,
    deploy_options,
    local_only,
    metadata_option,
    model_of,
    read_deployment,
    service_request,
)
from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import relative
from edgepack.data_collection import with_storage
from edgepack.deployment_targets import IotDeployment, LocalDeployment
from edgepack.errors import InputError
from edgepack.services.record import AccessKeys

_OF_A_SERVICE = tuple("runner port host key key_file overwrite no_wait timeout_s description tags properties".split())


def _output(context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The folder; none where it is az's format of the output that is named."""
    return None if value is None or takes_format(context, value) else Path(value)


@click.command("deploy")
@deploy_options
@metadata_option
@click.option("--entry-script", "--es", metavar="FILE", help="Without --ic: the script.")
@click.option("--conda-file", "--cf", metavar="FILE", help="Without --ic: its packages.")
@click.option("--source-directory", "--sd", metavar="DIR", help="Without --ic: the folder that both are in.")
@click.option("--auth-enabled", "--ae", type=bool, help="true is --key.")
@click.option("--collect-model-data", "--md", type=bool, help="Keep what ModelDataCollector collects; over --dc.")
@click.option("--primary-key", "--kp", hidden=True)
@click.option("--secondary-key", "--ks", hidden=True)
@click.option("-o", "--output", type=click.Path(file_okay=False), callback=_output, help="iot: where to write; dist.")
@click.option("-t", "--image", metavar="REF", help="iot: name of the image: REGISTRY/NAME:TAG.")
@platforms_option("iot: platforms. Default: linux/amd64,linux/arm64.")
@azure_options
@pass_session
def deploy_command(
    session: Session,
    /,
    metadata: tuple[str, ...],
    entry_script: str | None,
    conda_file: str | None,
    source_directory: str | None,
    auth_enabled: bool | None,
    collect_model_data: bool | None,
    primary_key: str | None,
    secondary_key: str | None,
    output: Path | None,
    image: str | None,
    platforms: list[str] | None,
    **given: Any,
) -> None:
    """Deploy registered models as a service on this machine, or as a module of IoT Edge, as the files say."""
    given["models"] = (*given["models"], *map(model_of, metadata))
    given["key"] = given["key"] or bool(auth_enabled)
    if given["key_file"] is not None and (primary_key or secondary_key):
        raise click.UsageError("--key-file excludes --primary-key and --secondary-key.")
    options = DeployOptions(**given)
    config: Path | Mapping[str, Any] | None = options.inference_config
    inline = {"entryScript": entry_script, "condaFile": conda_file, "sourceDirectory": source_directory}
    if any(inline.values()):
        if config is not None:
            raise click.UsageError("--ic excludes --entry-script, --conda-file and --source-directory.")
        if conda_file is not None and options.environment != EnvironmentChoice():
            raise click.UsageError("--conda-file excludes an environment: both say which packages.")
        config = {key: value for key, value in inline.items() if value is not None}
    placed = with_environment(session, options.environment, config)
    deployment = read_deployment(session, options.deployment_config)
    if collect_model_data is not None and isinstance(deployment, LocalDeployment | IotDeployment):
        deployment = replace(deployment, variables=with_storage(deployment.variables, collect_model_data))
    if isinstance(deployment, IotDeployment):
        default = DeployOptions()
        for name in _OF_A_SERVICE:
            if getattr(options, name) != getattr(default, name):
                flag = (
                    name.removesuffix("_s").replace("_", "-").replace("properties", "property").replace("tags", "tag")
                )
                session.warn(f"--{flag} is ignored: it is for a service on this machine, and computeType is iot")
        _build_for_edge(session, options, deployment, placed, output, image, platforms)
        return
    local = local_only(deployment, str(options.deployment_config))
    if (output, image, platforms) != (None, None, None):
        raise click.UsageError("-o, -t and --platform are for deployments of computeType iot.")
    request = service_request(options, local, placed, _given_keys(primary_key, secondary_key))
    deploy_here(session, options, request)


def _build_for_edge(
    session: Session,
    options: DeployOptions,
    deployment: IotDeployment,
    placed: PlacedConfig,
    output: Path | None,
    image: str | None,
    platforms: list[str] | None,
) -> None:
    from edgepack import build as verb
    from edgepack.edge_assembly import edge_assembly
    from edgepack.project import BuildOptions

    config, output = placed.config, output or Path("dist")
    build_options = BuildOptions(
        models=options.models,
        inference_config=config if isinstance(config, Path) else None,
        platforms=platforms,
        image=image or options.name,
        output=output,
        workspace=session.workspace,
    )
    made = edge_assembly(deployment, build_options, config if isinstance(config, Mapping) else None, placed.folder)

    def warn(text: str) -> None:
        if not ("registryCredentials" in text and "was not replaced" in text):  # that is what is said at the end
            session.warn(text)

    settings = verb.BuildSettings(session.workspace, output, say=session.say, warn=warn)
    report = verb.build(made.assembly, settings)
    manifest = relative(output / "deployment.json")
    steps = _next_steps(report, deployment, made.variables, output)
    document = {
        "name": options.name,
        "computeType": "IOT",
        "state": "built",
        "image": report["image"],
        "digest": report["digest"],
        "deployment": str(output / "deployment.json"),
        "variables": list(made.variables),
        "next": steps,
    }
    lines = [f"image       {report['image']}@{report['digest']}", f"deployment  {manifest}", "", "next:"]
    session.result(document, "\n".join([*lines, *(f"  {step}" for step in steps)]))


def _next_steps(
    report: Mapping[str, Any], deployment: IotDeployment, variables: tuple[str, ...], output: Path
) -> list[str]:
    folder, manifest = relative(output), relative(output / "deployment.json")
    steps = [] if deployment.external_modules else [f"edgepack simulate {manifest}"]
    steps.append(f"edgepack push {folder} {report['image']}")
    if variables:
        ready = relative(output / "deployment.ready.json")
        assigned = " ".join(f"{name}=..." for name in variables)
        platform = next(iter(report["platforms"]))
        steps.append(f"{assigned} edgepack manifest render {manifest} --platform {platform} -o {ready}")
        manifest = ready
    return [*steps, f"edgepack deploy {manifest} --device {deployment.device_id}"]


def _given_keys(primary: str | None, secondary: str | None) -> AccessKeys | None:
    """The keys of the command line, for the flags of old; `--key-file` keeps them out of the list of processes."""
    from edgepack.services.access import key_problem, make_key

    given = {"--primary-key": primary, "--secondary-key": secondary}
    InputError.raise_if_any(
        problem for name, key in given.items() if key is not None and (problem := key_problem(key, name))
    )
    if primary or secondary:
        return AccessKeys(primary or make_key(), secondary or make_key())
    return None
