"""Direct methods, and messages to the input of a module."""

from nicegui import ui
from nicegui.element import Element

from edgepack.errors import InputError, RemoteError
from simulator.dashboard.commands import Commands
from simulator.dashboard.parts import Text, module_ids, show_options
from simulator.dashboard.twin_text import parse_json, pretty_json
from simulator.snapshot import Snapshot

METHODS = ["ping", "stats", "score", "flush", "reload"]
DEFAULT_INPUT = "amlInput"


class CallPanel:
    """Two forms."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        with Element("div").classes("call-form").props('role=group aria-label="Direct method"'):
            Text("h3", "Direct method")
            with Element("div").classes("fields"):
                self._target = _select("Device or module")
                self._method = ui.input("Method", value=METHODS[0], autocomplete=METHODS, validation=_needed)
                self._method.props("outlined dense")
            self._payload = _json_area("Payload (JSON)", "null")
            self._invoke = _primary("Invoke", self._invoke_method)
            self._answer = Text("pre", "", "code answer").props('role=status aria-label="Answer"')
        with Element("div").classes("call-form").props('role=group aria-label="Message to a module"'):
            Text("h3", "Message to a module")
            with Element("div").classes("fields"):
                self._module = _select("Module")
                self._input = ui.input("Input", value=DEFAULT_INPUT, validation=_needed).props("outlined dense")
            self._body = _json_area("Body (JSON)", "{}")
            _primary("Send message", self._send_message)

    def show(self, snapshot: Snapshot) -> None:
        """Know the modules and devices of a snapshot."""
        modules = module_ids(snapshot)
        show_options(self._module, modules)
        show_options(self._target, [*modules, *(device.device_id for device in snapshot.devices)])

    async def _invoke_method(self) -> None:
        if not (_all_valid(self._target, self._method, self._payload)):
            return
        target, method, payload = self._target.value, self._method.value, parse_json(self._payload.value)
        self._invoke.props("loading")
        self._answer.show(f"{method} on {target}: waits for the answer")
        try:
            answer = await self._commands.ask(lambda client: client.invoke(target, method, payload))
            self._answer.show(f"{method} on {target}: status {answer['status']}\n{pretty_json(answer['payload'])}")
        except RemoteError as error:
            self._answer.show(f"{method} on {target}: {error}")
        finally:
            self._invoke.props(remove="loading")

    async def _send_message(self) -> None:
        if not (_all_valid(self._module, self._input, self._body)):
            return
        module, input_name, body = self._module.value, self._input.value, parse_json(self._body.value)
        await self._commands.tell(
            lambda client: client.send(module, input_name, body), f"Sent to {module}, input {input_name}"
        )


def _all_valid(*fields: "ui.select | ui.input | ui.textarea") -> bool:
    """Whether all can be used; each says what is wrong, and the first that cannot gets the focus."""
    wrong = [field for field in fields if not field.validate()]
    if wrong:
        wrong[0].run_method("focus")
    return not wrong


def _needed(value: str | None) -> str | None:
    return None if value else "is needed"


def _json_problem(text: str | None) -> str | None:
    try:
        parse_json(text or "")
    except InputError as error:
        return "; ".join(error.problems)
    return None


def _select(label: str) -> ui.select:
    return ui.select([], label=label, with_input=True, validation=_needed).props("outlined dense options-dense")


def _json_area(label: str, value: str) -> ui.textarea:
    area = ui.textarea(label, value=value, validation=_json_problem)
    return area.props('outlined dense input-class="code" rows=3 spellcheck=false debounce=150').classes("wide")


def _primary(label: str, action: object) -> ui.button:
    return ui.button(label, color=None, on_click=action).props("unelevated no-caps").classes("primary")  # type: ignore[arg-type]
