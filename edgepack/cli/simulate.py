"""`edgepack simulate`: IoT Hub, IoT Edge and devices on this machine."""

import sys
from pathlib import Path
from typing import Any, Literal

import click

from edgepack.cli.session import Session, pass_session
from edgepack.errors import InputError

LOST = 3
DEFAULT_UI = "127.0.0.1:0"


@click.command("simulate")
@click.argument("deployment", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--scenario", metavar="FILE|NAME", help="What happens, and what is expected; NAME: one that comes with it."
)
@click.option("--devices", type=int, metavar="N", help="Leaf devices that send. Default: 3.")
@click.option("--rate", "rate_per_s", type=float, metavar="R", help="Messages of each a second. Default: 1.")
@click.option(
    "--duration", "duration_s", type=float, metavar="S", help="Simulated seconds. Default: until interrupted."
)
@click.option("--speed", type=float, metavar="X", help="Simulated seconds in a real one. Default: 1.")
@click.option("--gateways", type=int, metavar="N", help="Edge devices with this deployment. Default: 1.")
@click.option(
    "--source", metavar="temperature|FILE", help="What devices send; FILE: .csv, .jsonl and the like to replay, .py."
)
@click.option("--seed", type=int, metavar="N", help="For chance that comes again.")
@click.option("--units", type=int, metavar="N", help="Throttle as a hub with N units of tier S1. Default: not at all.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON.")
@click.option(
    "--info", type=click.Path(path_type=Path, dir_okay=False), help="Write addresses and keys once all is up."
)
@click.option("--wait", "waits", is_flag=True, help="Go on after the end of the run until interrupted.")
@click.option("--ui", metavar="[HOST:]PORT", help="Where the dashboard serves. Default: a free port of 127.0.0.1.")
@click.option("--no-ui", is_flag=True, help="No dashboard. Default where there is a duration and no terminal.")
@click.option("--runner", type=click.Choice(["process", "docker"]), default="process", help="What runs modules.")
@click.option("--image", "layouts", multiple=True, type=click.Path(path_type=Path), help="A built image; repeatable.")
@click.option("--host", default="localhost", help="Where the hub listens, and its name. Default: localhost.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8883, help="Port of the hub, 0: a free one. Default: 8883."
)
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Files of the run. Default: in the workspace."
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=60,
    help="At the end: seconds without an arrival before the rest is lost.",
)
@pass_session
def simulate_command(
    session: Session,
    /,
    deployment: Path | None,
    scenario: str | None,
    report: Path | None,
    info: Path | None,
    waits: bool,
    ui: str | None,
    no_ui: bool,
    runner: Literal["process", "docker"],
    layouts: tuple[Path, ...],
    host: str,
    port: int,
    folder: Path | None,
    drain_s: float,
    **changes: Any,
) -> int:
    """Run DEPLOYMENT.json with devices that send, break the network, and account for every message.

    Without DEPLOYMENT there are no modules, and everything goes to IoT Hub. The exit code is 3 if a message was lost,
    something else was not as the scenario expects, or a step could not be done.
    """
    if ui and no_ui:
        raise click.UsageError("--ui and --no-ui exclude each other.")
    try:
        from simulator.command import Options, simulate
        from simulator.report import report_lines
        from simulator.run_folder import read_scenario
        from simulator.scenario import broken_expectations
    except ModuleNotFoundError as error:
        raise InputError(f"the simulator needs {error.name}: pip install 'edgepack[simulator]'") from error
    given = {name: value for name, value in changes.items() if value is not None}
    chosen, source_file = read_scenario(scenario, given)
    is_unwatched = chosen.duration_s is not None and not sys.stdout.isatty() and not waits
    options = Options(
        scenario=chosen,
        source_file=source_file,
        deployment=deployment,
        layouts=layouts,
        runner=runner,
        folder=folder or session.workspace / "simulation",
        cache=session.workspace / "cache" / "roots",
        host=host,
        port=port,
        ui=None if no_ui or (is_unwatched and ui is None) else ui or DEFAULT_UI,
        info=info,
        report=report,
        drain_s=drain_s,
        waits=waits,
    )
    document = _simulate_with_view(session, options, simulate)
    broken = broken_expectations(chosen.expect, document)
    session.result(document, "\n".join(report_lines(document)))
    for sentence in broken:
        click.secho(f"not as expected: {sentence}", err=True, fg="red")
    for sentence in document["failures"]:
        click.secho(f"the run proves less than it should: {sentence}", err=True, fg="red")
    return LOST if broken or document["lost"] or document["failures"] else 0


def _simulate_with_view(session: Session, options: Any, simulate: Any) -> dict[str, Any]:
    from rich.console import Console

    from simulator.terminal_view import TerminalView

    document: dict[str, Any]
    if session.verbosity < 0:
        document = simulate(options, session.say, lambda _snapshot, _now_s: None)
        return document
    with TerminalView(console := Console(stderr=True)) as view:
        document = simulate(options, lambda text: console.print(text, highlight=False, soft_wrap=True), view.show)
    return document
