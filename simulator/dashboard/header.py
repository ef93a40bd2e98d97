"""The top of the page: which run this is, how far it is, how the page looks, and the end of the run."""

from nicegui import ui
from nicegui.element import Element

from simulator.dashboard.commands import Commands
from simulator.dashboard.parts import MarkView, Text, named
from simulator.snapshot import Snapshot
from simulator.wording import Mark, progress, run_mark

_THEMES: dict[bool | None, tuple[str, str]] = {
    None: ("brightness_auto", "Colours as the system has them"),
    False: ("light_mode", "Light colours"),
    True: ("dark_mode", "Dark colours"),
}
_NEXT_THEME: dict[bool | None, bool | None] = {None: False, False: True, True: None}


class Header:
    """Shows the state of the run; its buttons change the colours, and stop the run after a question."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._theme = ui.dark_mode(None)
        with ui.header(elevated=False).classes("bar").props("height-hint=56"):
            with Element("h1"):
                Text("strong", "edgepack")
                Text("span", " simulator")
            self._scenario = Text("span", "", "scenario")
            self._mark = MarkView()
            self._progress = Text("span", "", "progress")
            self._clock = Text("span", "", "clock").props('title="Simulated time, UTC"')
            Element("span").classes("spacer")
            self._theme_button = ui.button(icon="", color=None, on_click=self._change_theme)
            self._theme_button.props("flat round").classes("quiet theme")
            self._stop = ui.button("Stop", icon="stop", color=None, on_click=self._ask_to_stop)
            self._stop.props('flat no-caps aria-label="Stop the run"').classes("stop")
        self._show_theme()
        with ui.dialog() as self._dialog, ui.card().classes("question"):
            self._dialog.props("role=alertdialog aria-labelledby=stop-title aria-describedby=stop-text")
            Text("h2", "Stop the run?").props("id=stop-title")
            what = "Devices stop, what is on its way is delivered, then the report is written."
            Text("p", what).props("id=stop-text")
            with Element("div").classes("form-buttons"):
                stop = ui.button("Stop the run", color=None, on_click=self._stop_run)
                stop.props("unelevated no-caps").classes("danger")
                go_on = ui.button("Go on", color=None, on_click=self._dialog.close)
                go_on.props("flat no-caps autofocus").classes("quiet")

    def show(self, snapshot: Snapshot | None, *, is_away: bool) -> None:
        """Show which run this is and how far it is."""
        if is_away or snapshot is None:
            self._mark.show(Mark("Away", "cloud_off", "bad") if is_away else Mark("Waits", "hourglass_empty", "idle"))
        else:
            self._mark.show(run_mark(snapshot))
        self._scenario.show(snapshot.scenario if snapshot else "")
        self._progress.show(progress(snapshot) if snapshot else "")
        self._clock.show(snapshot.clock.replace("T", " ").removesuffix("Z") if snapshot else "")
        self._stop.set_enabled(snapshot is not None and not is_away and snapshot.state == "running")

    def _change_theme(self) -> None:
        self._theme.value = _NEXT_THEME[self._theme.value]
        self._show_theme()

    def _show_theme(self) -> None:
        icon, says = _THEMES[self._theme.value]
        self._theme_button.set_icon(icon)
        named(self._theme_button, f"{says}: change").props["title"] = says

    def _ask_to_stop(self) -> None:
        self._dialog.open()

    async def _stop_run(self) -> None:
        self._dialog.close()
        await self._commands.stop()
