"""How services look on a terminal and in a pipe."""

from collections.abc import Sequence

from edgepack.services.record import RUNNING, Service

_COLUMNS = ("NAME", "STATE", "RUNNER", "MODELS", "SCORING URI", "REASON")
_WIDEST_REASON = 90


def services_table(services: Sequence[Service]) -> str:
    """One line a service."""
    rows = [_COLUMNS, *(_row(service) for service in services)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def service_text(service: Service) -> str:
    """What there is to say about one service."""
    rows = [
        ("name", service.name),
        ("state", service.state),
        ("reason", service.reason),
        ("scoring URI", service.scoring_uri or ""),
        ("swagger URI", service.swagger_uri or ""),
        ("models", ", ".join(service.models)),
        ("runner", service.runner),
        ("process", str(service.process_id or "")),
        ("container", service.container or ""),
        ("listens on", f"{service.host}:{service.port}" if service.port else ""),
        ("access", "with a key" if service.needs_key else "open"),
        ("image", service.image or ""),
        ("description", service.description or ""),
        ("tags", ", ".join(f"{key}={value}" for key, value in service.tags.items())),
        ("properties", ", ".join(f"{key}={value}" for key, value in service.properties.items())),
        ("created", service.created_utc),
        ("updated", service.updated_utc),
    ]
    indent = " " * 13
    return "\n".join(f"{name:<12} {value.replace(chr(10), chr(10) + indent)}" for name, value in rows if value)


def deployed_text(service: Service) -> str:
    """What a command that starts a service prints: its state and where it is called."""
    lines = [f"state        {service.state}"]
    if service.state != RUNNING and service.reason:
        lines.append(f"reason       {_first_line(service.reason)}")
    lines.append(f"scoring URI  {service.scoring_uri or '(not known yet)'}")
    if service.needs_key:
        lines.append(f"keys         edgepack service keys {service.name}")
    return "\n".join(lines)


def _row(service: Service) -> tuple[str, ...]:
    return (
        service.name,
        service.state,
        service.runner,
        ",".join(service.models) or "-",
        service.scoring_uri or "-",
        _first_line(service.reason),
    )


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _WIDEST_REASON else f"{line[: _WIDEST_REASON - 1]}…"
