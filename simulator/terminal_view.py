"""A run in a terminal: a table that changes in place, or a line every few seconds where nobody watches. Pure but for
the console that it is given.

`render` fits what it shows into width and height: what is broken first, then what is there; rows that do not fit are
counted. `TerminalView` writes it, with `now_s` as the clock of who reads (not the simulated one).
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulator.snapshot import ModuleState, Snapshot
from simulator.wording import (
    NONE,
    Mark,
    connection_mark,
    count,
    fault_sentence,
    link_marks,
    milliseconds,
    module_mark,
    progress,
    run_mark,
    seconds,
    verdict,
)

PLAIN_EVERY_S = 5.0
_STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red", "idle": "dim"}
_SIGNS = {"ok": "✓", "warn": "!", "bad": "✗", "idle": "·"}
_BARS = "▁▂▃▄▅▆▇█"
_FIGURES = ("sent", "delivered", "outstanding", "duplicated", "misordered", "expired", "unrouted")
_URGENCY = {"bad": 0, "warn": 1, "idle": 2, "ok": 3}
_MOST_FAULTS, _MOST_PROBLEMS = 3, 3
_STATE_WIDTH = 24


def render(snapshot: Snapshot, width: int = 80, height: int = 24) -> RenderableType:
    """The whole view, at most `height` lines of `width` columns."""
    top = [_title(snapshot), _marked(verdict(snapshot.ledger)), _figures(snapshot), _latency(snapshot)]
    top += [_rate("sent", snapshot.rates.sent, width), _rate("delivered", snapshot.rates.delivered, width)]
    top += [_links(snapshot), *_queues(snapshot)]
    devices = f"{count(snapshot.devices_connected)} of {count(snapshot.devices_total)} connected"
    top.append(_named("devices", Text(devices)))
    problems = [_marked(Mark(text, "", "bad")) for text in snapshot.problems[-_MOST_PROBLEMS:]]
    faults = [
        _named("fault", Text(f"{fault_sentence(fault)} at {seconds(fault['at_s'])}"))
        for fault in snapshot.faults[-_MOST_FAULTS:]
    ]
    room = height - len(top) - len(problems) - len(faults)
    parts: list[RenderableType] = [*top]
    modules = [
        (f"{gateway.device_id}/{module.name}", module) for gateway in snapshot.gateways for module in gateway.modules
    ]
    if modules and room >= 2:
        parts.append(_modules(modules, width, room))
    parts += [*problems, *faults]
    return Group(*parts[:height])


def plain_line(snapshot: Snapshot) -> str:
    """A run in one line, for logs."""
    rest = [name for name in ("expired", "unrouted", "consumed") if getattr(snapshot.ledger, name)]
    figures = ", ".join(f"{name} {count(getattr(snapshot.ledger, name))}" for name in (*_FIGURES[:3], *rest))
    broken = [
        f"{name} {', '.join(mark.word for mark in marks)}"
        for name, marks in ((name, link_marks(link)) for name, link in snapshot.links.items())
        if any(mark.tone != "ok" for mark in marks)
    ]
    text = f"{progress(snapshot)}: {run_mark(snapshot).word.lower()}, {figures}, lost {count(snapshot.ledger.lost)}"
    return "; ".join([text, *broken, *snapshot.problems[-1:]])


class TerminalView:
    """Shows snapshots on a console: in place on a terminal, else a line now and then. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._last_s: float | None = None
        self._last_state: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, snapshot: Snapshot, now_s: float) -> None:
        """Show a snapshot. Without a terminal: when PLAIN_EVERY_S have passed, or state, faults or problems changed."""
        if self._live is not None:
            # one line less than the terminal has, so that it does not scroll
            view = render(snapshot, self._console.width, self._console.height - 1)
            self._live.update(view, refresh=True)
            return
        state = (snapshot.state, len(snapshot.faults), len(snapshot.problems), snapshot.ledger.lost)
        if self._last_s is None or state != self._last_state or now_s - self._last_s >= PLAIN_EVERY_S:
            self._last_s, self._last_state = now_s, state
            self._console.print(plain_line(snapshot), markup=False, highlight=False, soft_wrap=True)


