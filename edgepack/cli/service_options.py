"""Options that `edgepack service` and `edgepack model deploy` share, and what they come to."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from edgepack.cli.az_options import Command, ignored_options
from edgepack.cli.environment_choice import EnvironmentChoice, PlacedConfig, environment_options
from edgepack.cli.service_output import deployed_text
from edgepack.cli.session import Session
from edgepack.cli.text import text_of
from edgepack.deployment_config import parse_deployment_config
from edgepack.deployment_targets import AciDeployment, AksDeployment, DeploymentConfig, IotDeployment, LocalDeployment
from edgepack.errors import InputError
from edgepack.models.naming import ModelReference, parse_model_reference, parse_pairs
from edgepack.services.record import LOOPBACK, PROCESS, READY_WITHIN_S, RUNNERS, AccessKeys, ServiceRequest, Voice

# What `az ml model deploy` and `az ml service update` said to Azure, or what the files say.
_OF_AZURE: tuple[tuple[str, ...], ...] = tuple(
    tuple(names.split())
    for names in (
        "--compute-target --ct|--compute-type --cp|--runtime --rt|--cpu-cores --cc"
        "|--cpu-cores-limit --ccl|--memory-gb --gb|--memory-gb-limit --gbl|--gpu-cores --gc|--num-replicas --nr"
        "|--autoscale-enabled --as|--autoscale-min-replicas --mi|--autoscale-max-replicas --ma"
        "|--autoscale-refresh-seconds --ar|--autoscale-target-utilization --at"
        "|--enable-app-insights --ai|--enable-gpu --eg|--cuda-version --cv|--extra-docker-file-steps --ds"
        "|--base-image --bi|--base-image-registry --ir|--location --lo|--namespace --nd|--ssl-enabled --se"
        "|--ssl-cert-pem-file --sp|--ssl-key-pem-file --sk|--ssl-cname --sc|--dns-name-label --dn|--vnet-name"
        "|--subnet-name|--vault-base-url|--key-name|--key-version|--token-auth-enabled|--scoring-timeout-ms --tm"
        "|--replica-max-concurrent-requests --rm|--max-request-wait-time --mr|--period-seconds --ps"
        "|--initial-delay-seconds --id|--timeout-seconds --ts|--success-threshold --st|--failure-threshold --ft"
        "|--traffic-percentile --tp|--version-name --vn|--profile-input --pi"
    ).split("|")
)
azure_options = ignored_options(_OF_AZURE, "it says something to Azure, or the files say it")

NEAREST = {
    AciDeployment: ("aci", "Azure Container Instances"),
    AksDeployment: ("aks", "Azure Kubernetes Service"),
}


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What was given, as it was given."""

    name: str | None = None
    models: tuple[str, ...] = ()
    inference_config: Path | None = None
    environment_name: str | None = None
    environment_version: str | None = None
    environment_directory: Path | None = None
    deployment_config: Path | None = None
    runner: str = PROCESS
    port: int | None = None
    host: str = LOOPBACK
    key: bool = False
    key_file: Path | None = None
    overwrite: bool = False
    no_wait: bool = False
    timeout_s: float = READY_WITHIN_S
    description: str | None = None
    tags: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

    @property
    def environment(self) -> EnvironmentChoice:
        """The environment that was named."""
        return EnvironmentChoice(self.environment_name, self.environment_version, self.environment_directory)


_config_option = partial(click.option, type=click.Path(path_type=Path))
inference_config_option = partial(_config_option, "--ic", "--inference-config-file", "inference_config")
deployment_config_option = partial(_config_option, "--dc", "--deploy-config-file", "deployment_config")
metadata_option = click.option(
    "-f", "--model-metadata-file", "metadata", multiple=True, metavar="FILE", help="What `model register -t` wrote."
)


def deploy_options(command: Command) -> Command:
    """The options of a deployment; the command gets their values as `DeployOptions` has them."""
    for option in reversed(
        (
            click.option("-n", "--name", help="The service's name."),
            click.option(
                "-m", "--model", "models", multiple=True, metavar="NAME[:V]", help="A registered model; repeatable."
            ),
            inference_config_option(help="Inference configuration: entry script and conda file."),
            environment_options,
            deployment_config_option(help="Deployment configuration; default: local."),
            click.option("--runner", type=click.Choice(RUNNERS), default=PROCESS, help="Default: process."),
            click.option("--port", "--po", type=int, metavar="N", help="Default: that of --dc, else a free one."),
            click.option("--host", default=LOOPBACK, metavar="ADDRESS", help="To listen on; default: 127.0.0.1."),
            click.option("--key", is_flag=True, help="Requests must show a key; two are made."),
            click.option("--key-file", type=click.Path(path_type=Path), help="As --key, with the keys in this file."),
            click.option("--overwrite", is_flag=True, help="Replace a service of that name."),
            click.option("--no-wait", is_flag=True, help="Do not wait until it is ready."),
            timeout_option,
            click.option("-d", "--description", help="Free text."),
            click.option("--tag", "tags", multiple=True, metavar="K=V", help="A label; repeatable."),
            click.option(
                "--property", "properties", multiple=True, metavar="K=V", help="A label for good; repeatable."
            ),
        )
    ):
        command = option(command)
    return command


timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=READY_WITHIN_S,
    metavar="S",
    help=f"Wait so long until it is ready; default: {READY_WITHIN_S:.0f} seconds.",
)


def read_deployment(session: Session, path: Path | None) -> DeploymentConfig:
    """The deployment configuration; local where none is named. What of it has no effect is told.

    Raises:
        InputError: the file cannot be read, or is none.
    """
    if path is None:
        return LocalDeployment()
    found = parse_deployment_config(text_of(path), str(path))
    for text in found.notes if isinstance(found, LocalDeployment | IotDeployment) else ():
        session.say(f"note: {text}")
    return found


def local_only(deployment: DeploymentConfig, where: str) -> LocalDeployment:
    """The deployment, if it is one to this machine.

    Raises:
        InputError: it is not; names the nearest thing that works.
    """
    if isinstance(deployment, LocalDeployment):
        return deployment
    if isinstance(deployment, IotDeployment):
        raise InputError(
            f"{where}: computeType iot makes no service: `edgepack model deploy` builds the edge deployment"
        )
    kind, what = NEAREST[type(deployment)]
    if isinstance(deployment, AksDeployment) and deployment.is_endpoint:
        kind = "aksendpoint"
    raise InputError(
        f"{where}: computeType {kind} ({what}) is a service of Azure, which edgepack does not deploy to. Nearest: "
        "computeType local serves the same script over the same HTTP on this machine; the image that `edgepack build "
        "--push` makes runs in any container service or Kubernetes, with HTTP on port 5001"
    )


def service_request(
    options: DeployOptions,
    deployment: LocalDeployment,
    placed: PlacedConfig,
    keys: AccessKeys | None,
) -> ServiceRequest:
    """The request that the options make.

    Raises:
        InputError: all that is wrong with their texts.
    """
    problems: list[str] = []

    def attempt(call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except InputError as error:
            problems.extend(error.problems)
            return None

    if not options.name:
        problems.append("the service has no name: give one (-n NAME)")
    models = [attempt(parse_model_reference, text) for text in options.models]
    tags = attempt(parse_pairs, options.tags, "--tag")
    properties = attempt(parse_pairs, options.properties, "--property")
    if options.key_file is not None and keys is None:
        keys = attempt(_read_keys, options.key_file)
    InputError.raise_if_any(problems)
    return ServiceRequest(
        name=options.name or "",
        models=tuple(models),
        inference_config=placed.config,
        folder=placed.folder,
        port=options.port if options.port is not None else deployment.port,
        host=options.host,
        runner=options.runner,
        needs_key=options.key or keys is not None,
        keys=keys,
        description=options.description,
        tags=tags,
        properties=properties,
        variables=deployment.variables,
    )


def deploy_here(session: Session, options: DeployOptions, request: ServiceRequest) -> None:
    """Deploy, and print state and scoring URI."""
    from edgepack import service as verb

    with speaking(session) as voice:
        found = verb.deploy(
            session.workspace,
            request,
            overwrite=options.overwrite,
            wait=not options.no_wait,
            ready_s=options.timeout_s,
            voice=voice,
        )
    session.result(found.document(), deployed_text(found))


def parse_models(texts: tuple[str, ...]) -> tuple[ModelReference, ...]:
    """The models named, all problems together."""
    problems: list[str] = []
    found = []
    for text in texts:
        try:
            found.append(parse_model_reference(text))
        except InputError as error:
            problems += error.problems
    InputError.raise_if_any(problems)
    return tuple(found)


@contextmanager
def speaking(session: Session) -> Iterator[Voice]:
    """The voice of a command: lines on stderr, and on a terminal one more that changes."""
    if not session.shows_progress:
        yield Voice(session.say, session.warn, note=lambda text: session.say(f"note: {text}"))
        return
    from rich.console import Console

    console = Console(stderr=True, file=sys.stderr)
    with console.status("") as status:
        yield Voice(
            lambda text: console.print(text, markup=False, highlight=False),
            lambda text: console.print(f"warning: {text}", style="yellow", markup=False, highlight=False),
            lambda text: status.update(text.replace("[", "\\[")),
            lambda text: console.print(f"note: {text}", markup=False, highlight=False),
        )


def model_of(metadata_file: str) -> str:
    """The model that a metadata file names (`id`, or az's `modelId`).

    Raises:
        InputError: it cannot be read, or names none.
    """
    try:
        document = json.loads(text_of(Path(metadata_file)))
    except ValueError as error:
        raise InputError(f"{metadata_file}: no JSON: {error}") from error
    found = (document.get("id") or document.get("modelId")) if isinstance(document, dict) else None
    if not isinstance(found, str):
        raise InputError(
            f"{metadata_file}: has no `id` of a model; it is what `edgepack model register -t FILE` writes"
        )
    return found


def _read_keys(path: Path) -> AccessKeys:
    from edgepack.services.access import read_key_file

    return read_key_file(path)
