"""One run: build the world, deploy, let devices send, do what the scenario says, drain, report.

    start -> running (steps are done) -> duration over, or stopped -> the network is whole again, devices stop and hand
    over what they hold -> draining: until nothing is outstanding, or nothing has arrived for `drain_s` seconds -> done

What the run leaves is in its folder: ca.pem, deployment.json, devices.jsonl, cloud.jsonl, logs/, volumes/, report.json.
"""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.files import write_file
from simulator.clock import Clock
from simulator.cloud.configurations import Configurations, apply_configurations
from simulator.cloud.identity import IdentityChanged, IdentityRemoved, TagsChanged
from simulator.cloud.service_access import policies_of
from simulator.cloud.service_api import serve_service, service_app
from simulator.cloud.service_request import Hub
from simulator.control_server import ControlServer
from simulator.devices.plan import FLEET_MARK
from simulator.edge_agent.runner import Runner
from simulator.faults import STEP_ERRORS, Faults
from simulator.fleet_process import FleetProcess
from simulator.recount import recount
from simulator.report import RunFigures, report_document
from simulator.scenario import Scenario
from simulator.views import Views
from simulator.world import Places, World

DEFAULT_MANIFEST: Mapping[str, Any] = {
    "modulesContent": {
        "$edgeAgent": {
            "properties.desired": {
                "schemaVersion": "1.1",
                "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
                "systemModules": {
                    "edgeAgent": {"type": "docker", "settings": {"image": "edge-agent:1.6"}},
                    "edgeHub": {
                        "type": "docker",
                        "status": "running",
                        "restartPolicy": "always",
                        "settings": {"image": "edge-hub:1.6"},
                    },
                },
                "modules": {},
            }
        },
        "$edgeHub": {
            "properties.desired": {
                "schemaVersion": "1.1",
                "routes": {"up": "FROM /messages/* INTO $upstream"},
                "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
            }
        },
    }
}
"""Without a deployment: no modules, and everything goes to IoT Hub."""

