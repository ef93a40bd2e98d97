"""How far a device is with its deployment: what `$edgeAgent` is asked for against what it reports. Pure.

Applied: the version that is desired is the last that was carried out, with code 200, and every module is as wanted,
with the image that is wanted. Failed: what does not pass by itself: a deployment that the agent cannot use, a module
that it has given up. Everything else is pending; the reasons are told in each case. An agent that does not report the
images of modules is taken at its word. Texts from devices are fit for a terminal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgepack.deployment.problem import SYSTEM_MODULES

State = Literal["applied", "pending", "failed"]

OK = 200
_CODES = {
    400: "the agent cannot read the deployment",
    406: "the agent is not connected, or shutting down",
    412: "the agent does not take this schema version",
    417: "the deployment is empty",
    500: "a step of the deployment failed, and is tried again",
}
_UNUSABLE = (400, 412, 417)
_NEVER = "0001-"


@dataclass(frozen=True, slots=True)
class ModuleStatus:
    """A module as it is wanted and as it is. `wanted` is "" for one that is to go, `runtime` for one not heard of."""

    name: str
    wanted: str
    wanted_image: str
    runtime: str
    image: str
    exit_code: int | None
    description: str
    restarts: int
    started: str
    restart_policy: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it is as wanted; a module that is to go does not matter."""
        return not self.reason

    @property
    def has_failed(self) -> bool:
        """Whether the agent has given it up."""
        return self.wanted == "running" and self.runtime in ("failed", "dead")

    @property
    def reason(self) -> str:
        """What is not as wanted, "" when all is."""
        if not self.wanted:
            return ""
        if not self.runtime:
            return "nothing is reported of it yet"
        if self.image and self.wanted_image and self.image != self.wanted_image:
            return f"runs the image {self.image}, not {self.wanted_image} yet"
        if self._has_status():
            return ""
        parts = [f"is {self.runtime}, not {self.wanted}"]
        if self.runtime != "running":
            parts += [f"exit code {self.exit_code}"] if self.exit_code is not None else []
            parts += [f"{self.restarts} restarts"] if self.restarts else []
        if self.description and self.description != self.runtime:
            parts.append(self.description)
        return ", ".join(parts)

    def _has_status(self) -> bool:
        if self.wanted == "stopped":
            return self.runtime in ("stopped", "failed", "dead")  # stopped with a signal counts as failed
        has_ended_well = self.runtime == "stopped" and self.exit_code == 0 and not self.started.startswith(_NEVER)
        return self.runtime == self.wanted or (self.restart_policy == "never" and has_ended_well)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A device. `code` and `description` are how its last deployment went, 0 when it never said; the same of edgeHub.

    `is_new`: what it says came after the deployment. `is_connected` is None where the hub was not asked.
    """

    device_id: str
    is_connected: bool | None
    desired_version: int
    applied_version: int
    code: int
    description: str
    is_new: bool
    modules: tuple[ModuleStatus, ...]
    hub_code: int = OK
    hub_description: str = ""

    @property
    def has_applied(self) -> bool:
        """Whether the agent has carried out the version that is desired, or failed to."""
        return self.applied_version == self.desired_version and self.code != 0

    @property
    def state(self) -> State:
        """applied, pending or failed."""
        if self.has_applied and self.code == OK and all(module.is_right for module in self.modules):
            return "applied" if self.hub_code in (0, OK) else "failed"
        is_unusable = self.code in _UNUSABLE and (self.has_applied or self.is_new)
        has_given_up = self.has_applied and any(module.has_failed for module in self.modules)
        return "failed" if is_unusable or has_given_up else "pending"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not applied, one sentence each."""
        if self.state == "applied":
            return ()
        found = []
        if not self.has_applied:
            last = (
                f"the last that it carried out is {self.applied_version}" if self.applied_version else "it has none yet"
            )
            found.append(f"version {self.desired_version} is not carried out, {last}")
            found += ["the hub says that it is not connected"] if self.is_connected is False else []
        if (self.has_applied or self.is_new) and self.code not in (0, OK):
            meaning = f" ({_CODES[self.code]})" if self.code in _CODES else ""
            found.append(f"edgeAgent reports code {self.code}{meaning}: {self.description or 'without a reason'}")
        if self.has_applied:
            found += [f"module {module.name} {module.reason}" for module in self.modules if module.reason]
        if self.hub_code not in (0, OK):
            found.append(f"edgeHub reports code {self.hub_code}: {self.hub_description or 'without a reason'}")
        return tuple(found)

    @property
    def runs(self) -> tuple[tuple[str, str, int], ...]:
        """By module the start and count of its present run: as long as it stays the same, nothing was restarted."""
        return tuple((module.name, module.started, module.restarts) for module in self.modules if module.wanted)


