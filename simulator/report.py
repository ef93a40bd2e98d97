"""What a run came to: a JSON document, and the same as a table for people. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.ledger import Ledger, percentile
from simulator.recount import Recount
from simulator.snapshot import ModuleState

_UNROUTED = "no route takes them, or their properties make too long a topic for an input"


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What the ledger does not know. Seconds are simulated ones, but for `real_seconds`."""

    scenario: str
    seconds: float
    real_seconds: float
    offline_s: float
    peak_buffered: int
    devices: int
    modules: Mapping[str, ModuleState]
    faults: Sequence[Mapping[str, Any]]
    faults_count: int
    failures: Sequence[str]
    refused_connections: int
    reconnects: int
    problems: Sequence[str]


def report_document(ledger: Ledger, run: RunFigures, count: Recount | None) -> dict[str, Any]:
    """The report of a run that is over. `count`: the second count, from the files, if there are any."""
    figures = ledger.figures(is_over=True)
    document: dict[str, Any] = {
        "scenario": run.scenario,
        "sent": figures.sent,
        "delivered": figures.delivered,
        "lost": figures.lost,
        "duplicated": figures.duplicated,
        "misordered": figures.misordered,
        "expired": figures.expired,
        "unrouted": figures.unrouted,
        "consumed": figures.consumed,
        "outstanding": figures.outstanding,
        "offline_s": round(run.offline_s, 3),
        "peak_buffered": run.peak_buffered,
        "latency_ms": {
            "p50": _rounded(percentile(ledger.latencies_ms, 0.5)),
            "p99": _rounded(percentile(ledger.latencies_ms, 0.99)),
        },
        "outputs": dict(sorted(ledger.outputs.items())),
        "modules": {
            name: {
                "status": module.status,
                "restarts": module.restarts,
                "exit_code": None if module.status == "running" else module.exit_code,
                "image": module.image,
            }
            for name, module in run.modules.items()
        },
        "devices": run.devices,
        "seconds": round(run.seconds, 3),
        "real_seconds": round(run.real_seconds, 3),
        "resent": ledger.resent,
        "refused_connections": run.refused_connections,
        "reconnects": run.reconnects,
        "faults": list(run.faults),
        "faults_count": run.faults_count,
        "failures": list(run.failures),
        "lost_messages": ledger.outstanding(),
        "problems": list(run.problems),
    }
    if count is not None:
        document["recount"] = {
            "sent": count.sent,
            "delivered": count.delivered,
            "missing": len(count.missing),
            "foreign": count.foreign,
        }
    return document


def report_lines(document: Mapping[str, Any]) -> list[str]:
    """The report as text, a line a figure."""
    title = f"{document['scenario']}: " if document["scenario"] else ""
    latency = document["latency_ms"]
    seconds, real = document["seconds"], document["real_seconds"]
    rows = [
        ("sent", document["sent"], f"{document['devices']} devices in {_duration(seconds, real)}"),
        ("delivered", document["delivered"], _latency(latency)),
        ("lost", document["lost"], "acknowledged to its sender, and never seen again" if document["lost"] else ""),
        ("duplicated", document["duplicated"], "delivered again, under the same id" if document["duplicated"] else ""),
        ("misordered", document["misordered"], ""),
        ("expired", document["expired"], "their time to live ended" if document["expired"] else ""),
        ("unrouted", document["unrouted"], _UNROUTED if document["unrouted"] else ""),
        (
            "consumed",
            document["consumed"],
            "taken by a module that sends nothing upstream" if document["consumed"] else "",
        ),
        ("peak buffered", document["peak_buffered"], ""),
        (
            "offline",
            f"{document['offline_s']:.0f} s",
            f"{document['faults_count']} faults, {document['reconnects']} reconnects of devices"
            if document["faults"]
            else "",
        ),
    ]
    lines = [f"{title}{_verdict(document)}"]
    lines += [f"  {name:<14}{value!s:>10}  {note}".rstrip() for name, value, note in rows]
    for name, module in document["modules"].items():
        restarts = f", {module['restarts']} restarts" if module["restarts"] else ""
        lines.append(f"  module {name}: {module['status']}{restarts}")
    lines += [f"  from {output}: {number} messages" for output, number in document["outputs"].items()]
    if count := document.get("recount"):
        lines.append(
            f"  a second count, from the devices' and the cloud's own files, {_second_opinion(document, count)}"
        )
    lines += [f"  lost: {each['id']} of {each['device']}, {_place(each)}" for each in document["lost_messages"]]
    return lines + [f"  problem: {problem}" for problem in document["problems"]]


def _second_opinion(document: Mapping[str, Any], count: Mapping[str, int]) -> str:
    not_delivered = sum(document[fate] for fate in ("lost", "expired", "unrouted", "consumed"))
    if count["missing"] == not_delivered:
        return "agrees"
    text = f"finds {count['missing']} of {count['sent']} missing, where this one has {not_delivered}"
    if count["foreign"]:
        why = "modules that answer other modules, or begin messages"
        return (
            f"{text}; arrivals whose ids name no device's message, which it cannot follow ({why}): {count['foreign']}"
        )
    if count["sent"] != document["sent"]:
        return f"{text}: devices were told of {count['sent']} messages, this one counts {document['sent']}"
    return text


def _verdict(document: Mapping[str, Any]) -> str:
    if document["lost"]:
        return f"{document['lost']} of {document['sent']} messages lost"
    others = [f"{document[fate]} {fate}" for fate in ("expired", "unrouted", "consumed") if document[fate]]
    found = "nothing lost" if document["delivered"] or not document["sent"] else "nothing delivered"
    return ", ".join([f"{found}: {document['delivered']} of {document['sent']} messages delivered", *others])


def _duration(seconds: float, real_seconds: float) -> str:
    text = f"{seconds:.0f} s"
    return text if seconds < 1.5 * real_seconds else f"{text} ({real_seconds:.0f} s of real time)"


def _latency(latency: Mapping[str, float | None]) -> str:
    return "" if latency["p50"] is None else f"p50 {_milliseconds(latency['p50'])}, p99 {_milliseconds(latency['p99'])}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _place(lost: Mapping[str, Any]) -> str:
    if lost["waiting_copies"]:
        return "still waiting in edgeHub"
    place = f"taken by {', '.join(lost['taken_by'])}" if lost["taken_by"] else "nobody took it"
    return f"{place}; outputs without a route: {lost['unrouted']}" if lost["unrouted"] else place


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
