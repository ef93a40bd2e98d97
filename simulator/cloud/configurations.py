"""Automatic deployments: which devices a configuration targets, and what it puts on them. Pure.

On an edge device, the base with the highest priority wins, and layers of a higher priority than its go on top, lowest
first. Of two with the same priority the newer one wins. What a device is targeted by but does not run is `Targeted`,
the rest `Applied`. A device that nothing targets any more keeps what it has.

`apply_configurations` makes it so. It is to be called after every change of identities, tags, reported properties or
configurations; calls from within (by a watcher of what it changes) do nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulator.cloud.condition import Condition, Step, parse_condition
from simulator.cloud.content import ContentError, check_desired, desired_of, is_layer, put_on_device
from simulator.cloud.documents import twin_document
from simulator.cloud.hub_error import HubError
from simulator.cloud.registry import Registry
from simulator.cloud.twin import etag_text

MOST_CONFIGURATIONS = 100
LONGEST_CONDITION = 4_096
TARGETED, APPLIED = "Targeted", "Applied"


@dataclass(frozen=True, slots=True)
class Configuration:
    """An automatic deployment. `content` is the value of `modulesContent`, `metrics` are queries by name.

    `number` grows with the time of creation; it and `etag` are given by `Configurations.put`. Times are seconds since
    1970.
    """

    id: str
    content: Mapping[str, Mapping[str, Any]]
    target_condition: str
    priority: int
    labels: Mapping[str, str]
    metrics: Mapping[str, str]
    created_s: float = 0.0
    updated_s: float = 0.0
    number: int = 0
    etag: str = ""


class Configurations:
    """All configurations of a hub, and what came of them."""

    def __init__(self) -> None:
        self._known: dict[str, Configuration] = {}
        self._conditions: dict[str, Condition] = {}
        self._changes = 0
        self.is_applying = False
        self.statuses: dict[str, dict[str, str]] = {}
        """By device, the configurations that target it: Targeted or Applied."""
        self.faults: dict[str, str] = {}
        """By device, why what targets it cannot be applied."""

    def all(self) -> list[Configuration]:
        """All, in the order in which they were created."""
        return list(self._known.values())

    def find(self, configuration_id: str) -> Configuration | None:
        """One by its id."""
        return self._known.get(configuration_id)

    def put(self, configuration: Configuration) -> None:
        """Add one, or replace the one with its id, which keeps its place among equals. Raises HubError (400, 403)."""
        condition = parse_target_condition(configuration.target_condition)
        before = self._known.get(configuration.id)
        if before is None and len(self._known) >= MOST_CONFIGURATIONS:
            raise ContentError(403, f"there are {MOST_CONFIGURATIONS} configurations, which is the most")
        self._changes += 1
        number = self._changes if before is None else before.number
        self._known[configuration.id] = replace(configuration, number=number, etag=etag_text(self._changes))
        self._conditions[configuration.id] = condition

    def remove(self, configuration_id: str) -> None:
        """Forget one; devices keep what it put on them. Raises KeyError."""
        del self._known[configuration_id]
        del self._conditions[configuration_id]

    def targeting(self, document: Mapping[str, Any]) -> list[Configuration]:
        """Those whose condition a device's twin document fulfils, from the weakest to the strongest."""
        found = [each for each in self._known.values() if self._conditions[each.id].fits(document)]
        return sorted(found, key=lambda each: (each.priority, each.number))


def parse_target_condition(text: str) -> Condition:
    """Read a target condition: `*` fits all devices, nothing fits none. Raises HubError 400."""
    if len(text) > LONGEST_CONDITION:
        raise ContentError(400, f"the target condition has more than {LONGEST_CONDITION} characters")
    if text.strip() in ("", "*"):
        return Condition((Step("value", text.strip() == "*"),))
    return parse_condition(text)


def apply_configurations(registry: Registry, configurations: Configurations) -> None:
    """Put on every edge device what targets it, as far as it is not there yet."""
    if configurations.is_applying or not (configurations.all() or configurations.statuses):
        return
    configurations.is_applying = True
    try:
        edge_devices = [device for device in registry.devices() if device.is_edge]
        for gone in configurations.statuses.keys() - {device.device_id for device in edge_devices}:
            configurations.statuses.pop(gone, None)
            configurations.faults.pop(gone, None)
        for device in edge_devices:
            document = twin_document(registry, device, configurations.statuses)
            _apply(registry, configurations, device.device_id, configurations.targeting(document))
    finally:
        configurations.is_applying = False


def layers_of(targeting: list[Configuration]) -> list[Configuration]:
    """The base and the layers that a device runs, lowest first; [] without a base. `targeting` is sorted."""
    bases = [each for each in targeting if not is_layer(each.content)]
    if not bases:
        return []
    base = bases[-1]
    return [base, *(each for each in targeting if each.priority > base.priority and is_layer(each.content))]


def _apply(registry: Registry, configurations: Configurations, device_id: str, targeting: list[Configuration]) -> None:
    stack = layers_of(targeting)
    configurations.faults.pop(device_id, None)
    if stack:
        desired = desired_of(each.content for each in stack)
        try:
            check_desired(desired)
            put_on_device(registry, device_id, desired, only_changed=True)
        except HubError as error:
            configurations.faults[device_id] = error.text
            stack = []
    applied = {each.id for each in stack}
    configurations.statuses[device_id] = {each.id: APPLIED if each.id in applied else TARGETED for each in targeting}
