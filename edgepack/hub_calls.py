"""The calls of IoT Hub's service interface that deploying needs, each as a function of what it is about.

What was done before its answer was lost counts as done: a repeated call that is refused because its effect is there
already is no failure.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from edgepack.deployment.hub_refusal import HubRefusal
from edgepack.errors import InputError, RemoteError
from edgepack.hub_client import HubClient

AGENT, HUB = "$edgeAgent", "$edgeHub"
_PAGE = "100"
_CHANGEABLE = ("targetCondition", "priority", "labels", "metrics")


class IotHub:
    """A hub by its REST interface. Every call may raise HubRefusal or RemoteError."""

    def __init__(self, client: HubClient) -> None:
        self.clock = client.clock
        self._call = client.call

    def twin(self, device_id: str, module_id: str = "") -> dict[str, Any] | None:
        """The twin of a device or module; None when there is none."""
        path = ["twins", device_id, *(["modules", module_id] if module_id else [])]
        return self._read(f"read the twin of {'/'.join(path[1::2])}", path)

    def apply(self, device_id: str, content: Mapping[str, Any]) -> None:
        """Deploy a whole manifest to one edge device."""
        self._call(f"deploy to {device_id}", "POST", ("devices", device_id, "applyConfigurationContent"), content)

    def configurations(self) -> list[dict[str, Any]]:
        """All automatic deployments."""
        found = self._call("list the deployments", "GET", ("configurations",)).document
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    def configuration(self, configuration_id: str) -> dict[str, Any] | None:
        """An automatic deployment with its metrics; None when there is none."""
        return self._read(f"read the deployment {configuration_id}", ["configurations", configuration_id])

    def create(self, configuration: Mapping[str, Any]) -> None:
        """Make an automatic deployment. Refused with 409 when there is one with this id."""
        self._put("create", configuration, "")

    def change(self, configuration: Mapping[str, Any], etag: str) -> None:
        """Change target condition, priority, labels and metrics. Refused with 412 when it was changed since `etag`."""
        self._put("change", configuration, etag)

    def delete(self, configuration_id: str, etag: str) -> None:
        """Delete an automatic deployment. Refused with 412 when it was changed since `etag`."""
        try:
            self._call(
                f"delete the deployment {configuration_id}", "DELETE", ("configurations", configuration_id), etag=etag
            )
        except HubRefusal as error:
            if not (error.is_unsure and error.status == 404):
                raise

    def condition_errors(self, condition: str, metrics: Mapping[str, str]) -> list[str]:
        """What the hub finds wrong with a target condition and queries of metrics, before they are used.

        `*` is no query, and not asked for.
        """
        body: dict[str, Any] = {"customMetricQueries": dict(metrics)} if metrics else {}
        body |= {"targetCondition": condition} if condition.strip() not in ("", "*") else {}
        if not body:
            return []
        found = self._call("check the target condition", "POST", ("configurations", "testQueries"), body).document or {}
        told = found.get("targetConditionError")
        queries = found.get("customMetricQueryErrors") or {}
        return [f"--target-condition: {told}"] * bool(told) + [
            f"--metric {name}: {text}" for name, text in queries.items()
        ]

    def rows(self, what: str, query: str) -> list[dict[str, Any]]:
        """All rows of the answer to a query, page by page."""
        rows: list[dict[str, Any]] = []
        continuation = ""
        while True:
            headers = {"x-ms-max-item-count": _PAGE} | ({"x-ms-continuation": continuation} if continuation else {})
            answer = self._call(what, "POST", ("devices", "query"), {"query": query}, headers=headers)
            rows += [row for row in answer.document or () if isinstance(row, dict)]
            continuation = answer.headers.get("x-ms-continuation", "")
            if not continuation:
                return rows

    def near_devices(self, device_id: str) -> str:
        """A sentence about the edge devices there are, the one with the nearest id first; "" if that is not told."""
        query = "SELECT deviceId FROM devices WHERE capabilities.iotEdge = true"
        try:
            known = [str(row["deviceId"]) for row in self.rows("list the edge devices", query) if "deviceId" in row]
        except RemoteError:
            return ""
        return near(device_id, known)

    def _read(self, what: str, path: list[str]) -> dict[str, Any] | None:
        try:
            document = self._call(what, "GET", path).document
        except HubRefusal as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(document, dict):
            raise RemoteError(f"{what}: the answer is no object: is HostName that of an IoT Hub?", retryable=False)
        return document

    def _put(self, verb: str, configuration: Mapping[str, Any], etag: str) -> None:
        name = str(configuration["id"])
        try:
            self._call(f"{verb} the deployment {name}", "PUT", ("configurations", name), configuration, etag=etag)
        except HubRefusal as error:
            if not (error.is_unsure and error.status in (409, 412) and self._has(configuration)):
                raise

    def _has(self, configuration: Mapping[str, Any]) -> bool:
        """Whether the hub has this automatic deployment, as it was to become."""
        there = self.configuration(str(configuration["id"])) or {}
        same_content = (there.get("content") or {}).get("modulesContent") == configuration["content"]["modulesContent"]
        return same_content and changed_fields(there, configuration) == []


def automatic_deployment(hub: IotHub, configuration_id: str) -> dict[str, Any]:
    """An automatic deployment as the hub has it. Raises InputError when there is none, naming the nearest."""
    there = hub.configuration(configuration_id)
    if there is None:
        known = near(configuration_id, [str(each.get("id")) for each in hub.configurations()])
        raise InputError(f"there is no deployment {configuration_id}: {known}")
    return there


def edge_device(hub: IotHub, device_id: str) -> dict[str, Any]:
    """The twin of an edge device. Raises InputError when there is none, naming the nearest."""
    device = hub.twin(device_id)
    if device is None:
        known = hub.near_devices(device_id)
        raise InputError(f"the hub has no device {device_id}{f': {known}' if known else ''}")
    if not (device.get("capabilities") or {}).get("iotEdge"):
        raise InputError(f"{device_id} is no edge device: turn on capabilities.iotEdge, or name another")
    return device


def near(wanted: str, known: list[str]) -> str:
    """A sentence about what there is instead of `wanted`."""
    if not known:
        return "the hub has none"
    close = difflib.get_close_matches(wanted, known, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known)[:5])}{more}"


def changed_fields(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which of the fields that can change are different."""
    return [name for name in _CHANGEABLE if field(there, name) != field(wanted, name)]


def field(configuration: Mapping[str, Any], name: str) -> Any:
    """A field that can change, in a form that can be compared: metrics are their queries."""
    value = configuration.get(name)
    if name == "metrics":
        value = (value or {}).get("queries")
    return value or {"targetCondition": "", "priority": 0}.get(name, {})
