"""When a module that has ended is started again. Pure: times are simulated seconds of the run's clock.

edgeAgent's rules:

    policy                     after exit code 0                   after any other
    always                     wait, restart                       wait, restart
    on-failure, on-unhealthy   start at the next round, no wait    wait, restart
    never                      nothing                             nothing

The wait before restart n (from 0) is min(10 * 2^n, 300) seconds from the end of the run. After 20 restarts the module
is failed and left alone. A module that has been running for 10 minutes after its last end has no restarts on its
account any more. Health checks of the container are not looked at, as in the product, where `on-unhealthy` is
`on-failure`. A module that could not be started for a reason that may pass is tried again by the same waits.
"""

import math
from typing import Literal, NamedTuple

from simulator.edge_agent.module_state import ModuleState, Run

RuntimeStatus = Literal["running", "backoff", "stopped", "failed"]

COOL_OFF_S = 10.0
LONGEST_WAIT_S = 300.0
MOST_RESTARTS = 20
INTENSIVE_CARE_S = 600.0
ROUND_S = 5.0


class NextStart(NamedTuple):
    """A start that is due at `at_s`; `counts` as a restart or not."""

    at_s: float
    counts: bool


def wait_s(restarts: int) -> float:
    """How long to wait after the end of a run, after so many restarts."""
    return min(COOL_OFF_S * math.pow(2, min(restarts, 10)), LONGEST_WAIT_S)


def runtime_status(state: ModuleState) -> RuntimeStatus:
    """What edgeAgent reports of a module."""
    if state.is_running:
        return "running"
    if state.run is Run.CREATED:
        return "stopped"
    backs_off = _backs_off(state)
    if backs_off and state.wanted.is_wanted_running:
        return "backoff" if state.restarts < MOST_RESTARTS else "failed"
    return "stopped" if state.exit_code == 0 and not state.problem else "failed"


def next_start(state: ModuleState) -> NextStart | None:
    """The start that a module waits for; None when it runs, is to be stopped, or is left alone."""
    if state.is_running or not state.wanted.is_wanted_running:
        return None
    if state.run is Run.CREATED:
        return NextStart(-math.inf, counts=False)
    ended_s = -math.inf if state.ended_s is None else state.ended_s
    if _backs_off(state):
        due = NextStart(ended_s + wait_s(state.restarts), counts=True)
        return due if state.restarts < MOST_RESTARTS else None
    if state.problem or state.wanted.restart_policy == "never":
        return None
    return NextStart(ended_s + ROUND_S, counts=False)


def recovered(state: ModuleState, now_s: float) -> ModuleState:
    """The same module, without restarts on its account when it has been running for long enough."""
    if not state.is_running or not state.restarts or state.ended_s is None:
        return state
    since_s = state.ended_s if state.started_s is None else max(state.ended_s, state.started_s)
    return state._replace(restarts=0, restarted_s=None) if now_s - since_s > INTENSIVE_CARE_S else state


def _backs_off(state: ModuleState) -> bool:
    """Whether a module that has ended is to be started again, after a wait."""
    if state.problem:
        return state.may_retry
    match state.wanted.restart_policy:
        case "always":
            return True
        case "on-failure" | "on-unhealthy":
            return state.exit_code != 0
    return False