OWNER = "iothubowner"
_KEY_BYTES = 32
_SETTLE_S = 0.05
_LONGEST_BACK_OFF_S = 400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `runner_of` makes the runner of a gateway by its device id. `drain_s`: real seconds."""

    scenario: Scenario
    places: Places
    runner_of: Callable[[str], Runner]
    manifest: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_MANIFEST)
    source_file: Path | None = None
    drain_s: float = 60.0


class Simulation:
    """See the module. Made on a running loop; `start`, then `run`, then `close`, which may be called at any time."""

    def __init__(self, plan: Plan, owner_key: bytes) -> None:
        self.plan = plan
        self.clock = Clock(plan.scenario.speed)
        self._begun_s = time.monotonic()
        self.world = World(self.clock, plan.places, units=plan.scenario.units, seed=plan.scenario.seed)
        self.fleet = FleetProcess(self.world.ledger.created)
        self.faults = Faults(self.world, self.fleet.tell)
        self.views = Views(self.world, plan.scenario, self.faults, self.fleet)
        self.control = ControlServer(plan.places.sockets / "control.sock", self.views.ask)
        self.service_port = 0
        self.devices: list[str] = []
        self.steps_done = 0
        self._owner_key = owner_key
        self._configurations = Configurations()
        self._stack = contextlib.AsyncExitStack()
        self._steps: asyncio.Task[None] | None = None
        self._has_devices = plan.scenario.devices > 0
        self._taken: set[str] = set()
        self.world.may_enter = self._may_enter

    async def start(self) -> None:
        """Bring everything up; devices and modules begin to start. Raises OSError, EdgepackError, HubError."""
        scenario, world, folder = self.plan.scenario, self.world, self.plan.places.folder
        (folder / "ca.pem").write_text(world.authority.ca_pem)
        write_file(folder / "deployment.json", json.dumps(self.plan.manifest, indent=2).encode(), mode=0o600)
        await world.start()
        gateways = [f"edge-{number}" for number in range(1, scenario.gateways + 1)]
        for device_id in gateways:
            world.add_gateway(device_id, self.plan.runner_of(device_id))
        width = max(3, len(str(scenario.devices)))
        for number in range(scenario.devices):
            self.devices.append(f"sensor-{number + 1:0{width}}")
            world.registry.add_device(self.devices[-1], parent=gateways[number % len(gateways)])
        await self._start_service(folder)
        await self.control.start()
        self.clock.restart()
        for device_id in gateways:
            world.deploy(device_id, self.plan.manifest)
            world.gateways[device_id].start()
        if self._has_devices:
            await self.fleet.start(self._fleet_plan())
            world.tasks.start(self._watch_fleet(), "fleet")
        self._steps = world.tasks.start(self._do_steps(), "steps of the scenario")
        world.tasks.start(self.views.watch(), "views")

    async def run(self) -> None:
        """Wait for the end: the duration, or `views.stop`; then let everything arrive. Raises what ended a task."""
        duration_s = self.plan.scenario.duration_s
        left_s = None if duration_s is None else self.clock.real_s(duration_s - self.clock.now_s())
        await self._wait(self.views.stop.wait(), left_s)
        self.views.state = "draining"
        if self._steps is not None and not self._steps.done():
            self._steps.cancel()
            left = len(self.plan.scenario.steps) - self.steps_done
            self.views.notes.append(f"steps that lie after the end of the run, and were not done: {left}")
        self.faults.restore()
        self.fleet.tell({"do": "stop", "drain_s": self.plan.drain_s})
        if self._has_devices:
            await self._wait(self.fleet.wait(), None)
        self.world.ledger.close_books()
        await self._wait(self._drain(), None)
        self.views.note_depth()
        self.views.state = "done"

    async def _wait(self, work: Coroutine[Any, Any, Any], timeout_s: float | None) -> None:
        """Wait for something, so long, or until a task of the run fails."""
        waiting = asyncio.get_running_loop().create_task(work)
        failing = asyncio.get_running_loop().create_task(self.world.tasks.failed.wait())
        try:
            await asyncio.wait([waiting, failing], timeout=timeout_s, return_when="FIRST_COMPLETED")
            if (failure := self.world.tasks.failure) is not None:
                raise failure
            if waiting.done():
                await waiting
        finally:
            for task in (waiting, failing):
                task.cancel()
            await asyncio.wait([waiting, failing])

    async def _drain(self) -> None:
        """Wait until nothing is outstanding, or nothing has arrived for `drain_s`; longer while a module backs off."""
        ledger = self.world.ledger
        least, since_s = ledger.owed, time.monotonic()
        while left := ledger.owed:
            now_s = time.monotonic()
            if left < least:
                least, since_s = left, now_s
            waits = any(module.status in ("backoff", "starting") for module in self.views.modules().values())
            if now_s - since_s > self.plan.drain_s + (self.clock.real_s(_LONGEST_BACK_OFF_S) if waits else 0):
                return
            await asyncio.sleep(_SETTLE_S)

    async def report(self) -> dict[str, Any]:
        """What the run came to; after `run`."""
        self.world.cloud.flush()
        figures = RunFigures(
            scenario=self.plan.scenario.name,
            seconds=self.clock.now_s(),
            real_seconds=time.monotonic() - self._begun_s,
            offline_s=self.faults.offline_s,
            peak_buffered=self.views.peak_buffered,
            devices=self.plan.scenario.devices,
            modules=self.views.modules(),
            faults=self.faults.done,
            faults_count=self.faults.count,
            failures=[*self.views.failures, *self.faults.failures, *self.fleet.failures],
            refused_connections=self.world.refused,
            reconnects=self.fleet.totals.get("reconnects", 0),
            problems=self.views.all_problems(),
        )
        devices = self.plan.places.folder / "devices.jsonl"
        count = await asyncio.to_thread(recount, devices, self.world.cloud.path) if devices.exists() else None
        return report_document(self.world.ledger, figures, count)

    async def close(self) -> None:
        """End everything: fleet, modules, servers, whatever goes wrong on the way. May be called again."""
        async with contextlib.AsyncExitStack() as stack:
            for end in (self._stack.aclose, self.world.close, self.control.stop, self.fleet.close, self.faults.close):
                stack.push_async_callback(end)

    def service(self) -> dict[str, str]:
        """Where the service interface is, and the string to connect to it."""
        host = f"{self.plan.places.host}:{self.service_port}"
        key = base64.b64encode(self._owner_key).decode()
        string = f"HostName={host};SharedAccessKeyName={OWNER};SharedAccessKey={key}"
        return {"url": f"https://{host}", "connection_string": string}

    def connection_strings(self) -> dict[str, dict[str, str]]:
        """Of all devices, and of all modules but the system's."""
        registry, host = self.world.registry, self.world.hub_host
        found: dict[str, dict[str, str]] = {"devices": {}, "modules": {}}
        for identity in registry.identities():
            parts = [f"HostName={host}", f"DeviceId={identity.device_id}"]
            if identity.module_id:
                parts.append(f"ModuleId={identity.module_id}")
            parts.append(f"SharedAccessKey={base64.b64encode(identity.primary_key).decode()}")
            if identity.module_id or identity.parent:
                parts.append(f"GatewayHostName={host}")
            if not identity.module_id.startswith("$"):
                kind = "modules" if identity.module_id else "devices"
                found[kind][identity.client_id] = ";".join(parts)
        return found

    async def _start_service(self, folder: Path) -> None:
        names = tuple(dict.fromkeys((self.plan.places.host, "localhost", "127.0.0.1")))
        certificate, key = self.world.authority.write_server_files(names, folder)
        policies = policies_of({OWNER: (self._owner_key, self._owner_key)})
        hub = Hub(self.world.registry, self._configurations, policies, names)
        app = service_app(hub, self.world.methods, self.world.wall_s)
        self.service_port = await self._stack.enter_async_context(
            serve_service(app, certificate, key, host=self.plan.places.host)
        )
        key.unlink()
        self.world.registry.watch(self._target_again)

    def _may_enter(self, client_id: str, user: str) -> bool:
        """Who signs in as one of the fleet's devices takes its place, and keeps it."""
        if user.endswith(FLEET_MARK):
            return client_id not in self._taken
        if client_id in self.devices and client_id not in self._taken:
            self._taken.add(client_id)
            self.fleet.tell({"do": "release", "devices": [client_id]})
        return True

    def _target_again(self, change: object) -> None:
        """Which devices a configuration targets may have changed."""
        if isinstance(change, TagsChanged | IdentityChanged | IdentityRemoved) and self._configurations.all():
            asyncio.get_running_loop().call_soon(apply_configurations, self.world.registry, self._configurations)

    async def _watch_fleet(self) -> None:
        """A source that devices cannot send from ends the run."""
        await self.fleet.wait()
        if self.fleet.refusal is not None:
            raise self.fleet.refusal

    async def _do_steps(self) -> None:
        for timed in self.plan.scenario.steps:
            await self.clock.sleep(timed.at_s - self.clock.now_s())
            try:
                await self.faults.do(timed.step)
            except STEP_ERRORS as error:
                self.views.failures.append(f"at {timed.at_s:g} s, {timed.step.do}: {error}")
            self.steps_done += 1

    def _fleet_plan(self) -> dict[str, Any]:
        scenario, registry = self.plan.scenario, self.world.registry
        keys = {device_id: registry.identity(device_id) for device_id in self.devices}
        plan: dict[str, Any] = {
            "host": self.plan.places.host,
            "port": self.world.server.port,
            "hub_name": self.plan.places.host,
            "ca_file": str(self.plan.places.folder / "ca.pem"),
            "devices": [
                {"device_id": device_id, "key": base64.b64encode(identity.primary_key).decode()}
                for device_id, identity in keys.items()
                if identity is not None
            ],
            "source": _source(self.plan.source_file),
            "rate_per_s": scenario.rate_per_s,
            "jitter": scenario.jitter,
            "duplicate_share": scenario.duplicates,
            "clock_skew_s": scenario.clock_skew_s,
            "speed": scenario.speed,
            "seed": scenario.seed,
            "record_file": str(self.plan.places.folder / "devices.jsonl"),
            "drain_s": self.plan.drain_s,
        }
        if scenario.bursts is not None:
            plan["bursts"] = scenario.bursts._asdict()
        return plan


def _source(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {"kind": "temperature"}
    return {"kind": "generator" if file.suffix == ".py" else "replay", "file": str(file)}
