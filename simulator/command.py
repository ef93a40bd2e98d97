"""The `simulate` command: from options to a run, with its views, files, signals and exit."""

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import uvloop

from edgepack.errors import InputError, RemoteError
from edgepack.files import write_file
from simulator.edge_agent.image_layouts import find_layout
from simulator.edge_agent.image_name import parse_image_name
from simulator.edge_agent.process_runner import BuiltIn, ProcessRunner, image_elsewhere, python_command
from simulator.edge_agent.runner import Runner
from simulator.run_folder import find_images, own_folder, read_manifest, socket_folder
from simulator.scenario import Scenario
from simulator.simulation import DEFAULT_MANIFEST, Plan, Simulation
from simulator.snapshot import Snapshot
from simulator.world import Places

SENSOR_IMAGE = "azureiotedge-simulated-temperature-sensor"
_UI_WITHIN_S = 30.0
_SHOW_S = 0.5
_ENDING = "Ending: what is on its way arrives first (until nothing has for {:g} s). Interrupt again to end at once."


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `ui` is `[HOST:]PORT`, None: no page. `waits`: go on after the end."""

    scenario: Scenario
    source_file: Path | None
    deployment: Path | None
    layouts: tuple[Path, ...]
    runner: Literal["process", "docker"]
    folder: Path
    cache: Path
    host: str
    port: int
    ui: str | None
    info: Path | None
    report: Path | None
    drain_s: float
    waits: bool


Say = Callable[[str], None]
Show = Callable[[Snapshot, float], None]


def simulate(options: Options, say: Say, show: Show) -> dict[str, Any]:
    """Run to the end and give the report. `say` takes sentences for people, `show` snapshots twice a second.

    Raises:
        EdgepackError, OSError: it cannot start.
    """
    manifest = DEFAULT_MANIFEST if options.deployment is None else read_manifest(options.deployment)
    with own_folder(options.folder) as folder, socket_folder() as sockets:
        return uvloop.run(_run(options, manifest, folder, sockets, say, show))


async def _run(
    options: Options, manifest: Mapping[str, Any], folder: Path, sockets: Path, say: Say, show: Show
) -> dict[str, Any]:
    images = find_images(options.deployment, options.layouts)
    if options.runner == "process":
        for sentence in _missing_images(manifest, images):
            say(f"warning: {sentence}. Until then nobody is this module, unless you sign in as it (--info)")
    plan = Plan(
        options.scenario,
        Places(folder, sockets, options.host, options.port),
        _runners(options, folder, images),
        manifest,
        options.source_file,
        options.drain_s,
    )
    simulation = Simulation(plan, secrets.token_bytes(32))
    try:
        interrupted = _watch_signals(simulation, lambda: say(_ENDING.format(options.drain_s)))
        await _start(simulation, options, say)
        async with _page(simulation, options.ui, say) as url:
            if options.info is not None:
                write_file(options.info, json.dumps(_info(simulation, url), indent=2).encode(), mode=0o600)
            showing = asyncio.create_task(_show(simulation, show))
            running = asyncio.create_task(simulation.run())
            await asyncio.wait([running, asyncio.create_task(interrupted.wait())], return_when="FIRST_COMPLETED")
            if not running.done():
                running.cancel()
                raise RemoteError("interrupted before all messages had time to arrive", retryable=False)
            await running
            report = await simulation.report()
            showing.cancel()
            show(simulation.views.snapshot(), time.monotonic())
            for path in (folder / "report.json", options.report):
                if path is not None:
                    write_file(path, (json.dumps(report, indent=2) + "\n").encode())
            if options.waits and not simulation.views.stop.is_set():
                say("The run is over; the hub goes on until it is interrupted.")
                await simulation.views.stop.wait()
            return report
    finally:
        await simulation.close()


async def _start(simulation: Simulation, options: Options, say: Say) -> None:
    try:
        await simulation.start()
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise InputError(f"--host {options.host}: this machine has no such address: {error.strerror}") from None
        if options.port and "address already in use" in str(error).lower():
            raise InputError(
                f"port {options.port} is in use: end what listens there, or choose another with --port (0: a free "
                "one); azure-iot-device can connect to 8883 only"
            ) from None
        raise
    port = simulation.world.server.port
    say(f"hub and edgeHub  mqtts://{options.host}:{port}")
    say(f"service          {simulation.service()['url']}")
    say(f"files            {options.folder}")


def _missing_images(manifest: Mapping[str, Any], images: Mapping[str, Path]) -> Iterator[str]:
    """A sentence for each module that is to run and whose image no process can be made of."""
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    for name, module in agent.get("modules", {}).items():
        image = module["settings"]["image"]
        known = parse_image_name(image).last == SENSOR_IMAGE or find_layout(image, images) is not None
        if str(module.get("status", "running")).lower() == "running" and not known:
            yield f"module {name}: {image_elsewhere(image, images)}"


def _runners(options: Options, folder: Path, images: Mapping[str, Path]) -> Callable[[str], Runner]:
    built_in: dict[str, BuiltIn] = {SENSOR_IMAGE: lambda _module: python_command("simulator.devices.sensor_module")}
    if options.runner == "process":
        return lambda device_id: ProcessRunner(folder / device_id, images, options.cache, built_in)
    from simulator.edge_agent.docker_runner import DockerRunner

    return lambda device_id: DockerRunner(device_id, folder / device_id, images)


def _watch_signals(simulation: Simulation, tell: Callable[[], None]) -> asyncio.Event:
    """The first SIGINT, SIGTERM or SIGHUP ends the run in good order; the second sets the event."""
    interrupted = asyncio.Event()

    def stop() -> None:
        if simulation.views.stop.is_set():
            interrupted.set()
        else:
            tell()
        simulation.views.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return interrupted


def _info(simulation: Simulation, url: str) -> dict[str, Any]:
    world = simulation.world
    strings = simulation.connection_strings()
    return {
        "hub": f"{simulation.plan.places.host}:{world.server.port}",
        "ca": str((simulation.plan.places.folder / "ca.pem").absolute()),
        "service": simulation.service(),
        **strings,
        "edge_environment": {
            client_id: world.gateways[client_id.partition("/")[0]].workload.environment(client_id.partition("/")[2])
            for client_id in strings["modules"]
            if client_id.partition("/")[0] in world.gateways
        },
        "control": str(simulation.control.path),
        "dashboard": url,
    }


async def _show(simulation: Simulation, show: Show) -> None:
    while True:
        show(simulation.views.snapshot(), time.monotonic())
        await asyncio.sleep(_SHOW_S)


@contextlib.asynccontextmanager
async def _page(simulation: Simulation, listen: str | None, say: Say) -> AsyncIterator[str]:
    """The dashboard, in a process of its own; yields its URL, "" without one."""
    if listen is None:
        yield ""
        return
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "simulator.dashboard",
            "--control",
            str(simulation.control.path),
            "--listen",
            listen,
            "--patience-s",
            "5",
        ),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for the simulator, which ends the page
    )
    try:
        url = await _page_url(process, listen)
        say(f"dashboard        {url}")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _page_url(process: asyncio.subprocess.Process, listen: str) -> str:
    line = b""
    if process.stdout is not None:
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(process.stdout.readline(), _UI_WITHIN_S)
    if not line:
        raise RemoteError(
            f"the dashboard does not serve at {listen}: use --ui with another port, or --no-ui", retryable=False
        )
    return str(json.loads(line)["url"])
