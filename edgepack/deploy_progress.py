"""How far deployments are: what devices report, once or until all of them have applied what they were asked for.

Waiting ends when every device that is targeted has applied its deployment, and none of its modules was restarted for
`settle_s`, so that a module that starts and falls over is not taken for one that runs. It ends before its time when a
device has failed for good. Between two looks it waits longer and longer, up to ten seconds, for the sake of the hub's
limits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgepack.deployment.content import Content, Desired
from edgepack.deployment.device_status import DeviceStatus, device_status, time_of, twin_half
from edgepack.hub_calls import AGENT, HUB, IotHub, automatic_deployment, edge_device

WAIT_S = 300.0
SETTLE_S = 5.0
_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one device, or of all that an automatic deployment targets; `waiting` are targets without a report to look at,
    by device id why. `figures` are the hub's own metrics, and those of the deployment. `is_settling`: all run, but the
    time to watch them was too short.
    """

    devices: tuple[DeviceStatus, ...]
    waiting: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    is_settling: bool = False

    @property
    def is_applied(self) -> bool:
        """Whether there are devices, and all have applied it."""
        is_right = bool(self.devices) and not self.waiting and all(each.state == "applied" for each in self.devices)
        return is_right and not self.is_settling

    @property
    def has_failed(self) -> bool:
        """Whether a device has failed for good."""
        return any(each.state == "failed" for each in self.devices)

    @property
    def reasons(self) -> list[str]:
        """Why it is not applied, one sentence each."""
        if not self.devices and not self.waiting:
            return ["the deployment targets no edge device"]
        if self.is_settling:
            return ["all modules run, but they were started too shortly before the end of the wait to be sure"]
        found = [f"{each.device_id}: {reason}" for each in self.devices for reason in each.reasons]
        return found + [f"{device_id}: {reason}" for device_id, reason in self.waiting.items()]

    @property
    def runs(self) -> tuple[Any, ...]:
        """The present runs of all modules."""
        return tuple((each.device_id, each.desired_version, each.runs) for each in self.devices)


def device_progress(hub: IotHub, device_id: str) -> Progress:
    """One device. Raises InputError when there is no such edge device."""
    edge_device(hub, device_id)
    agent, edge_hub = hub.twin(device_id, AGENT) or {}, hub.twin(device_id, HUB)
    connected = agent.get("connectionState")
    is_connected = None if connected is None else connected == "Connected"
    return Progress((device_status(device_id, agent, edge_hub, is_connected=is_connected),))


def automatic_progress(hub: IotHub, configuration_id: str) -> Progress:
    """The devices that an automatic deployment targets, by the hub's own query for them.

    Raises InputError when there is no such deployment.
    """
    there = automatic_deployment(hub, configuration_id)
    system = there.get("systemMetrics") or {}
    query = (system.get("queries") or {}).get("targetedCount")
    rows = hub.rows(f"ask for the targets of {configuration_id}", query) if query else []
    targets = sorted(str(row["deviceId"]) for row in rows if "deviceId" in row)
    agents = {str(row.get("deviceId")): row for row in _agents(hub, configuration_id)}
    content = Content((there.get("content") or {}).get("modulesContent") or {})
    devices, waiting = [], {}
    for device_id in dict.fromkeys((*targets, *sorted(agents))):
        agent = agents.get(device_id)
        if agent is None:
            waiting[device_id] = (
                "the hub has not applied it there; a deployment of a higher priority may be in its place"
            )
        elif not _has_arrived(agent, content.desired(), str(there.get("createdTimeUtc", ""))):
            waiting[device_id] = "the hub has not given it to the device yet"
        else:
            devices.append(device_status(device_id, agent))
    own = (there.get("metrics") or {}).get("results") or {}
    return Progress(tuple(devices), waiting, {**(system.get("results") or {}), **own})


def wait_until_applied(
    hub: IotHub,
    look: Callable[[], Progress],
    *,
    wait_s: float = WAIT_S,
    settle_s: float = SETTLE_S,
    say: Callable[[str], None] = lambda _text: None,
) -> Progress:
    """Look until all is applied and settled, a device has failed, or `wait_s` are over; the last that was seen.

    A wait that is shorter than `settle_s` is a look with no more than that to settle.
    """
    clock = hub.clock
    until_s = clock.steady_s() + wait_s
    pause_s, said = _FIRST_LOOK_S, ""
    runs: tuple[Any, ...] = ()
    since_s = clock.steady_s()
    while True:
        seen = look()
        now_s = clock.steady_s()
        if not seen.is_applied or seen.runs != runs:
            runs, since_s = (seen.runs if seen.is_applied else ()), now_s
        has_settled = seen.is_applied and now_s - since_s >= min(settle_s, wait_s)
        text = "; ".join(seen.reasons) or "applied, watching whether modules keep running"
        if text != said and not has_settled:
            say(text)
            said = text
        if has_settled or seen.has_failed or now_s >= until_s:
            return replace(seen, is_settling=seen.is_applied and not has_settled)
        if seen.is_applied:
            pause_s = _FIRST_LOOK_S
        clock.pause(max(0.0, min(pause_s, until_s - now_s)))
        pause_s = min(_LONGEST_LOOK_S, pause_s * 1.5)


def progress_document(progress: Progress) -> dict[str, Any]:
    """As JSON."""
    document: dict[str, Any] = {
        "applied": progress.is_applied,
        "reasons": progress.reasons,
        "devices": [_device_document(device) for device in progress.devices],
    }
    if progress.waiting:
        document["waiting"] = dict(progress.waiting)
    if progress.figures:
        document["metrics"] = dict(progress.figures)
    return document


def _device_document(device: DeviceStatus) -> dict[str, Any]:
    return {
        "device": device.device_id,
        "state": device.state,
        "reasons": list(device.reasons),
        "connected": device.is_connected,
        "desired_version": device.desired_version,
        "last_desired_version": device.applied_version,
        "last_desired_status": {"code": device.code, "description": device.description},
        "modules": [
            {
                "name": module.name,
                "wanted": module.wanted or None,
                "runtime_status": module.runtime or None,
                "exit_code": module.exit_code,
                "status_description": module.description,
                "restarts": module.restarts,
                "last_start": module.started,
                "image": module.image,
                "wanted_image": module.wanted_image,
                "as_wanted": module.is_right,
            }
            for module in device.modules
        ],
    }


def _agents(hub: IotHub, configuration_id: str) -> list[dict[str, Any]]:
    query = (
        "SELECT * FROM devices.modules WHERE moduleId = '$edgeAgent' "  # noqa: S608 - the hub's query language
        f"AND configurations.[[{configuration_id}]].status = 'Applied'"
    )
    return hub.rows(f"ask for the devices of {configuration_id}", query)


def _has_arrived(agent: Mapping[str, Any], desired: Desired, created: str) -> bool:
    """Whether the twin of a device's agent is that of this deployment, not of one with the same id before it."""
    held = twin_half(agent, "desired")
    updated = str((held.get("$metadata") or {}).get("$lastUpdated", ""))
    return time_of(updated) >= time_of(created) or _is_in(desired.get(AGENT, {}), held)


def _is_in(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _is_in(value, whole[key]) for key, value in part.items())
    return bool(part == whole)
