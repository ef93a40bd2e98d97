"""The figures: the ledger with what was lost first, and the rates of the last minute as a chart."""

from typing import Any

from nicegui import ui
from nicegui.element import Element

from simulator.dashboard.parts import MarkView, Text, panel
from simulator.snapshot import RATE_VALUES, Snapshot
from simulator.wording import NONE, count, milliseconds, verdict

_FIGURES = (
    ("sent", "Sent", "Messages that devices and modules gave to edgeHub or the hub"),
    ("delivered", "Delivered", "Messages that arrived in the cloud"),
    ("outstanding", "Outstanding", "On their way: in a buffer, in a queue, being scored"),
    ("duplicated", "Duplicated", "Delivered more than once: allowed, at least once is the promise"),
    ("misordered", "Misordered", "Delivered after a message that was sent later"),
    ("expired", "Expired", "Their time to live ended before they could be delivered"),
    ("unrouted", "Unrouted", "No route took them"),
)
_LABELLED = f"(index) => index % 15 === 0 || index === {RATE_VALUES - 1}"  # run in the browser
_SENT_COLOUR, _DELIVERED_COLOUR, _LINE_COLOUR = "#3b82f6", "#0d9668", "rgba(128, 140, 160, 0.3)"


class LedgerStrip:
    """What became of the messages."""

    def __init__(self) -> None:
        self._figures: dict[str, Text] = {}
        with Element("section").classes("ledger").props('aria-label="Ledger"'):
            with Element("div").classes("verdict idle") as self._verdict:
                Text("div", "Lost", "figure-name")
                self._lost = Text("div", "0", "lost")
                self._mark = MarkView(is_bare=True)
            with Element("dl").classes("figures"):
                for name, title, meaning in _FIGURES:
                    self._figures[name] = _figure(title, meaning)
                self._p50 = _figure("Latency, median", "Half of the messages arrived faster, in simulated time")
                self._p99 = _figure("Latency, 99 %", "99 of 100 messages arrived faster, in simulated time")
            self._alarm = Text("div", "", "only-heard").props("role=status")

    def show(self, snapshot: Snapshot) -> None:
        """Show the figures of a snapshot."""
        ledger, mark = snapshot.ledger, verdict(snapshot.ledger)
        self._lost.show(count(ledger.lost))
        self._mark.show(mark)
        self._verdict.classes(replace=f"verdict {mark.tone}")
        self._alarm.show(mark.word if ledger.lost else "")
        for name, text in self._figures.items():
            text.show(count(getattr(ledger, name)))
        self._p50.show(milliseconds(snapshot.latency_ms.p50))
        self._p99.show(milliseconds(snapshot.latency_ms.p99))


def _figure(title: str, meaning: str) -> Text:
    with Element("div").classes("figure").props(f'title="{meaning}"'):
        Text("dt", title, "figure-name")
        return Text("dd", NONE)


class RateChart:
    """Messages a second in the last minute."""

    def __init__(self) -> None:
        with panel("rates", "Messages a second") as head:
            with head, Element("div").classes("legend"):
                self._sent = _legend("sent", "Sent")
                self._delivered = _legend("delivered", "Delivered")
            self._chart = ui.echart(_options(), renderer="svg").classes("rate-chart").props("aria-hidden=true")

    def show(self, snapshot: Snapshot) -> None:
        """Show the rates of a snapshot."""
        sent, delivered = snapshot.rates.sent, snapshot.rates.delivered
        self._sent.show(_rate(sent))
        self._delivered.show(_rate(delivered))
        series = self._chart.options["series"]
        for each, values in zip(series, (sent, delivered), strict=True):
            each["data"] = [None] * (RATE_VALUES - len(values)) + list(values[-RATE_VALUES:])
        self._chart.update()


def _legend(kind: str, title: str) -> Text:
    with Element("span").classes("legend-entry"):
        Element("span").classes(f"swatch {kind}").props("aria-hidden=true")
        Text("span", title)
        return Text("strong", NONE)


def _rate(values: tuple[float, ...]) -> str:
    if not values:
        return NONE
    return count(values[-1]) if values[-1] >= 100 else f"{values[-1]:.1f}".removesuffix(".0")


def _options() -> dict[str, Any]:
    line = {"type": "line", "symbol": "none", "smooth": 0.2, "data": [], "emphasis": {"disabled": True}}
    return {
        "animation": False,
        "aria": {"enabled": False},
        "color": [_SENT_COLOUR, _DELIVERED_COLOUR],
        "grid": {"left": 8, "right": 12, "top": 12, "bottom": 6, "containLabel": True},
        "tooltip": {"trigger": "axis", "transitionDuration": 0, "className": "chart-tip", "confine": True},
        "xAxis": {
            "type": "category",
            "boundaryGap": False,
            "data": [*(f"{number - RATE_VALUES} s" for number in range(RATE_VALUES - 1)), "now"],
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": _LINE_COLOUR}},
            "axisLabel": {":interval": _LABELLED, "alignMaxLabel": "right", "alignMinLabel": "left"},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "minInterval": 1,
            "splitNumber": 3,
            "splitLine": {"lineStyle": {"color": _LINE_COLOUR}},
        },
        "series": [
            line | {"name": "Sent", "lineStyle": {"width": 2}, "areaStyle": {"opacity": 0.12}},
            line | {"name": "Delivered", "lineStyle": {"width": 2, "type": [6, 3]}},
        ],
    }
