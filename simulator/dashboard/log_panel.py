"""The log of a module: follows it, stops on request, shows only lines that contain a text."""

from collections import deque

from nicegui import ui
from nicegui.element import Element

from edgepack.errors import RemoteError
from simulator.control_client import LogLines
from simulator.dashboard.commands import Commands
from simulator.dashboard.log_text import LogLine, log_line
from simulator.dashboard.parts import Text, empty_note, module_ids, show_options
from simulator.snapshot import Snapshot

KEPT_LINES = 2000
SHOWN_LINES = 500
_LIMIT = 500


class LogPanel:
    """Asks for new lines when `follow` is called, which the page does while the panel can be seen."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._next = 0
        self._is_asking = False
        self._is_paused = False
        with Element("div").classes("log-controls"):
            self._module = ui.select([], label="Module", on_change=self._begin)
            self._module.props("outlined dense options-dense").classes("grow")
            self._pause = ui.button("Pause", icon="pause", color=None, on_click=self._toggle)
            self._pause.props("flat no-caps").classes("quiet")
        self._filter = ui.input("Show lines that contain", on_change=self._show_all)
        self._filter.props("outlined dense clearable debounce=200").classes("wide")
        self._empty = empty_note("subject", "No module to read from: deploy one, then its log is here")
        self._log = (
            ui.log(max_lines=SHOWN_LINES).classes("log").props('tabindex=0 role=log aria-label="Log" aria-live=off')
        )
        self._status = Text("p", "", "summary")

    def show(self, snapshot: Snapshot) -> None:
        """Know the modules of a snapshot."""
        show_options(self._module, module_ids(snapshot))
        self._empty.set_visibility(not self._module.options)
        self._log.set_visibility(bool(self._module.options))

    def open(self, module_id: str) -> None:
        """Read the log of this module."""
        self._module.value = module_id

    async def follow(self) -> None:
        """Ask for what is new."""
        module = self._module.value
        if not module or self._is_paused or self._is_asking:
            return
        self._is_asking = True
        try:
            answer = await self._commands.ask(lambda client: client.logs(module, self._next, _LIMIT))
        except RemoteError as error:
            self._status.show(str(error))
            return
        finally:
            self._is_asking = False
        if module == self._module.value:
            self._take(answer)

    def _take(self, answer: LogLines) -> None:
        if answer.next < self._next:
            self._begin()  # another simulation: its log begins anew
            return
        self._next = answer.next
        lines = [log_line(raw) for raw in answer.lines]
        self._lines.extend(lines)
        self._push(lines)
        self._say()

    def _begin(self) -> None:
        self._lines.clear()
        self._next = 0
        self._log.clear()
        self._say()

    def _show_all(self) -> None:
        self._log.clear()
        self._push(list(self._lines))
        self._say()

    def _push(self, lines: list[LogLine]) -> None:
        for line in [line for line in lines if self._matches(line)][-SHOWN_LINES:]:
            self._log.push(line.text or " ", classes=f"log-line {line.tone}")

    def _matches(self, line: LogLine) -> bool:
        return (self._filter.value or "").casefold() in line.text.casefold()

    def _say(self) -> None:
        shown = sum(map(self._matches, self._lines))
        text = f"{shown} of {len(self._lines)} lines" if self._filter.value else f"{len(self._lines)} lines"
        self._status.show(f"Paused, {text}" if self._is_paused else f"Following, {text}")

    def _toggle(self) -> None:
        self._is_paused = not self._is_paused
        self._pause.set_text("Follow" if self._is_paused else "Pause")
        self._pause.set_icon("play_arrow" if self._is_paused else "pause")
        self._say()
