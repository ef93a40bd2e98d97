"""`edgepack service`: the local web services of SDK v1, deployed, looked at, called, changed and deleted.

SERVICE is an argument or, as with `az ml service`, -n.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from edgepack.cli.az_options import AzGroup, named, yes_option
from edgepack.cli.environment_choice import with_environment
from edgepack.cli.service_options import (
    DeployOptions,
    deploy_here,
    deploy_options,
    local_only,
    read_deployment,
    service_request,
    speaking,
    timeout_option,
)
from edgepack.cli.service_output import deployed_text, service_text, services_table
from edgepack.cli.session import Session, pass_session
from edgepack.errors import InputError, RemoteError
from edgepack.models.naming import parse_filter
from edgepack.services.filtering import ServiceFilter
from edgepack.services.record import LOG_LINES, PRIMARY, SECONDARY, Answer

_UNFIT = 400


_FORMER = {"create": "deploy", "get-logs": "logs", "get-keys": "keys"}
_named = named("name", "SERVICE", "service", ("-n", "--name"))


@click.group(cls=AzGroup, former=_FORMER, later={"update": "edgepack.cli.service_update"})
def service_command() -> None:
    """Web services on this machine: a model and its script over HTTP."""


@service_command.command("deploy")
@deploy_options
@pass_session
def deploy(session: Session, /, **given: Any) -> None:
    """Build a service for this machine, start it and wait until it is ready; print its state and scoring URI."""
    options = DeployOptions(**given)
    deployment = local_only(read_deployment(session, options.deployment_config), str(options.deployment_config))
    placed = with_environment(session, options.environment, options.inference_config)
    request = service_request(options, deployment, placed, None)
    deploy_here(session, options, request)


@service_command.command("list")
@click.option("-n", "--model-name", metavar="MODEL", help="Only with this model.")
@click.option("-i", "--model-id", metavar="MODEL:V", help="Only with this version of a model.")
@click.option("--image-name", metavar="NAME", help="The same as the service's name.")
@click.option("--compute-type", metavar="TYPE", help="Those that are here are `local`.")
@click.option("--tag", "tags", multiple=True, metavar="K[=V]", help="Only with this tag; repeatable.")
@click.option("--property", "properties", multiple=True, metavar="K[=V]", help="Only with this; repeatable.")
@pass_session
def list_services(
    session: Session,
    model_name: str | None,
    model_id: str | None,
    image_name: str | None,
    compute_type: str | None,
    tags: tuple[str, ...],
    properties: tuple[str, ...],
) -> None:
    """List the services and what state they are in now."""
    from edgepack import service as verb

    services = verb.list_services(session.workspace)
    pairs = (tuple(map(parse_filter, each)) for each in (tags, properties))
    wanted = ServiceFilter(model_name, model_id, image_name, compute_type, *pairs)
    found = [service for service in services if wanted.fits(service)]
    empty = f"no services in {session.workspace}: deploy one with\n  edgepack service deploy -n NAME -m MODEL --ic FILE"
    text = services_table(found) if found else "no service matches" if services else empty
    session.result([service.document() for service in found], text)


@service_command.command("show")
@_named
@pass_session
def show(session: Session, name: str) -> None:
    """Show a service: state, reason, URIs, models, process."""
    from edgepack import service as verb

    found = verb.find(session.workspace, name)
    session.result(found.document(), service_text(found))


@service_command.command("logs")
@_named
@click.option(
    "--lines", "--num_lines", "-l", type=click.IntRange(min=0), default=LOG_LINES, help=f"Default: {LOG_LINES}."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the service ends.")
@pass_session
def logs(session: Session, name: str, lines: int, follow: bool) -> None:
    """Print what a service has logged, also one that failed."""
    from edgepack import service as verb

    if follow:
        for line in verb.follow_logs(session.workspace, name, lines=lines):
            click.echo(json.dumps({"line": line}, ensure_ascii=False) if session.as_json else line)
        return
    text = verb.logs(session.workspace, name, lines=lines)
    session.result({"name": name, "log": text}, text.rstrip("\n"))


@service_command.command("run")
@_named
@click.option("-d", "--input-data", "data", metavar="TEXT", help="The request; @FILE: of a file. Default: stdin.")
@click.option("--content-type", default="application/json", metavar="TYPE", help="Default: application/json.")
@pass_session
def run(session: Session, name: str, data: str | None, content_type: str) -> None:
    """Send a request to a service and print what it answers."""
    from edgepack import service as verb

    answer = verb.run(session.workspace, name, _request_body(data), content_type=content_type)
    text = answer.body.decode(errors="replace")
    if not answer.is_good:
        refused = f"service {name} answered {answer.status}: {text}"
        raise InputError(refused) if answer.status // 100 * 100 == _UNFIT else RemoteError(refused, retryable=False)
    session.result(_document(answer, text), text)


@service_command.command("reload")
@_named
@click.option("--no-wait", is_flag=True, help="Do not wait until it is ready.")
@timeout_option
@pass_session
def reload(session: Session, name: str, no_wait: bool, timeout_s: float) -> None:
    """Start a service anew with a fresh copy of its script and the packages it has."""
    from edgepack import service as verb

    with speaking(session) as voice:
        found = verb.reload(session.workspace, name, wait=not no_wait, ready_s=timeout_s, voice=voice)
    session.result(found.document(), deployed_text(found))


@service_command.command("delete")
@_named
@click.option("--image", "delete_image", is_flag=True, help="Its image in the Docker engine, too.")
@yes_option
@click.option("--keep-volume", is_flag=True, help="Keep the engine's volume with what the service has written.")
@pass_session
def delete(session: Session, name: str, delete_image: bool, keep_volume: bool) -> None:
    """End a service and remove all that is there for it."""
    from edgepack import service as verb

    with speaking(session) as voice:
        verb.delete(session.workspace, name, delete_image=delete_image, delete_volume=not keep_volume, voice=voice)
    session.result({"name": name, "state": "deleted"}, f"deleted {name}")


@service_command.command("keys")
@_named
@pass_session
def keys(session: Session, name: str) -> None:
    """Print the keys of a service."""
    from edgepack import service as verb

    found = verb.keys(session.workspace, name)
    document = {"primaryKey": found.primary, "secondaryKey": found.secondary}
    session.result(document, f"primary    {found.primary}\nsecondary  {found.secondary}")


@service_command.command("regen-key")
@_named
@click.option(
    "-k",
    "--key",
    "which",
    required=True,
    type=click.Choice((PRIMARY, SECONDARY), case_sensitive=False),
    help="Which one.",
)
@click.option("-s", "--set-key", metavar="KEY", help="The new one; default: one is made up.")
@pass_session
def regen_key(session: Session, name: str, which: str, set_key: str | None) -> None:
    """Make one of the two keys of a service anew; the other stays good, so that clients can change over."""
    from edgepack import service as verb

    verb.renew_key(session.workspace, name, which.lower(), set_key)
    said = f"made anew; see it with `edgepack service keys {name}`" if set_key is None else "set"
    session.result({"name": name, "key": which.lower()}, said)


def _request_body(data: str | None) -> bytes:
    if data is None or data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode(errors="surrogateescape")
    path = Path(data[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _document(answer: Answer, text: str) -> Any:
    """For `--json`: the answer itself where it is JSON, else its text."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return text
