"""How deployments and devices look on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgepack.deploy_progress import Progress
from edgepack.deployment.device_status import DeviceStatus, ModuleStatus

_MODULE_COLUMNS = ("module", "status", "exit", "restarts", "started (UTC)", "image")
_LIST_COLUMNS = ("id", "priority", "targeted", "applied", "succeeded", "failed", "target condition")
_METRICS = ("targetedCount", "appliedCount", "reportedSuccessfulCount", "reportedFailedCount")
_IMAGE = 72


def device_lines(device: DeviceStatus) -> list[str]:
    """A device with all its modules."""
    version = f"version {device.applied_version} of {device.desired_version}"
    code = f", code {device.code}" if device.code else ""
    lines = [f"{device.device_id}: {device.state} ({version}{code}{_connection(device)})"]
    if device.modules:
        lines += table([_MODULE_COLUMNS, *(_module_row(module) for module in device.modules)])
    return [*lines, *(f"  {reason}" for reason in device.reasons)]


def progress_lines(progress: Progress) -> list[str]:
    """The devices of an automatic deployment: figures, then each that is not applied with its reasons."""
    names = dict(zip(_METRICS, ("targeted", "applied", "succeeded", "failed"), strict=True))
    lines = ["  ".join(f"{names.get(name, name)} {count}" for name, count in progress.figures.items())]
    if not progress.devices and not progress.waiting:
        lines += progress.reasons
    for device in progress.devices:
        code = f"code {device.code}, " if device.code else ""
        running = sum(module.is_right for module in device.modules if module.wanted)
        wanted = sum(bool(module.wanted) for module in device.modules)
        lines.append(f"{device.device_id}: {device.state} ({code}{running} of {wanted} modules as wanted)")
        lines += [f"  {reason}" for reason in device.reasons]
    return lines + [f"{device_id}: pending\n  {reason}" for device_id, reason in progress.waiting.items()]


def configuration_lines(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of automatic deployments, the highest priority first."""
    if not configurations:
        return ["no automatic deployments"]
    ordered = sorted(configurations, key=lambda each: (-int(each.get("priority") or 0), str(each.get("id"))))
    return table([_LIST_COLUMNS, *(_configuration_row(each) for each in ordered)])


def configuration_document(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """An automatic deployment as JSON, without its content, which may hold credentials of registries."""
    system, own = configuration.get("systemMetrics") or {}, configuration.get("metrics") or {}
    return {
        "id": configuration.get("id"),
        "priority": configuration.get("priority") or 0,
        "target_condition": configuration.get("targetCondition") or "",
        "labels": configuration.get("labels") or {},
        "system_metrics": system.get("results") or {},
        "metrics": own.get("results") or {},
        "created": configuration.get("createdTimeUtc"),
        "updated": configuration.get("lastUpdatedTimeUtc"),
        "etag": configuration.get("etag"),
    }


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _module_row(module: ModuleStatus) -> tuple[str, ...]:
    status = module.runtime or "unknown"
    if not module.wanted:
        status = f"{status}, to go"
    elif not module.is_right and module.wanted != module.runtime:
        status = f"{status}, not {module.wanted}"
    image = module.image or module.wanted_image
    return (
        module.name,
        status,
        "" if module.exit_code is None or module.runtime == "running" else str(module.exit_code),
        str(module.restarts) if module.restarts else "",
        "" if module.started.startswith("0001-") else module.started[:19].replace("T", " "),
        image if len(image) <= _IMAGE else f"{image[: _IMAGE - 3]}...",
    )


def _configuration_row(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    results = (configuration.get("systemMetrics") or {}).get("results") or {}
    return (
        str(configuration.get("id")),
        str(configuration.get("priority") or 0),
        *(str(results.get(name, "-")) for name in _METRICS),
        str(configuration.get("targetCondition") or "(none)"),
    )


def _connection(device: DeviceStatus) -> str:
    return ", not connected" if device.is_connected is False and device.state == "pending" else ""
