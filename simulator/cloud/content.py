"""What a deployment puts on a device: `modulesContent`, whole or in layers. Pure.

A base names all of a module's desired properties (`"properties.desired": {...}`). A layer names parts, by paths:
`"properties.desired.modules.scorer"` under `$edgeAgent`, `"properties.desired.routes.up"` under `$edgeHub`, and for any
other module the whole, which replaces what is below it, or parts. Content is a layer when `$edgeAgent` or `$edgeHub`
is given in parts only. What the device ends up with is held against the limits of twins.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from device_agent.messages.iothub.twin import difference, merge
from simulator.cloud.hub_error import HubError
from simulator.cloud.identity import EDGE, SYSTEM_MODULES, check_id
from simulator.cloud.registry import MOST_MODULES, Registry
from simulator.cloud.twin_limits import LARGEST_HALF_BYTES, check_change, check_size

Desired = dict[str, Any]
"""By module, its desired properties."""
WHOLE = "properties.desired"


class ContentError(HubError):
    """The hub does not take this content of a deployment."""


def parse_content(content: object) -> dict[str, dict[str, Any]]:
    """The value of `modulesContent`: by module, its keys and what they set.

    Raises:
        ContentError: 400, something else than modules with keys that begin with `properties.desired`, or values that
            no twin holds.
    """
    members = content if isinstance(content, dict) else {}
    modules = members.get("modulesContent")
    if not isinstance(modules, dict) or not modules:
        raise ContentError(400, "content needs modulesContent, an object with a member for each module")
    others = [key for key, value in members.items() if key != "modulesContent" and value is not None]
    if others:
        raise ContentError(400, f"content has {', '.join(map(repr, others))[:200]}: only modulesContent is taken here")
    for module_id, parts in modules.items():
        check_id(module_id, "module")
        if not isinstance(parts, dict) or not parts:
            raise ContentError(400, f"modulesContent.{module_id} must be an object with {WHOLE!r} or parts of it")
        for key, value in parts.items():
            steps = _steps(key)
            if steps is None:
                raise ContentError(
                    400, f"modulesContent.{module_id} has the key {key[:80]!r}: expected {WHOLE!r} first"
                )
            check_change(_nested(steps, value), f"modulesContent.{module_id}.{WHOLE}")
    return modules


def is_layer(modules: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether it adds to a base instead of being one."""
    return not all(WHOLE in modules.get(name, {}) for name in SYSTEM_MODULES)


def desired_of(stack: Iterable[Mapping[str, Mapping[str, Any]]]) -> Desired:
    """What a base and the layers above it, lowest first, ask of each module; nulls are left out."""
    desired: Desired = {}
    for modules in stack:
        for module_id, parts in modules.items():
            for key in sorted(parts, key=len):
                steps = _steps(key) or ()
                desired[module_id] = _with(desired.get(module_id, {}), steps, parts[key])
    return desired


def check_desired(desired: Desired) -> None:
    """Raise HubError (400, 413) unless twins can hold it, and a device its modules."""
    for module_id, document in desired.items():
        name = f"{module_id}.{WHOLE}"
        check_change(document, name)
        check_size(document, name, LARGEST_HALF_BYTES)
    for module_id in module_ids(desired):
        check_id(module_id, "module")
    if len(module_ids(desired)) > MOST_MODULES:
        raise ContentError(403, f"the deployment has more than {MOST_MODULES} modules", "ModuleCountExceeded")


def module_ids(desired: Desired) -> list[str]:
    """The modules that the deployment brings: those that `$edgeAgent` starts, and those with a twin."""
    agent = desired.get("$edgeAgent")
    started = agent.get("modules") if isinstance(agent, dict) else None
    names = [*(started if isinstance(started, dict) else ()), *desired]
    return [name for name in dict.fromkeys(names) if name not in SYSTEM_MODULES]


def put_on_device(registry: Registry, device_id: str, desired: Desired, *, only_changed: bool) -> None:
    """Make a device's modules and desired properties those of a deployment that was checked; `$edgeAgent` is told last.

    Modules that an earlier deployment brought and this one does not are removed; modules made otherwise stay. With
    `only_changed`, desired properties that are right already are left alone.

    Raises:
        RegistryError: 403, with modules made otherwise there would be too many. The twins are unchanged then.
    """
    wanted = module_ids(desired)
    gone = [
        module.client_id
        for module in registry.modules_of(device_id)
        if module.managed_by == EDGE and module.module_id not in (*wanted, *SYSTEM_MODULES)
    ]
    kept = [
        module.module_id
        for module in registry.modules_of(device_id)
        if module.client_id not in gone and module.module_id not in SYSTEM_MODULES
    ]
    if len({*kept, *wanted}) > MOST_MODULES:
        raise ContentError(403, f"{device_id} would have more than {MOST_MODULES} modules", "ModuleCountExceeded")
    for client_id in gone:
        registry.remove(client_id)
    for module_id in wanted:
        if module_id not in kept:
            registry.add_module(device_id, module_id, managed_by=EDGE)
    order = [
        *(name for name in wanted if name in desired),
        *(name for name in reversed(SYSTEM_MODULES) if name in desired),
    ]
    for module_id in order:
        client_id = f"{device_id}/{module_id}"
        if not only_changed or difference(registry.twin(client_id).desired, desired[module_id]):
            registry.replace_desired(client_id, desired[module_id])


def _steps(key: str) -> tuple[str, ...] | None:
    """The path below the desired properties, () for all of them; None when the key is no such path."""
    if key == WHOLE:
        return ()
    if not key.startswith(f"{WHOLE}."):
        return None
    steps = tuple(key[len(WHOLE) + 1 :].split("."))
    return steps if all(steps) else None


def _nested(steps: tuple[str, ...], value: Any) -> Any:
    for step in reversed(steps):
        value = {step: value}
    return value


def _with(document: dict[str, Any], steps: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The document with this value at the path; objects on the way are made, or replace what is none."""
    if not steps:
        return merge({}, value)
    inner: dict[str, Any] = document
    for step in steps[:-1]:
        below = inner.get(step)
        inner[step] = below if isinstance(below, dict) else {}
        inner = inner[step]
    if value is None:
        inner.pop(steps[-1], None)
    else:
        inner[steps[-1]] = merge({}, value) if isinstance(value, Mapping) else value
    return document
