"""What edgeAgent says about itself and the modules: the reported properties of `$edgeAgent`. Pure.

Times are UTC with seven digits, as edgeAgent writes them; what never happened is `0001-01-01T00:00:00`. Credentials of
registries are left out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from simulator.cloud.twin import utc_text
from simulator.edge_agent.deployment import OK, Deployment, WantedModule
from simulator.edge_agent.module_state import ModuleState
from simulator.edge_agent.restart import runtime_status

SCHEMA_VERSION = "1.1"
AGENT_VERSION = "1.6.0"
NEVER = "0001-01-01T00:00:00"


class DesiredStatus(NamedTuple):
    """How it went with the desired properties of `version`: the last that were carried out, whatever came of it."""

    version: int = 0
    code: int = OK
    description: str = ""


class Platform(NamedTuple):
    """Where the agent runs."""

    os: str
    architecture: str


def reported_document(
    deployment: Deployment,
    states: Mapping[str, ModuleState],
    status: DesiredStatus,
    platform: Platform,
    image_ids: Mapping[str, str],
    start_wall_s: float,
) -> dict[str, Any]:
    """The whole document. `image_ids` are the digests of the images that modules were made from, as far as known.

    `start_wall_s` is when the run began, in seconds since 1970.
    """
    return {
        "schemaVersion": SCHEMA_VERSION,
        "version": {"version": AGENT_VERSION, "build": "", "commit": ""},
        "lastDesiredVersion": status.version,
        "lastDesiredStatus": {"code": status.code, "description": status.description},
        "runtime": {"type": "docker", "platform": {"os": platform.os, "architecture": platform.architecture}},
        "systemModules": {name: _system_module(wanted, start_wall_s) for name, wanted in deployment.system.items()},
        "modules": {name: _module(state, image_ids.get(name, ""), start_wall_s) for name, state in states.items()},
    }


def utc(at_s: float | None, start_wall_s: float) -> str:
    """A moment of the run as a text; `start_wall_s` is the run's start in seconds since 1970."""
    return NEVER if at_s is None else utc_text(start_wall_s + at_s)


def _system_module(wanted: WantedModule, start_wall_s: float) -> dict[str, Any]:
    """edgeAgent and edgeHub: both are parts of the simulator, up since it started."""
    described = _described(wanted)
    if wanted.name == "edgeAgent":
        for key in ("status", "restartPolicy", "startupOrder", "version"):
            described.pop(key, None)
    else:
        described |= {"restartCount": 0, "lastRestartTimeUtc": NEVER}
    times = {"lastStartTimeUtc": utc(0.0, start_wall_s), "lastExitTimeUtc": NEVER}
    return described | times | {"runtimeStatus": "running", "exitCode": 0, "statusDescription": "running"}


def _module(state: ModuleState, image_id: str, start_wall_s: float) -> dict[str, Any]:
    described = _described(state.wanted)
    if image_id:
        described["settings"] = {**described["settings"], "imageHash": image_id}
    return described | {
        "runtimeStatus": runtime_status(state),
        "exitCode": state.exit_code,
        "statusDescription": status_description(state),
        "lastStartTimeUtc": utc(state.started_s, start_wall_s),
        "lastExitTimeUtc": utc(state.ended_s, start_wall_s),
        "restartCount": state.restarts,
        "lastRestartTimeUtc": utc(state.restarted_s, start_wall_s),
    }


def status_description(state: ModuleState) -> str:
    """One line about a module."""
    if state.problem:
        return state.problem
    if state.is_running:
        return "running"
    return "created" if state.ended_s is None else f"exited with code {state.exit_code}"


def _described(wanted: WantedModule) -> dict[str, Any]:
    """A module as it was asked for."""
    return {
        "type": "docker",
        "status": wanted.status,
        "restartPolicy": wanted.restart_policy,
        "imagePullPolicy": wanted.pull_policy,
        "startupOrder": wanted.startup_order,
        "version": wanted.version,
        "env": {name: {"value": value} for name, value in wanted.environment.items()},
        "settings": dict(wanted.settings),
    }