def bars(values: Sequence[float], most: int) -> str:
    """The last `most` values as bars, a character each; the highest is full."""
    shown = values[-most:] if most > 0 else ()
    highest = max(shown, default=0)
    if not highest:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / highest * len(_BARS)))] for value in shown)


def _line(*parts: Text | str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _marked(mark: Mark) -> Text:
    return _line((f"{_SIGNS[mark.tone]} {mark.word}", _STYLES[mark.tone]))


def _named(name: str, text: Text) -> Text:
    return _line((f"{name:<10}", "dim"), text)


def _title(snapshot: Snapshot) -> Text:
    state = run_mark(snapshot)
    scenario = f"{snapshot.scenario}  " if snapshot.scenario else ""
    return _line(
        ("edgepack simulator  ", "bold"), (state.word, _STYLES[state.tone]), f"  {progress(snapshot)}  ", scenario
    )


def _figures(snapshot: Snapshot) -> Text:
    names = [name for name in _FIGURES if name in _FIGURES[:3] or getattr(snapshot.ledger, name)]
    parts = [(f"{name} ", count(getattr(snapshot.ledger, name))) for name in names]
    return _line(*(Text.assemble((name, "dim"), f"{number}  ") for name, number in parts))


def _latency(snapshot: Snapshot) -> Text:
    latency = snapshot.latency_ms
    return _named("latency", Text(f"median {milliseconds(latency.p50)}, 99 % {milliseconds(latency.p99)}"))


def _rate(name: str, values: Sequence[float], width: int) -> Text:
    if not values:
        return _named(name, Text(NONE))
    return _named(name, Text.assemble((bars(values, width - 26), "cyan"), f" {values[-1]:,.1f}/s"))


def _links(snapshot: Snapshot) -> Text:
    text = Text()
    for name, link in snapshot.links.items():
        text.append(f"{name} ")
        for mark in link_marks(link):
            text.append(f"{_SIGNS[mark.tone]} {mark.word} ", _STYLES[mark.tone])
        text.append(" ")
    return _named("links", text)


def _queues(snapshot: Snapshot) -> list[Text]:
    waiting = [
        f"{gateway.device_id} {queue.endpoint} {count(queue.messages)}"
        for gateway in snapshot.gateways
        for queue in gateway.queues
        if queue.messages
    ]
    return (
        [_named("queues", Text(", ".join(waiting), "yellow") if waiting else Text("empty"))]
        if snapshot.gateways
        else []
    )


def _modules(modules: list[tuple[str, ModuleState]], width: int, room: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=False, header_style="dim")
    table.add_column("module", no_wrap=True, overflow="ellipsis", max_width=max(12, width - _STATE_WIDTH - 34))
    table.add_column("state", no_wrap=True, overflow="ellipsis", max_width=_STATE_WIDTH)
    table.add_column("connection", no_wrap=True, min_width=10)
    for title in ("buffer", "restarts"):
        table.add_column(title, no_wrap=True, justify="right", min_width=len(title))
    ordered = sorted(modules, key=lambda named: _URGENCY[module_mark(named[1]).tone])
    fits = len(ordered) if len(ordered) < room else room - 2
    for name, module in ordered[:fits]:
        state, connection = module_mark(module), connection_mark(module.connected)
        buffer = NONE if module.buffer_messages is None else count(module.buffer_messages)
        state = state._replace(word=state.word.replace("exit code ", ""))
        cells = [_marked(state), Text(connection.word, _STYLES[connection.tone])]
        table.add_row(name, *cells, buffer, count(module.restarts))
    if fits < len(ordered):
        table.add_row(f"and {len(ordered) - fits} more")
    return table
