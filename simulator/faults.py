"""Carries out steps: breaks the network, ends modules, fills disks, changes twins, calls methods, sends messages.

Everything that was done is kept with its time, for the report and the views. A step with `for_s` ends after so many
simulated seconds, and leaves what others do to the link (`link_faults.py`). `restore` ends all of them. A step that
cannot be done is a failure of the run, which goes on.

What `disk_full` does: the module's processes may make no file larger than a page (RLIMIT_FSIZE), so that writes to its
volumes fail until it is over; a module that restarts meanwhile finds its disk full. Not less than a page, since memory
that processes share is a file too, and no disk is needed for it. `clock_jump` moves the hub's clock for tokens, and the
clocks of all devices.
"""

import asyncio
import json
import mmap
import resource
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from edgepack.errors import InputError
from edgepack.process_tree import process_tree
from simulator.cloud.hub_error import HubError
from simulator.cloud.method_invoker import MethodTimeout, NotConnected
from simulator.gateway import Gateway
from simulator.hub.links import UPSTREAM_LINK, LinkCondition
from simulator.link_faults import LinkFaults
from simulator.message import HubMessage, Pairs
from simulator.steps import Step
from simulator.world import World

STEP_ERRORS = (InputError, HubError, NotConnected, MethodTimeout, OSError)
"""What a step that cannot be done raises."""

_AWAY_S = 2.0
_CONNECT_WITHIN_S = 10.0
_KEPT = 1000


