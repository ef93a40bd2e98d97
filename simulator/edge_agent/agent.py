"""edgeAgent: reads what is wanted from the hub, plans, carries the plan out, and reports.

    hub's desired properties --(online)--> Deployment --+
                                                        +--> plan --> steps --> runner --> processes
    ends of modules, time  --------------> states    ---+                          |
    hub's reported properties <--(online)-- newest document <-----------------------+

One task does all of it, a step after the other. It wakes when the hub's document changes, when a module ends, when a
restart is due, and otherwise once in a round. Offline it goes on with the last deployment it knows, and reports the
newest state when it is back. As in the product: while the hub's document cannot be used nothing is planned, so that
modules that run go on, and one that ends stays so; a step that fails does not stop the others, and shows as status 500.
Nothing survives `close`, and nothing the end of the simulator: that is the runner's promise.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from device_agent.messages.iothub.twin import difference
from edgepack.errors import EdgepackError, InputError, RemoteError
from simulator.clock import Clock
from simulator.cloud.registry import Registry
from simulator.cloud.twin import TwinError
from simulator.edge_agent.deployment import OK, STEP_FAILED, Deployment, DeploymentError, parse_deployment
from simulator.edge_agent.module_log import ModuleLog
from simulator.edge_agent.module_state import ModuleState, ended, not_started
from simulator.edge_agent.plan import Action, Step, after, next_due_s, plan, settle
from simulator.edge_agent.reported import DesiredStatus, Platform, reported_document
from simulator.edge_agent.restart import ROUND_S, RuntimeStatus, runtime_status
from simulator.edge_agent.runner import Runner, Running

STOP_S = 10.0
_LONGEST_ROUND_S = 1.0
_PLATFORM = Platform("linux", os.uname().machine)


class ModuleView(NamedTuple):
    """A module for views. `is_starting`: its image is being unpacked or loaded. `problem`: why it cannot start."""

    name: str
    image: str
    status: RuntimeStatus
    restarts: int
    exit_code: int
    pid: int | None
    url: str
    is_starting: bool
    problem: str


class EdgeAgent:
    """edgeAgent of one device. `start` it on the loop that it is to run on; `close` stops all modules.

    `environment_of` gives the IOTEDGE_ variables of a module each time it starts. Logs go to `log_folder`/MODULE.log.
    """

    def __init__(
        self,
        device_id: str,
        registry: Registry,
        runner: Runner,
        clock: Clock,
        environment_of: Callable[[str], Mapping[str, str]],
        is_online: Callable[[], bool],
        *,
        log_folder: Path | None = None,
        platform: Platform = _PLATFORM,
    ) -> None:
        self.device_id = device_id
        self._registry = registry
        self._runner = runner
        self._clock = clock
        self._environment_of = environment_of
        self._is_online = is_online
        self._log_folder = log_folder
        self._platform = platform
        self._start_wall_s = clock.wall_s() - clock.now_s()
        self._id = f"{device_id}/$edgeAgent"
        self._deployment = Deployment()
        self._refusal: DeploymentError | None = None
        self._seen_version: int | None = None
        self._status = DesiredStatus()
        self._states: dict[str, ModuleState] = {}
        self._live: dict[str, Running] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._image_ids: dict[str, str] = {}
        self._starting = ""
        self._logs: dict[str, ModuleLog] = {}
        self._reported: dict[str, Any] = {}
        self._report_problem = ""
        self._woken = asyncio.Event()
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._registry.watch(lambda _change: self.wake())
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"edgeAgent of {self.device_id}")

    def wake(self) -> None:
        """Look at everything now, such as when the link to the hub is back."""
        self._woken.set()

    @property
    def deployment(self) -> Deployment:
        """What the modules are made from."""
        return self._deployment

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the deployment and its modules now, one sentence each."""
        found = [] if self._refusal is None else [f"{self.device_id}: {self._refusal.text}"]
        found += [f"{self._id}: {self._report_problem}"] if self._report_problem else []
        return (*found, *(f"{self.device_id}/{view.name}: {view.problem}" for view in self.modules() if view.problem))

    def modules(self) -> tuple[ModuleView, ...]:
        """All modules there are, in startup order."""
        states = sorted(self._states.values(), key=lambda state: state.wanted.order)
        return tuple(self._view(state) for state in states)

    def log(self, name: str) -> ModuleLog:
        """The output of a module; KeyError when there never was one."""
        return self._logs[name]

    async def kill_module(self, name: str) -> None:
        """A fault: end a module and all that it started with SIGKILL. It restarts by its policy.

        Raises:
            InputError: it does not run.
        """
        running = self._live.get(name)
        if running is None:
            known = ", ".join(self._live) or "none"
            raise InputError(f"{self.device_id}/{name} does not run, so it cannot be killed; running: {known}")
        self._logs[name].say("killed by a fault")
        running.kill()
        await asyncio.wait([self._ends[name]])

    async def close(self) -> None:
        """Stop all modules (SIGTERM, SIGKILL after 10 s) and report no more. May be called again."""
        self._is_closing = True
        self.wake()
        task, self._task = self._task, None
        try:
            if task is not None:
                await task
        finally:
            await asyncio.gather(*(self._stop(name) for name in tuple(self._live)))
            await self._runner.close()
            for log in self._logs.values():
                log.close()

    async def _run(self) -> None:
        while not self._is_closing:
            self._woken.clear()
            self._read_desired()
            if self._refusal is None:
                await self._reconcile()
            self._report()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._rest_s())

    def _rest_s(self) -> float:
        """How long to wait, in real seconds, when nothing happens."""
        round_s = min(self._clock.real_s(ROUND_S), _LONGEST_ROUND_S)
        due_s = None if self._refusal is not None else next_due_s(self._deployment, self._states)
        if due_s is None:
            return round_s
        return min(round_s, max(0.001, self._clock.real_s(due_s - self._clock.now_s())))

    def _read_desired(self) -> None:
        """Take over what the hub has, when it is another version and the hub can be reached."""
        if not self._is_online():
            return
        try:
            twin = self._registry.twin(self._id)
        except KeyError:
            return  # the device was removed from the hub: it goes on as it is
        if twin.desired_version == self._seen_version:
            return
        self._seen_version = twin.desired_version
        try:
            self._deployment = parse_deployment(twin.desired)
        except DeploymentError as error:
            self._refusal = error
            self._status = self._status._replace(code=error.status, description=error.text)
        else:
            self._refusal = None

    async def _reconcile(self) -> None:
        steps = plan(self._deployment, self._states, self._clock.now_s())
        self._states = settle(self._deployment, self._states, self._clock.now_s())
        version = self._seen_version or 0
        for step in steps:
            if self._is_closing:
                return
            await self._carry_out(step)
        failed = [f"{name}: {state.problem}" for name, state in self._states.items() if state.problem]
        self._status = DesiredStatus(version, STEP_FAILED if failed else OK, "; ".join(failed))

    async def _carry_out(self, step: Step) -> None:
        name = step.module
        if step.action is Action.STOP:
            await self._stop(name)
            return
        state = self._states.get(name)
        match step.action:
            case Action.START | Action.RESTART:
                if state is None or state.is_running:
                    return
                try:
                    await self._start_process(step)
                except (EdgepackError, OSError) as error:
                    self._log_of(name).say(f"cannot start: {error}")
                    may_retry = error.retryable if isinstance(error, RemoteError) else isinstance(error, OSError)
                    now_s = self._clock.now_s()
                    self._states[name] = not_started(state, _one_line(error), now_s, may_retry=may_retry)
                    return
            case Action.UPDATE | Action.REMOVE:
                try:
                    await self._runner.remove(name)
                except (EdgepackError, OSError) as error:
                    self._log_of(name).say(f"not removed: {error}")
                self._image_ids.pop(name, None)
        changed = after(step, state, self._clock.now_s())
        if changed is None:
            del self._states[name]
        else:
            self._states[name] = changed

    async def _start_process(self, step: Step) -> None:
        """Run the module, and look after its end."""
        name = step.module
        log = self._log_of(name)
        log.say(str(step))
        self._starting = name
        try:
            running = await self._runner.start(step.wanted, self._environment(name), log)
        finally:
            self._starting = ""
        self._live[name] = running
        self._image_ids[name] = running.image_id
        self._ends[name] = asyncio.get_running_loop().create_task(self._see_end(name, running))

    async def _see_end(self, name: str, running: Running) -> None:
        code = await running.wait()
        del self._live[name]
        self._states[name] = ended(self._states[name], code, self._clock.now_s())
        self._log_of(name).say(f"{name} ended with exit code {code}")
        self.wake()

    async def _stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL for what does not end within 10 s; returns when it has ended."""
        running, end = self._live.get(name), self._ends.get(name)
        if running is None or end is None:
            return
        running.terminate()
        _, still = await asyncio.wait([end], timeout=STOP_S)
        if still:
            self._log_of(name).say(f"did not end within {STOP_S:g} s: killed")
            running.kill()
        await end

    def _report(self) -> None:
        """Tell the hub what is new. Offline nothing is told, and later only what is the case then."""
        if not self._is_online():
            return
        document = reported_document(
            self._deployment, self._states, self._status, self._platform, self._image_ids, self._start_wall_s
        )
        patch = difference(self._reported, document)
        if not patch:
            return
        try:
            self._registry.patch_reported(self._id, patch)
        except KeyError:
            return  # the device was removed from the hub
        except TwinError as error:
            self._report_problem = f"the hub does not take the report: {error}"
            return
        self._report_problem = ""
        self._reported = document

    def _environment(self, name: str) -> Mapping[str, str]:
        try:
            return self._environment_of(name)
        except KeyError:
            raise RemoteError(f"the hub has no identity {self.device_id}/{name}: deploy through the hub") from None

    def _log_of(self, name: str) -> ModuleLog:
        if name not in self._logs:
            folder = self._log_folder
            self._logs[name] = ModuleLog(None if folder is None else folder / f"{name}.log")
        return self._logs[name]

    def _view(self, state: ModuleState) -> ModuleView:
        name, running = state.wanted.name, self._live.get(state.wanted.name)
        return ModuleView(
            name,
            state.wanted.image,
            runtime_status(state),
            state.restarts,
            state.exit_code,
            running.pid if running else None,
            running.url if running else "",
            self._starting == name,
            state.problem,
        )


def _one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines()) or type(error).__name__