def device_status(
    device_id: str, agent: Mapping[str, Any], hub: Mapping[str, Any] | None = None, *, is_connected: bool | None = None
) -> DeviceStatus:
    """The state of a device by the twin documents of `$edgeAgent` and, where it is at hand, of `$edgeHub`."""
    desired, reported = twin_half(agent, "desired"), twin_half(agent, "reported")
    last = _object(reported.get("lastDesiredStatus"))
    since = time_of(_object(_object(reported.get("$metadata")).get("lastDesiredStatus")).get("$lastUpdated"))
    hub_last: dict[str, Any] = {}
    if hub is not None:
        hub_said = twin_half(hub, "reported")
        is_current = hub_said.get("lastDesiredVersion") == twin_half(hub, "desired").get("$version")
        hub_last = _object(hub_said.get("lastDesiredStatus")) if is_current else {}
    return DeviceStatus(
        device_id=device_id,
        is_connected=is_connected,
        desired_version=_number(desired.get("$version")),
        applied_version=_number(reported.get("lastDesiredVersion")),
        code=_number(last.get("code")),
        description=_text(last.get("description")),
        is_new=since > time_of(_object(desired.get("$metadata")).get("$lastUpdated")),
        modules=tuple(_modules(desired, reported)),
        hub_code=_number(hub_last.get("code")),
        hub_description=_text(hub_last.get("description")),
    )


def twin_half(twin: Mapping[str, Any], half: str) -> dict[str, Any]:
    """The `desired` or `reported` properties of a twin document, {} where there are none."""
    return _object(_object(twin.get("properties")).get(half))


def time_of(text: Any) -> tuple[str, str]:
    """A time of the hub's (UTC, with any number of digits below a second) as a value that can be compared."""
    seconds, _, digits = str(text or "").strip().removesuffix("Z").removesuffix("+00:00").partition(".")
    return seconds, digits.rstrip("0")


def _modules(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> list[ModuleStatus]:
    found = []
    for group in ("systemModules", "modules"):
        wanted, said = _object(desired.get(group)), _object(reported.get(group))
        for name in (*wanted, *(each for each in said if each not in wanted)):
            is_known = name in wanted or name in SYSTEM_MODULES
            found.append(_module(name, wanted.get(name, {} if is_known else None), _object(said.get(name))))
    return found


def _module(name: str, wanted: Any, said: Mapping[str, Any]) -> ModuleStatus:
    asked = _object(wanted)
    code = said.get("exitCode")
    return ModuleStatus(
        name=name,
        wanted="" if wanted is None else str(asked.get("status") or "running").lower(),
        wanted_image=_image(asked),
        runtime=_text(said.get("runtimeStatus")),
        image=_image(said),
        exit_code=code if isinstance(code, int) else None,
        description=_text(said.get("statusDescription")),
        restarts=_number(said.get("restartCount")),
        started=_text(said.get("lastStartTimeUtc")) or _NEVER,
        restart_policy=str(asked.get("restartPolicy") or "").lower(),
    )


def _image(module: Mapping[str, Any]) -> str:
    return _text(_object(module.get("settings")).get("image"))


def _text(value: Any) -> str:
    return "".join(each if each.isprintable() else " " for each in str(value or "")).strip()


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
