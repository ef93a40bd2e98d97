"""What a module does now, and how it came to that. Pure: times are simulated seconds of the run's clock."""

from enum import Enum
from typing import NamedTuple

from simulator.edge_agent.deployment import WantedModule


class Run(Enum):
    """Where a module is in its life. A module that could not be started has ended."""

    CREATED = "created"
    RUNNING = "running"
    ENDED = "ended"


class ModuleState(NamedTuple):
    """A module: what it was made from, and its present run.

    `exit_code` and `ended_s` are of the last run that has ended. `problem` says why it could not be started, "" when
    it could; `may_retry`: trying again may help. `restarts` counts since the module last ran well.
    """

    wanted: WantedModule
    run: Run = Run.CREATED
    exit_code: int = 0
    started_s: float | None = None
    ended_s: float | None = None
    restarts: int = 0
    restarted_s: float | None = None
    problem: str = ""
    may_retry: bool = False

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.run is Run.RUNNING


def started(state: ModuleState, now_s: float) -> ModuleState:
    """It has been started."""
    return state._replace(run=Run.RUNNING, started_s=now_s, problem="", may_retry=False)


def restarted(state: ModuleState, now_s: float) -> ModuleState:
    """It has been started again after it had ended: that counts."""
    return started(state, now_s)._replace(restarts=state.restarts + 1, restarted_s=now_s)


def ended(state: ModuleState, exit_code: int, now_s: float) -> ModuleState:
    """Its process has ended."""
    return state._replace(run=Run.ENDED, exit_code=exit_code, ended_s=now_s)


def not_started(state: ModuleState, problem: str, now_s: float, *, may_retry: bool) -> ModuleState:
    """It could not be started; where a further attempt may help, this one counts."""
    restarts = state.restarts + (state.problem != "" and may_retry)
    return state._replace(run=Run.ENDED, ended_s=now_s, problem=problem, may_retry=may_retry, restarts=restarts)
