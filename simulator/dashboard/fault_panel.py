"""Faults: a button each, a small form for what it needs, and the history of what was done."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from nicegui.element import Element

from edgepack.errors import InputError
from simulator.dashboard.commands import Commands
from simulator.dashboard.fault_forms import FAULTS, LINKS, FaultForm, Field, fault_step
from simulator.dashboard.parts import Keyed, Text, empty_note, module_ids, named, show_options
from simulator.snapshot import Snapshot
from simulator.wording import LINK_TITLES, fault_sentence, seconds

MOST_SHOWN = 100
_ICONS = {form.do: form.icon for form in FAULTS}
_FORM_ID = "fault-form"


class FaultPanel:
    """Buttons, form and history."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._modules: tuple[str, ...] = ()
        self._form: FaultForm | None = None
        self._inputs: dict[str, ui.select | ui.number] = {}
        self._buttons: dict[str, ui.button] = {}
        with Element("div").classes("fault-buttons").props('role=group aria-label="Cause a fault"'):
            for form in FAULTS:
                button = ui.button(form.title, icon=form.icon, color=None, on_click=lambda form=form: self._open(form))
                button.props(f"flat no-caps no-wrap align=left aria-expanded=false aria-controls={_FORM_ID}")
                self._buttons[form.do] = button.classes("fault")
        self._area = Element("div").classes("fault-form").props(f"id={_FORM_ID} role=group")
        self._area.set_visibility(False)
        Text("h3", "History").classes("history-title")
        self._empty = empty_note("history", "No faults yet. Choose one above, or write a scenario")
        with Element("ol").classes("rows history").props('aria-label="Faults, newest first"') as rows:
            self._history = Keyed[Mapping[str, Any]](rows, lambda _: _FaultRow())

    def show(self, snapshot: Snapshot) -> None:
        """Show the faults of a snapshot; what is being typed stays."""
        self._modules = tuple(module_ids(snapshot))
        if isinstance(select := self._inputs.get("module"), ui.select):
            show_options(select, list(self._modules))
        numbered = list(enumerate(snapshot.faults))[-MOST_SHOWN:]
        self._empty.set_visibility(not numbered)
        self._history.show({str(number): fault for number, fault in reversed(numbered)})

    def _open(self, form: FaultForm) -> None:
        for do, button in self._buttons.items():
            button.props(f"aria-expanded={'true' if do == form.do else 'false'}")
        self._form, self._inputs = form, {}
        self._area.clear()
        named(self._area, form.title)
        self._area.set_visibility(True)
        with self._area:
            Text("p", form.says)
            with Element("div").classes("fields"):
                for field in form.fields:
                    self._inputs[field.name] = self._input(field)
            with Element("div").classes("form-buttons"):
                apply = (
                    ui.button("Apply", color=None, on_click=self._apply).props("unelevated no-caps").classes("primary")
                )
                ui.button("Close", color=None, on_click=self._close).props("flat no-caps").classes("quiet")
        first = next(iter(self._inputs.values()), apply)
        if first is apply:
            ui.run_javascript(f"getHtmlElement({apply.id})?.focus()")
        else:
            first.run_method("focus")

    def _input(self, field: Field) -> "ui.select | ui.number":
        made: ui.select | ui.number
        if field.kind == "number":
            made = ui.number(field.label, value=field.default, placeholder=field.empty or None)
            made.props("stack-label").on("keydown.enter", self._apply)
        elif field.kind == "link":
            made = ui.select({name: LINK_TITLES[name] for name in LINKS}, label=field.label, value=LINKS[0])
        else:
            made = ui.select(list(self._modules), label=field.label, value=next(iter(self._modules), None))
        made.props(f"outlined dense name={field.name} options-dense").classes(f"field-{field.kind}")
        return made

    def _close(self) -> None:
        if self._form is None:
            return
        button = self._buttons[self._form.do].props("aria-expanded=false")
        ui.run_javascript(f"getHtmlElement({button.id})?.focus()")
        self._form, self._inputs = None, {}
        self._area.clear()
        self._area.set_visibility(False)

    async def _apply(self) -> None:
        if self._form is None:
            return
        values = {name: each.value for name, each in self._inputs.items()}
        problems: dict[str, str] = {}
        step: dict[str, Any] = {}
        try:
            step = fault_step(self._form, values, self._modules)
        except InputError as error:
            problems = {name: text for name, _, text in (problem.partition(": ") for problem in error.problems)}
        for name, each in self._inputs.items():
            each.error = problems.get(name)
        if problems:
            self._inputs[next(iter(problems))].run_method("focus")
            return
        await self._commands.fault(step)


class _FaultRow:
    def __init__(self) -> None:
        with Element("li").classes("fault-row") as self.element:
            self._icon = ui.icon("").props("aria-hidden=true")
            self._text = Text("span")
            self._at = Text("span", "", "at")

    def show(self, fault: Mapping[str, Any]) -> None:
        """Show one fault."""
        self._icon.set_name(_ICONS.get(fault["do"], "bolt"))
        self._text.show(fault_sentence(fault))
        self._at.show(f"at {seconds(fault['at_s'])}")
