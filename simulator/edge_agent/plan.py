"""What to do so that the modules become what the deployment asks for: a list of steps. Pure.

Modules that are not wanted any more go first, the last started first; then each module has its steps, in startup
order, not waiting for any to be ready. Everything but `status` that changes means a new module: stop, update, start.
Restarts that are due are steps like all others. A plan is made for one state; after it has been carried out, a plan
for the state that came about is empty, until a further restart is due.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from enum import Enum
from typing import NamedTuple

from simulator.edge_agent.deployment import Deployment, WantedModule
from simulator.edge_agent.module_state import ModuleState, Run, ended, restarted, started
from simulator.edge_agent.restart import next_start, recovered

States = Mapping[str, ModuleState]


class Action(Enum):
    """What a step does. `UPDATE` removes the module and creates it from what is wanted now; volumes stay."""

    CREATE = "create"
    UPDATE = "update"
    START = "start"
    RESTART = "restart"
    STOP = "stop"
    REMOVE = "remove"


class Step(NamedTuple):
    """One thing to do with one module, and why. `wanted` is what the module is to be, or was for the last time."""

    action: Action
    wanted: WantedModule
    reason: str

    @property
    def module(self) -> str:
        """The module's name."""
        return self.wanted.name

    def __str__(self) -> str:
        return f"{self.action.value} {self.module} ({self.reason})"


def plan(deployment: Deployment, states: States, now_s: float) -> tuple[Step, ...]:
    """The steps from `states` to `deployment`, in order."""
    wanted = {module.name for module in deployment.modules}
    gone = sorted((state.wanted for name, state in states.items() if name not in wanted), key=lambda one: one.order)
    steps: list[Step] = []
    for module in reversed(gone):
        steps += _steps_away(module, states[module.name])
    for module in deployment.modules:
        state = states.get(module.name)
        steps += _steps_of_new(module) if state is None else _steps_of(module, state, now_s)
    return tuple(steps)


def settle(deployment: Deployment, states: States, now_s: float) -> dict[str, ModuleState]:
    """The states once the deployment is taken over: another `status` needs no new module, and long runs count.

    To be used after `plan`, which needs to see the change of status, and before its steps.
    """
    wanted = {module.name: module for module in deployment.modules}
    settled = {}
    for name, state in states.items():
        module = wanted.get(name)
        if module is not None and _is_only_status_changed(state.wanted, module):
            state = _with_status(state, module)
        settled[name] = recovered(state, now_s)
    return settled


def after(step: Step, state: ModuleState | None, now_s: float, exit_code: int = 0) -> ModuleState | None:
    """The module after a step that went well; None: it is gone. `exit_code` is what a stopped module ended with.

    Raises:
        ValueError: the step is not one for this state (such as a start of what runs); never for a plan's own state.
    """
    match step.action:
        case Action.CREATE if state is None:
            return ModuleState(step.wanted)
        case Action.UPDATE if state is not None and not state.is_running:
            return ModuleState(step.wanted)
        case Action.START if state is not None and not state.is_running:
            return started(state, now_s)
        case Action.RESTART if state is not None and not state.is_running:
            return restarted(state, now_s)
        case Action.STOP if state is not None and state.is_running:
            return ended(state, exit_code, now_s)
        case Action.REMOVE if state is not None and not state.is_running:
            return None
    raise ValueError(f"{step} is no step for {state}")


def next_due_s(deployment: Deployment, states: States) -> float | None:
    """When the next restart is due, if one is."""
    starts = [next_start(states[module.name]) for module in deployment.modules if module.name in states]
    return min((start.at_s for start in starts if start is not None), default=None)


def print_plan(steps: Sequence[Step]) -> str:
    """A plan for people, one step a line."""
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1)) or "nothing to do"


def _steps_away(module: WantedModule, state: ModuleState) -> list[Step]:
    reason = "not in the deployment any more"
    stop = [Step(Action.STOP, module, reason)] if state.is_running else []
    return [*stop, Step(Action.REMOVE, module, reason)]


def _steps_of_new(module: WantedModule) -> list[Step]:
    start = [Step(Action.START, module, "new in the deployment")] if module.is_wanted_running else []
    return [Step(Action.CREATE, module, "new in the deployment"), *start]


def _steps_of(module: WantedModule, state: ModuleState, now_s: float) -> list[Step]:
    if _is_only_status_changed(state.wanted, module):
        state = _with_status(state, module)
        reason = f"status is {module.status} now"
    elif state.wanted != module:
        reason = f"changed: {', '.join(_changes(state.wanted, module))}"
        stop = [Step(Action.STOP, module, reason)] if state.is_running else []
        start = [Step(Action.START, module, reason)] if module.is_wanted_running else []
        return [*stop, Step(Action.UPDATE, module, reason), *start]
    else:
        reason = state.problem or (
            "to be running" if state.run is Run.CREATED else f"ended with exit code {state.exit_code}"
        )
    if state.is_running:
        return [] if module.is_wanted_running else [Step(Action.STOP, module, reason)]
    due = next_start(state)
    if due is None or due.at_s > now_s:
        return []
    return [Step(Action.RESTART if due.counts else Action.START, module, reason)]


def _with_status(state: ModuleState, module: WantedModule) -> ModuleState:
    """The module under its other status: what happened before does not count, so that it starts at once."""
    run = Run.CREATED if module.is_wanted_running and not state.is_running else state.run
    return state._replace(wanted=module, run=run, restarts=0, restarted_s=None, problem="", may_retry=False)


def _is_only_status_changed(before: WantedModule, now: WantedModule) -> bool:
    return before.status != now.status and replace(before, status=now.status) == now


def _changes(before: WantedModule, now: WantedModule) -> list[str]:
    """What differs, as the manifest calls it."""
    called = {"restart_policy": "restartPolicy", "startup_order": "startupOrder", "environment": "env"}
    called |= {"create_options": "createOptions", "pull_policy": "imagePullPolicy"}
    names = (field.name for field in fields(now) if field.compare)
    return [called.get(name, name) for name in names if getattr(before, name) != getattr(now, name)]
