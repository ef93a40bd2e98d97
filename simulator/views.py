"""What a run looks like now, for views: snapshots, logs, twins; and what views ask for."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from edgepack.errors import InputError
from simulator.faults import Faults
from simulator.fleet_process import FleetProcess
from simulator.gateway import Gateway
from simulator.ledger import percentile
from simulator.scenario import Scenario
from simulator.snapshot import (
    MOST_DEVICES,
    RATE_VALUES,
    GatewayState,
    Latency,
    LinkState,
    ModuleState,
    QueueState,
    Rates,
    RunState,
    Snapshot,
)
from simulator.steps import LINKS, STEPS, parse_step
from simulator.world import World

_POLL_S = 1.0
_ANSWER_WITHIN_S = 2.0
_DEPTH = re.compile(rb"^edgepack_buffer_messages (\d+)", re.MULTILINE)


_KILLED = 137


class Views:
    """Looks at a run once a second: rates, and the depth of the modules' own buffers (from their /metrics).

    What has arrived in the cloud is in its file then, too.
    """

    def __init__(self, world: World, scenario: Scenario, faults: Faults, fleet: FleetProcess) -> None:
        self.state: RunState = "running"
        self.peak_buffered = 0
        self.stop = asyncio.Event()
        """Set when somebody asks for the end of the run."""
        self.failures: list[str] = []
        """Steps that could not be done."""
        self.notes: list[str] = []
        self._world = world
        self._scenario = scenario
        self._faults = faults
        self._fleet = fleet
        self._rates: deque[tuple[float, float]] = deque(maxlen=RATE_VALUES)
        self._depths: dict[str, int] = {}

    async def watch(self) -> None:
        """Look, for ever."""
        import httpx

        before, before_s = (0, 0), time.monotonic()
        async with httpx.AsyncClient(timeout=_ANSWER_WITHIN_S) as client:
            while True:
                await asyncio.sleep(_POLL_S)
                await asyncio.gather(*(self._ask_depth(client, name, url) for name, url in self._urls()))
                figures = self._world.ledger.figures(is_over=False)
                now, now_s = (figures.sent, figures.delivered), time.monotonic()
                rates = [(new - old) / (now_s - before_s) for new, old in zip(now, before, strict=True)]
                self._rates.append((round(rates[0], 1), round(rates[1], 1)))
                before, before_s = now, now_s
                self.note_depth()
                self._faults.keep_full()
                self._world.cloud.flush()

    def note_depth(self) -> None:
        """Remember how much waits now, if it is more than ever."""
        waiting = sum(count for gateway in self._world.gateways.values() for *_, count in gateway.edge_hub.waiting())
        peak = max((gateway.edge_hub.peak for gateway in self._world.gateways.values()), default=0)
        self.peak_buffered = max(self.peak_buffered, peak, waiting + sum(self._depths.values()))

    def snapshot(self) -> Snapshot:
        """The run as it is now."""
        world = self._world
        recent = tuple(world.ledger.recent_ms)
        at = datetime.fromtimestamp(world.clock.wall_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Snapshot(
            at_s=round(world.clock.now_s(), 3),
            clock=at,
            state=self.state,
            speed=self._scenario.speed,
            scenario=self._scenario.name,
            duration_s=self._scenario.duration_s,
            links={name: self._link(name) for name in LINKS},
            gateways=tuple(self._gateway(gateway) for gateway in world.gateways.values()),
            devices=tuple(list(self._fleet.states.values())[:MOST_DEVICES]),
            devices_total=self._scenario.devices,
            devices_connected=self._fleet.connected,
            rates=Rates(tuple(sent for sent, _ in self._rates), tuple(delivered for _, delivered in self._rates)),
            ledger=world.ledger.figures(is_over=self.state == "done"),
            latency_ms=Latency(percentile(recent, 0.5), percentile(recent, 0.99)),
            faults=tuple(self._faults.done[-100:]),
            problems=tuple(self.all_problems()),
        )

    def all_problems(self) -> list[str]:
        """What went wrong, one sentence each."""
        gateways = self._world.gateways.values()
        found = [*self.failures, *self._fleet.problems, *self._faults.failures, *self._world.refusals]
        found += [gateway.problem for gateway in gateways if gateway.problem]
        found += [problem for gateway in gateways for problem in gateway.agent.problems]
        found += [_ended_badly(name, module) for name, module in self.modules().items() if _has_ended_badly(module)]
        found += self.notes
        return list(dict.fromkeys(found))

    def modules(self) -> dict[str, ModuleState]:
        """All modules, by `GATEWAY/MODULE`."""
        return {
            f"{gateway.device_id}/{module.name}": module
            for gateway in self._world.gateways.values()
            for module in self._gateway(gateway).modules
        }

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Answer a request of the control socket. Raises InputError, or what a step raises."""
        match request.get("do"):
            case "snapshot":
                return self.snapshot().document()
            case "logs":
                return self._logs(request)
            case "twin":
                return self._twin(str(request.get("id")))
            case "stop":
                self.stop.set()
                return None
            case do if do in STEPS:
                problems: list[str] = []
                step = parse_step(request, "request", problems)
                InputError.raise_if_any(problems)
                return None if step is None else await self._faults.do(step)
            case do:
                raise InputError(f"do is {do!r}: use snapshot, logs, twin, stop, {', '.join(STEPS)}")

    def _logs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        device_id, _, name = str(request.get("module")).partition("/")
        after, limit = request.get("after", 0), request.get("limit", 500)
        if type(after) is not int or type(limit) is not int or limit < 1:
            raise InputError("after and limit must be whole numbers")
        try:
            log = self._world.gateways[device_id].agent.log(name)
        except KeyError:
            raise InputError(f"there is no log of {request.get('module')!r}") from None
        lines, following = log.lines(after, limit)
        return {"lines": lines, "next": following}

    def _twin(self, client_id: str) -> dict[str, Any]:
        self._world.identity(client_id)
        twin = self._world.registry.twin(client_id)
        return {"id": client_id, "tags": twin.tags, "properties": twin.device_document()}

    def _urls(self) -> list[tuple[str, str]]:
        return [
            (f"{gateway.device_id}/{view.name}", view.url)
            for gateway in self._world.gateways.values()
            for view in gateway.agent.modules()
            if view.url and view.status == "running"
        ]

    async def _ask_depth(self, client: Any, name: str, url: str) -> None:
        import httpx

        self._depths.pop(name, None)
        try:
            answer = await client.get(f"{url}/metrics")
        except httpx.HTTPError:
            return  # not there yet, or killed: its depth is not known
        if found := _DEPTH.search(answer.content):
            self._depths[name] = int(found[1])

    def _link(self, name: str) -> LinkState:
        condition = self._world.network.condition(name)
        return LinkState(
            condition.up, condition.latency_ms, condition.loss, condition.bandwidth_kbit, condition.half_open
        )

    def _gateway(self, gateway: Gateway) -> GatewayState:
        queues = [QueueState(*each) for each in gateway.edge_hub.waiting() if each[2]]
        modules = []
        for view in gateway.agent.modules():
            name = f"{gateway.device_id}/{view.name}"
            modules.append(
                ModuleState(
                    name=view.name,
                    status="starting" if view.is_starting else view.status,
                    restarts=view.restarts,
                    exit_code=view.exit_code,
                    connected=self._world.registry.is_connected(name),
                    buffer_messages=self._depths.get(name),
                    image=view.image,
                    pid=view.pid,
                    url=view.url,
                )
            )
        return GatewayState(gateway.device_id, tuple(queues), tuple(modules))


def _has_ended_badly(module: ModuleState) -> bool:
    """Whether a module has ended with an exit code that says so; faults kill with SIGKILL."""
    return module.exit_code not in (None, 0, _KILLED)


def _ended_badly(name: str, module: ModuleState) -> str:
    return f"{name} ended with exit code {module.exit_code} ({module.restarts} restarts): logs/{name}.log says why"