class Faults:
    """See the module. `tell_fleet` sends a command to the devices."""

    def __init__(self, world: World, tell_fleet: Callable[[Mapping[str, Any]], None]) -> None:
        self.done: list[dict[str, Any]] = []
        """The last thousand steps that were done, of `count` in all."""
        self.count = 0
        self.failures: list[str] = []
        self._links = LinkFaults(world.network)
        self._world = world
        self._tell_fleet = tell_fleet
        self._tasks: set[asyncio.Task[None]] = set()
        self._full: dict[tuple[str, str], int] = {}
        """Modules whose disk is full, and the process that has been told."""
        self._sent = 0
        self._offline_since_s: float | None = None
        self._offline_s = 0.0
        world.network.watch(self._network_changed)

    @property
    def offline_s(self) -> float:
        """For how many simulated seconds IoT Hub was out of reach."""
        since_s = self._offline_since_s
        return self._offline_s + (0.0 if since_s is None else self._world.clock.now_s() - since_s)

    async def do(self, step: Step) -> Any:
        """Do a step; what it gives (an `invoke` its answer), else None. Raises one of STEP_ERRORS."""
        at_s = round(self._world.clock.now_s(), 3)
        result = await self._do(step)
        record = {"at_s": at_s, **step.document()}
        if step.do == "invoke":
            record["answer"] = result
        self.count += 1
        self.done = [*self.done[1 - _KEPT :], record]
        return result

    def restore(self) -> None:
        """The network is whole, the hub is there, no disk is full, and clocks are right again."""
        for task in self._tasks:
            task.cancel()
        self._links.clear()
        self._world.server.come_back()
        for module in list(self._full):
            self._empty_disk(module)
        if self._world.skew_s:
            self._tell_fleet({"do": "skew", "by_s": -self._world.skew_s})
            self._world.skew_s = 0.0

    def keep_full(self) -> None:
        """See that the processes of modules whose disk is full can write nothing."""
        for module, pid in list(self._full.items()):
            running = self._pid_of(module)
            if running is not None and running != pid and _limit_files(running, is_full=True):
                self._full[module] = running

    async def close(self) -> None:
        """Give up what would be undone later."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _do(self, step: Step) -> Any:
        given = step.arguments
        match step.do:
            case "offline" | "online" | "latency" | "loss" | "bandwidth" | "half_open":
                self._change_link(step)
            case "restart_hub":
                away_s = given.get("for_s", _AWAY_S)
                self._world.tasks.start(self._world.server.restart(away_s), "restart of the hub")
            case "kill_agent":
                gateway, module_id = self._module(given.get("module"))
                await gateway.agent.kill_module(module_id)
            case "disk_full":
                self._fill_disk(given)
            case "expire_token":
                client_id = given.get("id") or self._module_id(given.get("module"))
                if not self._world.front.expire_token(client_id):
                    raise InputError(f"{client_id} is not connected: it has no token to expire")
            case "clock_jump":
                self._world.skew_s += given["by_s"]
                self._tell_fleet({"do": "skew", "by_s": given["by_s"]})
            case "set_twin":
                self._world.identity(client_id := self._who(given))
                self._world.registry.patch_desired(client_id, given["desired"])
            case "invoke":
                self._world.identity(client_id := self._who(given))
                status, payload = await self._world.methods.invoke_method(
                    client_id, given["method"], given.get("payload"), connect_timeout_s=_CONNECT_WITHIN_S
                )
                return {"status": status, "payload": payload}
            case "send":
                self._send(given)
        return None

    def _change_link(self, step: Step) -> None:
        given = step.arguments
        link = given.get("link", UPSTREAM_LINK)
        if step.do == "online":
            self._links.online(link)
            return
        fields: dict[str, Any] = {
            "offline": {"up": False},
            "latency": {"latency_ms": given.get("ms", 0), "jitter_ms": given.get("jitter_ms", 0)},
            "loss": {"loss": given.get("rate", 0)},
            "bandwidth": {"bandwidth_kbit": given.get("kbit")},
            "half_open": {"half_open": True},
        }[step.do]
        if "for_s" not in given:
            self._links.set(link, fields)
            return
        fault = self._links.begin(link, fields)
        self._later(self._after(given["for_s"], lambda: self._links.end(fault)))

    def _fill_disk(self, given: Mapping[str, Any]) -> None:
        gateway, module_id = self._module(given.get("module"))
        module = (gateway.device_id, module_id)
        pid = self._pid_of(module)
        if pid is None:
            raise InputError(f"{gateway.device_id}/{module_id} does not run: its disk cannot be filled")
        if not _limit_files(pid, is_full=True):
            raise InputError(f"the disk of process {pid} cannot be filled: it has ended, or is another user's")
        self._full[module] = pid
        if "for_s" in given:
            self._later(self._after(given["for_s"], lambda: self._empty_disk(module)))

    def _empty_disk(self, module: tuple[str, str]) -> None:
        if (pid := self._full.pop(module, None)) is not None:
            _limit_files(pid, is_full=False)

    def _pid_of(self, module: tuple[str, str]) -> int | None:
        views = self._world.gateways[module[0]].agent.modules()
        return next((view.pid for view in views if view.name == module[1]), None)

    def _send(self, given: Mapping[str, Any]) -> None:
        """A message to a module's input, or from the cloud to a device."""
        client_id = self._who(given)
        identity = self._world.identity(client_id)
        body = json.dumps(given.get("body")).encode()
        self._sent += 1
        properties: Pairs = (
            ("$.mid", f"step-{self._sent:06d}"),
            ("$.ct", "application/json"),
            ("$.ce", "utf-8"),
            *given.get("properties", {}).items(),
        )
        gateway = self._world.gateways.get(identity.device_id) if identity.module_id else None
        if gateway is None:
            self._world.hub.send_to_device(identity, properties, body)
        else:
            message = HubMessage("simulator", "", properties, body, self._world.clock.now_s())
            gateway.edge_hub.put(identity.module_id, given.get("input", "amlInput"), message)

    def _who(self, given: Mapping[str, Any]) -> str:
        return given.get("id") or self._module_id(None)

    def _module_id(self, module: str | None) -> str:
        gateway, module_id = self._module(module)
        return f"{gateway.device_id}/{module_id}"

    def _module(self, module: str | None) -> tuple[Gateway, str]:
        """A gateway and one of its modules: named `GATEWAY/MODULE` or `MODULE`, the first of all without a name."""
        known = [(gateway, view.name) for gateway in self._world.gateways.values() for view in gateway.agent.modules()]
        for gateway, name in known:
            if module in (None, name, f"{gateway.device_id}/{name}"):
                return gateway, name
        names = ", ".join(f"{gateway.device_id}/{name}" for gateway, name in known) or "none"
        raise InputError(f"there is no module {module or ''}: there is {names}")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except STEP_ERRORS as error:
            self.failures.append(str(error))

    async def _after(self, seconds: float, undo: Callable[[], None]) -> None:
        await self._world.clock.sleep(seconds)
        undo()

    def _network_changed(self, link: str, condition: LinkCondition) -> None:
        if link != UPSTREAM_LINK:
            return
        is_away = not condition.up or condition.half_open
        if is_away and self._offline_since_s is None:
            self._offline_since_s = self._world.clock.now_s()
        elif not is_away and self._offline_since_s is not None:
            self._offline_s += self._world.clock.now_s() - self._offline_since_s
            self._offline_since_s = None


def _limit_files(pid: int, *, is_full: bool) -> bool:
    """Let a process and what it has started write to files, or not; False if it has ended, or is another user's."""
    limited = [each for each in process_tree(pid) if _limit_process(each, is_full=is_full)]
    return pid in limited


def _limit_process(pid: int, *, is_full: bool) -> bool:
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        page = mmap.PAGESIZE if hard == resource.RLIM_INFINITY else min(mmap.PAGESIZE, hard)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (page if is_full else hard, hard))
    except (ProcessLookupError, PermissionError):
        return False
    return True
