"""`edgepack deploy`: deployments to IoT Hub, one device or at scale, and what came of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.default_command import DefaultCommand, GroupWithDefault, with_optional_value
from edgepack.cli.session import Session, pass_session
from edgepack.cli.text import text_of
from edgepack.errors import InputError

if TYPE_CHECKING:
    from edgepack.deploy import Plan
    from edgepack.deploy_progress import Progress
    from edgepack.hub_calls import IotHub

NOT_APPLIED = 3
DEFAULT_VARIABLE = "IOTHUB_CONNECTION_STRING"
_HIGHEST_PRIORITY = 2**31 - 1


class _Deploy(DefaultCommand):
    """`--wait` takes a number, or none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        from edgepack.deploy_progress import WAIT_S

        return super().parse_args(ctx, with_optional_value(args, "--wait", f"{WAIT_S:g}"))


def _connecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which hub, and how to reach it."""
    for option in (
        click.option("--timeout", "timeout_s", type=click.FloatRange(1), default=60.0, metavar="S",
                     help="Longest time for one call with its repetitions. Default: 60."),
        click.option("--ca-file", type=click.Path(path_type=Path), metavar="FILE",
                     help="Certificates of authorities to trust besides this machine's; also REQUESTS_CA_BUNDLE."),
        click.option("--connection-string-file", type=click.Path(path_type=Path), metavar="FILE",
                     help="A file with the connection string instead."),
        click.option("--connection-string-env", "variable", metavar="NAME",
                     help=f"Variable with the hub's connection string. Default: {DEFAULT_VARIABLE}."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group("deploy", cls=GroupWithDefault)
def deploy_command() -> None:
    """Deploy to IoT Hub, and see what came of it."""


@deploy_command.command("default", cls=_Deploy, hidden=True)
@click.argument("deployment", metavar="DEPLOYMENT.json", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--device", "device_id", metavar="ID", help="Deploy to this edge device alone.")
@click.option("--id", "configuration_id", metavar="ID", help="Make or change the automatic deployment of this id.")
@click.option("--target-condition", metavar="C", help="Which devices it is for: \"tags.site='a'\", or * for all.")
@click.option("--priority", type=click.IntRange(0, _HIGHEST_PRIORITY), metavar="N", help="The highest one applies.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Repeatable; all labels, where any is given.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=QUERY", help="Repeatable; as with labels.")
@click.option("--replace", "replaces", is_flag=True, help="Changed content: delete the deployment and make it again.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--wait", "wait_s", type=click.FloatRange(0), metavar="[S]",
              help="Wait until all devices have applied it, at most S seconds (300); exit code 3 if not.")  # fmt: skip
@_connecting
@pass_session
def _deploy(
    session: Session,
    /,
    deployment: Path,
    device_id: str | None,
    configuration_id: str | None,
    target_condition: str | None,
    priority: int | None,
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    replaces: bool,
    dry_run: bool,
    wait_s: float | None,
    **connecting: Any,
) -> int:
    """Deploy DEPLOYMENT.json to one edge device, or to all that fulfil a condition, now and later.

    The file is checked first, what changes is shown. A file with parts of a deployment is a layer. A file called like a
    subcommand is written ./NAME.
    """
    from edgepack.deploy import Automatic, carry_out, plan_automatic, plan_device
    from edgepack.deploy_progress import automatic_progress, device_progress
    from edgepack.deployment.content import read_content
    from edgepack.deployment.difference import change_lines

    only_at_scale = (target_condition, priority, labels or None, metrics or None, replaces or None)
    if (device_id is None) == (configuration_id is None):
        raise click.UsageError("Give one of --device ID and --id ID.")
    if device_id is not None and any(each is not None for each in only_at_scale):
        raise click.UsageError("--target-condition, --priority, --label, --metric and --replace go with --id.")
    content, odd = read_content(text_of(deployment), "standard input" if str(deployment) == "-" else str(deployment))
    for sentence in odd:
        session.warn(sentence)
    with _hub(session, **connecting) as hub:
        if device_id is not None:
            target = device_id
            plan = plan_device(hub, content, device_id)
        else:
            target = _lower(session, configuration_id or "")
            wanted = Automatic(
                target,
                target_condition,
                priority,
                _pairs(labels, "--label") if labels else None,
                _pairs(metrics, "--metric") if metrics else None,
            )
            plan = plan_automatic(hub, content, wanted, replaces=replaces)
        for warning in plan.warnings:
            session.warn(warning)
        if plan.changes and not session.as_json:  # seen before it is done
            click.echo("\n".join(change_lines(plan.changes)))
        progress = None
        if not dry_run:
            carry_out(hub, plan)
            if wait_s is not None:
                session.say(f"{_done(plan)}; waiting for at most {wait_s:g} s")
                look = device_progress if device_id is not None else automatic_progress
                progress = _wait(session, hub, lambda: look(hub, target), wait_s)
    _show(session, plan, progress, dry_run=dry_run)
    if progress is None or progress.is_applied:
        return 0
    for reason in progress.reasons:
        click.secho(f"not applied: {reason}", err=True, fg="red")
    return NOT_APPLIED


@deploy_command.command("status")
@click.option("--device", "device_id", metavar="ID", help="An edge device: its modules and what it reports.")
@click.option("--id", "configuration_id", metavar="ID", help="An automatic deployment: its metrics and devices.")
@_connecting
@pass_session
def status_command(session: Session, /, device_id: str | None, configuration_id: str | None, **connecting: Any) -> None:
    """Show what devices report."""
    from edgepack.cli.deploy_output import device_lines, progress_lines
    from edgepack.deploy_progress import automatic_progress, device_progress, progress_document

    if (device_id is None) == (configuration_id is None):
        raise click.UsageError("Give one of --device ID and --id ID.")
    with _hub(session, **connecting) as hub:
        if device_id is not None:
            progress = device_progress(hub, device_id)
            document = progress_document(progress)["devices"][0]
            session.result(document, "\n".join(device_lines(progress.devices[0])))
        else:
            name = _lower(session, configuration_id or "")
            progress = automatic_progress(hub, name)
            document = {"deployment": name, **progress_document(progress)}
            session.result(document, "\n".join([f"deployment {name}", *progress_lines(progress)]))


@deploy_command.command("list")
@_connecting
@pass_session
def list_command(session: Session, /, **connecting: Any) -> None:
    """List the automatic deployments of the hub."""
    from edgepack.cli.deploy_output import configuration_document, configuration_lines

    with _hub(session, **connecting) as hub:
        found = hub.configurations()
    session.result([configuration_document(each) for each in found], "\n".join(configuration_lines(found)))


@deploy_command.command("delete")
@click.option("--id", "configuration_id", metavar="ID", required=True, help="The automatic deployment.")
@_connecting
@pass_session
def delete_command(session: Session, /, configuration_id: str, **connecting: Any) -> None:
    """Delete an automatic deployment. Devices keep what it put there until another one applies."""
    from edgepack.deploy import delete_automatic

    name = _lower(session, configuration_id)
    with _hub(session, **connecting) as hub:
        delete_automatic(hub, name)
    session.result({"deleted": name}, f"deleted {name}")


@contextmanager
def _hub(
    session: Session, variable: str | None, connection_string_file: Path | None, ca_file: Path | None, timeout_s: float
) -> "Iterator[IotHub]":
    from edgepack.deploy import as_input_errors
    from edgepack.deployment.service_connection import parse_service_connection
    from edgepack.hub_calls import IotHub
    from edgepack.hub_client import HubClient, trust

    text, name = _connection_string(variable, connection_string_file)
    connection = parse_service_connection(text, name)
    with (
        as_input_errors(),
        HubClient(connection, trust(ca_file, os.environ), timeout_s=timeout_s, say=session.say) as client,
    ):
        yield IotHub(client)


def _connection_string(named: str | None, file: Path | None) -> tuple[str, str]:
    """The text, and where it came from."""
    if file is not None:
        if named is not None:
            raise click.UsageError("Give one of --connection-string-env NAME and --connection-string-file FILE.")
        return text_of(file), str(file)
    variable = named or DEFAULT_VARIABLE
    text = os.environ.get(variable, "")
    if not text.strip():
        raise InputError(
            f"the variable {variable} is not set: put the connection string of a policy of the hub there, "
            "or name a file with --connection-string-file"
        )
    return text, variable


def _lower(session: Session, configuration_id: str) -> str:
    if configuration_id != configuration_id.lower():
        session.say(f"ids of deployments are lower case: {configuration_id.lower()}")
    return configuration_id.lower()


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    InputError.raise_if_any(f"{option} {text}: expected NAME=VALUE" for text in given if not text.partition("=")[0])
    InputError.raise_if_any(f"{option} {text}: expected NAME=VALUE" for text in given if "=" not in text)
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def _wait(session: Session, hub: "IotHub", look: "Callable[[], Progress]", wait_s: float) -> "Progress":
    from edgepack.deploy_progress import wait_until_applied

    return wait_until_applied(hub, look, wait_s=wait_s, say=session.say)


def _show(session: Session, plan: "Plan", progress: "Progress | None", *, dry_run: bool) -> None:
    from edgepack.cli.deploy_output import device_lines, progress_lines
    from edgepack.deploy_progress import progress_document

    document = plan.document | {"dry_run": dry_run}
    lines = [f"nothing was done: {_would(plan)}" if dry_run else _done(plan)]
    if progress is not None:
        document["progress"] = progress_document(progress)
        one = plan.target == "device" and progress.devices
        lines = device_lines(progress.devices[0]) if one else progress_lines(progress)
    session.result(document, "\n".join(lines))


def _done(plan: "Plan") -> str:
    verbs = {"create": "made", "update": "changed", "replace": "replaced"}
    if plan.action == "nothing":
        return f"{plan.id} has it already"
    return f"deployed to {plan.id}" if plan.action == "apply" else f"{verbs[plan.action]} the deployment {plan.id}"


def _would(plan: "Plan") -> str:
    if plan.action == "nothing":
        return f"{plan.id} has it already"
    return f"would {plan.action} {'it to' if plan.action == 'apply' else 'the deployment'} {plan.id}"
