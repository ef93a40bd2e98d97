"""`edgepack service update`: with the flags of `az ml service update`."""

from pathlib import Path

import click

from edgepack.cli.az_options import named
from edgepack.cli.environment_choice import EnvironmentChoice, environment_options, with_environment
from edgepack.cli.service_options import (
    azure_options,
    deployment_config_option,
    inference_config_option,
    local_only,
    metadata_option,
    model_of,
    parse_models,
    read_deployment,
    speaking,
    timeout_option,
)
from edgepack.cli.service_output import deployed_text
from edgepack.cli.session import Session, pass_session
from edgepack.errors import InputError
from edgepack.models.naming import parse_pairs
from edgepack.services.record import ServiceChange


@click.command("update")
@named("name", "SERVICE", "service", ("-n", "--name"))
@click.option("-m", "--model", "models", multiple=True, metavar="NAME[:V]", help="All models anew; repeatable.")
@metadata_option
@inference_config_option(help="Inference configuration; the one it has, read again, if it is named again.")
@environment_options
@deployment_config_option(help="Deployment configuration, of type local; the port stays.")
@click.option("-d", "--description", help="Free text.")
@click.option("--tag", "--add-tag", "tags", multiple=True, metavar="K=V", help="Add or replace a tag; repeatable.")
@click.option("--remove-tag", "removed", multiple=True, metavar="K", help="Remove a tag; repeatable.")
@click.option("--property", "--add-property", "properties", multiple=True, metavar="K=V", help="Add; repeatable.")
@click.option("--key/--no-key", "needs_key", default=None, help="Whether requests must show a key.")
@click.option("--auth-enabled", "--ae", type=bool, help="true is --key, false is --no-key.")
@click.option("--collect-model-data", "--md", type=bool, help="Keep what ModelDataCollector collects; over --dc.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is ready.")
@timeout_option
@azure_options
@pass_session
def update_command(
    session: Session,
    /,
    name: str,
    models: tuple[str, ...],
    metadata: tuple[str, ...],
    inference_config: Path | None,
    environment_name: str | None,
    environment_version: str | None,
    environment_directory: Path | None,
    deployment_config: Path | None,
    description: str | None,
    tags: tuple[str, ...],
    removed: tuple[str, ...],
    properties: tuple[str, ...],
    needs_key: bool | None,
    auth_enabled: bool | None,
    collect_model_data: bool | None,
    no_wait: bool,
    timeout_s: float,
) -> None:
    """Give a service other models, another script or other labels; the old one serves until the new one is ready."""
    from edgepack import service as verb

    if None not in (needs_key, auth_enabled) and needs_key != auth_enabled:
        raise click.UsageError("--auth-enabled says another than --key or --no-key.")
    choice = EnvironmentChoice(environment_name, environment_version, environment_directory)
    placed = with_environment(session, choice, inference_config)
    deployment = None
    if deployment_config is not None:
        deployment = local_only(read_deployment(session, deployment_config), str(deployment_config))
    named_models = (*models, *map(model_of, metadata))
    change = ServiceChange(
        models=parse_models(named_models) if named_models else None,
        inference_config=placed.config,
        folder=None if placed.config is None else placed.folder,
        description=description,
        add_tags=parse_pairs(tags, "--tag"),
        remove_tags=removed,
        properties=parse_pairs(properties, "--property") if properties else None,
        needs_key=auth_enabled if needs_key is None else needs_key,
        port=None if deployment is None else deployment.port,
        variables=None if deployment is None else deployment.variables,
        collects=collect_model_data,
    )
    if change == ServiceChange():
        raise InputError(
            "nothing to change: give -m, -f, --ic, --dc, -d, --tag, --remove-tag, --property, --key or --no-key"
        )
    with speaking(session) as voice:
        found = verb.update(session.workspace, name, change, wait=not no_wait, ready_s=timeout_s, voice=voice)
    session.result(found.document(), deployed_text(found))
