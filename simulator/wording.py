"""The words, icons and tones in which every view speaks of a run. Pure.

A tone is never the only sign of a state: each mark has a word, and an icon (a name of the Material Icons font).
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from simulator.snapshot import DeviceState, LedgerFigures, LinkState, ModuleState, Snapshot

Tone = Literal["ok", "warn", "bad", "idle"]

NONE = "–"
LINK_TITLES = {
    "upstream": "edgeHub → IoT Hub",
    "modules": "Modules ↔ edgeHub",
    "devices": "Devices → edgeHub",
}
_MODULE_MARKS: dict[str, tuple[str, str, Tone]] = {
    "running": ("running", "check_circle", "ok"),
    "starting": ("starting", "hourglass_top", "warn"),
    "backoff": ("waits to restart", "restart_alt", "warn"),
    "stopped": ("stopped", "stop_circle", "idle"),
    "failed": ("failed", "error", "bad"),
}
_RUN_MARKS: dict[str, tuple[str, str, Tone]] = {
    "running": ("Running", "play_circle", "ok"),
    "draining": ("Draining", "hourglass_bottom", "warn"),
    "done": ("Done", "flag", "idle"),
}
_FAULT_VERBS = {
    "offline": "offline",
    "online": "online",
    "half_open": "half-open",
    "restart_hub": "hub restarted",
    "kill_agent": "killed",
    "disk_full": "disk full",
    "expire_token": "token expired",
}


class Mark(NamedTuple):
    """A state in one word, with an icon and a tone."""

    word: str
    icon: str
    tone: Tone


def count(number: float) -> str:
    """A number of things, thousands apart."""
    return f"{round(number):,}"


def seconds(duration_s: float) -> str:
    """A duration: `0.5 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if duration_s < 10 and duration_s != int(duration_s):
        return f"{duration_s:.1f} s"
    whole = int(duration_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def milliseconds(duration_ms: float | None) -> str:
    """A latency: `4.5 ms`, `230 ms`, `12.1 s`."""
    if duration_ms is None:
        return NONE
    if duration_ms >= 10_000:
        return f"{duration_ms / 1000:.1f} s"
    return f"{duration_ms:.1f} ms" if duration_ms < 10 else f"{count(duration_ms)} ms"


def progress(snapshot: Snapshot) -> str:
    """How far the run is: `12 s of 1 min 0 s, 10 times as fast`."""
    text = seconds(int(snapshot.at_s))
    if snapshot.duration_s is not None:
        text += f" of {seconds(snapshot.duration_s)}"
    return text if snapshot.speed == 1 else f"{text}, {snapshot.speed:g} times as fast"


def compact_json(value: Any, most: int = 80) -> str:
    """A JSON value in one line, shortened to `most` characters."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= most else text[: most - 1] + "…"


def run_mark(snapshot: Snapshot) -> Mark:
    """The state of the run."""
    return Mark(*_RUN_MARKS[snapshot.state])


def module_mark(module: ModuleState) -> Mark:
    """The state of a module's process."""
    word, icon, tone = _MODULE_MARKS[module.status]
    if module.status in ("backoff", "failed", "stopped") and module.exit_code is not None:
        word += f" (exit code {module.exit_code})"
    return Mark(word, icon, tone)


def connection_mark(connected: bool) -> Mark:
    """Whether a module or device has a connection."""
    return Mark("connected", "link", "ok") if connected else Mark("away", "link_off", "warn")


def device_mark(device: DeviceState) -> Mark:
    """Whether a device has a connection."""
    return connection_mark(device.connected)


def link_marks(link: LinkState) -> tuple[Mark, ...]:
    """The state of a link, then each of its faults."""
    marks = [Mark("up", "check_circle", "ok") if link.up else Mark("offline", "cloud_off", "bad")]
    if link.half_open:
        marks.append(Mark("half-open", "sync_problem", "bad"))
    if link.latency_ms:
        marks.append(Mark(f"+{milliseconds(link.latency_ms)}", "timer", "warn"))
    if link.loss:
        marks.append(Mark(f"{link.loss:.2%} loss".replace(".00%", "%"), "grain", "warn"))
    if link.bandwidth_kbit is not None:
        marks.append(Mark(f"{count(link.bandwidth_kbit)} kbit/s", "speed", "warn"))
    return tuple(marks)


def verdict(ledger: LedgerFigures) -> Mark:
    """What the ledger says in one sentence."""
    if ledger.lost:
        return Mark(f"{count(ledger.lost)} of {count(ledger.sent)} messages lost", "error", "bad")
    if not ledger.sent:
        return Mark("No message sent yet", "hourglass_empty", "idle")
    if ledger.outstanding:
        return Mark(f"Nothing lost, {count(ledger.outstanding)} on their way", "check_circle", "ok")
    return Mark("Nothing lost", "check_circle", "ok")


def fault_sentence(fault: Mapping[str, Any]) -> str:
    """A fault as one reads it: `upstream: latency 200 ms ± 50 ms for 10 s`."""
    do = str(fault["do"])
    values = {name: value for name, value in fault.items() if value is not None}
    if do == "latency":
        text = f"latency {milliseconds(values.get('ms', 0))}"
        text += f" ± {milliseconds(values['jitter_ms'])}" if values.get("jitter_ms") else ""
    elif do == "loss":
        text = f"loss {values.get('rate', 0):.2%}".replace(".00%", "%")
    elif do == "bandwidth":
        text = f"bandwidth {count(values['kbit'])} kbit/s" if values.get("kbit") else "bandwidth without limit"
    elif do == "clock_jump":
        text = f"clock jumps by {values.get('by_s', 0):+g} s"
    else:
        text = _FAULT_VERBS.get(do, do.replace("_", " "))
    where = values.get("module") or values.get("link") or values.get("id")
    if where:
        text = f"{where}: {text}"
    return text + (f" for {seconds(values['for_s'])}" if values.get("for_s") else "")
