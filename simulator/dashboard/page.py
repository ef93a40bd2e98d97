"""The page: header, figures, what the run consists of, and a workbench of tabs. Shows every snapshot of the feed."""

from pathlib import Path

from nicegui import ui
from nicegui.element import Element

from simulator.dashboard.call_panel import CallPanel
from simulator.dashboard.commands import Commands
from simulator.dashboard.fault_panel import FaultPanel
from simulator.dashboard.feed import Feed, Seen
from simulator.dashboard.header import Header
from simulator.dashboard.log_panel import LogPanel
from simulator.dashboard.overview import LedgerStrip, RateChart
from simulator.dashboard.topology import DeviceTable, GatewayList, LinkList, ProblemList
from simulator.dashboard.twin_panel import TwinPanel

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_FAULTS, _LOGS, _TWIN, _CALL = "Faults", "Logs", "Twin", "Call"
_ICONS = {_FAULTS: "bolt", _LOGS: "subject", _TWIN: "data_object", _CALL: "call_made"}


def show_page(feed: Feed, control: Path) -> None:
    """Build the page for one visitor and keep it up to date."""
    ui.add_css(_STYLE)
    ui.colors(primary="#1d4ed8")
    page = _Page(feed, control)
    page.show(feed.seen)
    feed.changed.subscribe(page.show)


class _Page:
    def __init__(self, feed: Feed, control: Path) -> None:
        commands = Commands(control)
        self._header = Header(commands)
        with Element("div").classes("page") as content:
            with Element("div").classes("trouble").props("role=alert") as self._trouble:
                ui.icon("cloud_off").props("aria-hidden=true")
                self._why = ui.label()
            with Element("div").classes("waiting") as self._waiting:
                ui.spinner(size="32px")
                ui.label("Waits for the simulation")
            with Element("div").classes("grid") as self._grid:
                self._ledger = LedgerStrip()
                self._rates = RateChart()
                self._links = LinkList(commands.fault)
                self._workbench(commands)
                self._gateways = GatewayList(self._open_logs, self._open_twin)
                self._devices = DeviceTable()
                self._problems = ProblemList()
        ui.skip_link("Skip to the figures", target=content)
        ui.timer(1.0, self._follow)

    def _workbench(self, commands: Commands) -> None:
        with Element("section").classes("panel workbench").props('aria-label="Workbench"'):
            with ui.tabs(on_change=self._follow).props("dense no-caps inline-label align=justify") as self._tabs:
                for name, icon in _ICONS.items():
                    ui.tab(name, icon=icon)
            with ui.tab_panels(self._tabs, value=_FAULTS, animated=False).classes("tab-panels"):
                with ui.tab_panel(_FAULTS):
                    self._faults = FaultPanel(commands)
                with ui.tab_panel(_LOGS):
                    self._logs = LogPanel(commands)
                with ui.tab_panel(_TWIN):
                    self._twin = TwinPanel(commands)
                with ui.tab_panel(_CALL):
                    self._call = CallPanel(commands)

    def show(self, seen: Seen) -> None:
        """Show what the feed has seen."""
        snapshot = seen.snapshot
        self._trouble.set_visibility(bool(seen.trouble))
        since = "" if snapshot is None else " The figures are the last ones seen."
        self._why.set_text(
            f"{seen.trouble[:1].upper()}{seen.trouble[1:]}.{since} The page goes on by itself when it is back."
            if seen.trouble
            else ""
        )
        self._waiting.set_visibility(snapshot is None)
        self._grid.set_visibility(snapshot is not None)
        self._grid.classes(replace="grid stale" if seen.trouble else "grid")
        self._header.show(snapshot, is_away=bool(seen.trouble))
        if snapshot is None:
            return
        panels = (self._ledger, self._rates, self._links, self._gateways, self._devices, self._problems)
        for panel in (*panels, self._faults, self._logs, self._twin, self._call):
            panel.show(snapshot)

    async def _follow(self) -> None:
        if self._tabs.value == _LOGS:
            await self._logs.follow()
        elif self._tabs.value == _TWIN:
            await self._twin.follow()

    def _open_logs(self, module_id: str) -> None:
        self._logs.open(module_id)
        self._go_to(_LOGS)

    def _open_twin(self, module_id: str) -> None:
        self._twin.open(module_id)
        self._go_to(_TWIN)

    def _go_to(self, tab: str) -> None:
        self._tabs.value = tab
        ui.run_javascript("document.querySelector('.workbench').scrollIntoView({block: 'nearest'})")
