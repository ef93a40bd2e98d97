"""A twin: desired properties to edit, with the patch that would be sent; reported ones to read."""

from typing import Any

from nicegui import ui
from nicegui.element import Element

from edgepack.errors import InputError, RemoteError
from simulator.dashboard.commands import Commands
from simulator.dashboard.parts import Text, empty_note, module_ids, show_options
from simulator.dashboard.twin_text import merge_patch, parse_desired, pretty_json, without_hub_keys
from simulator.snapshot import Snapshot
from simulator.wording import compact_json


class TwinPanel:
    """Asks for the twin when `follow` is called, which the page does while the panel can be seen."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._desired: dict[str, Any] = {}
        self._version: object = None
        self._is_asking = False
        self._identity = ui.select([], label="Twin of", with_input=True, on_change=self._begin)
        self._identity.props("outlined dense options-dense").classes("wide")
        self._empty = empty_note("data_object", "No twin to show: the run has no devices or modules yet")
        with Element("div").classes("twin") as self._body:
            self._editor = ui.textarea("Desired properties (JSON)", validation=self._problem)
            self._editor.props('outlined input-class="code" rows=11 spellcheck=false debounce=150').classes("wide")
            self._patch = Text("p", "", "patch").props("role=status")
            with Element("div").classes("form-buttons"):
                self._send = ui.button("Send patch", color=None, on_click=self._send_patch)
                self._send.props("unelevated no-caps").classes("primary")
                ui.button("Discard changes", color=None, on_click=self._discard).props("flat no-caps").classes("quiet")
            Text("h3", "Reported properties")
            self._reported = Text("pre", "", "code reported")
            self._reported.props('tabindex=0 role=region aria-label="Reported properties"')
            self._tags = Text("p", "", "summary")

    def show(self, snapshot: Snapshot) -> None:
        """Know the identities of a snapshot."""
        gateways = [gateway.device_id for gateway in snapshot.gateways]
        hub_modules = [f"{gateway}/{module}" for gateway in gateways for module in ("$edgeAgent", "$edgeHub")]
        devices = [device.device_id for device in snapshot.devices]
        identities = list(dict.fromkeys([*module_ids(snapshot), *hub_modules, *gateways, *devices]))
        show_options(self._identity, identities)
        self._empty.set_visibility(not identities)
        self._body.set_visibility(bool(identities))

    def open(self, identity: str) -> None:
        """Show the twin of this module or device."""
        self._identity.value = identity

    async def follow(self) -> None:
        """Ask for the twin; what is being edited stays, and what changed below it is said."""
        identity = self._identity.value
        if not identity or self._is_asking:
            return
        self._is_asking = True
        try:
            twin = await self._commands.ask(lambda client: client.twin(identity))
        except RemoteError as error:
            self._patch.show(str(error))
            return
        finally:
            self._is_asking = False
        if identity == self._identity.value:
            self._take(twin)

    def _take(self, twin: dict[str, Any]) -> None:
        properties = twin.get("properties", {})
        self._reported.show(pretty_json(properties.get("reported", {})))
        self._tags.show(f"Tags: {compact_json(twin['tags'])}" if twin.get("tags") else "")
        desired = without_hub_keys(properties.get("desired", {}))
        if self._version is None or (desired != self._desired and not self._is_edited()):
            self._desired = desired
            self._editor.value = pretty_json(desired)
        self._version = properties.get("desired", {}).get("$version", 0)
        if desired != self._desired:
            self._patch.show(f"It changed meanwhile (version {self._version}): discard your changes to see it")

    def _is_edited(self) -> bool:
        try:
            return bool(merge_patch(self._desired, parse_desired(self._editor.value)))
        except InputError:
            return True

    def _problem(self, text: str) -> str | None:
        try:
            patch = merge_patch(self._desired, parse_desired(text or ""))
        except InputError as error:
            self._patch.show("")
            return "; ".join(error.problems)
        self._patch.show(f"Patch to send: {compact_json(patch, 400)}" if patch else "")
        return None

    async def _send_patch(self) -> None:
        if not self._editor.validate():
            self._editor.run_method("focus")
            return
        identity = self._identity.value
        edited = parse_desired(self._editor.value)
        patch = merge_patch(self._desired, edited)
        if not patch:
            self._patch.show("Nothing to send: change a property first")
            return
        done = f"Sent to {identity}: {compact_json(patch)}"
        if await self._commands.tell(lambda client: client.set_twin(identity, patch), done):
            self._desired = edited
            self._patch.show("")
            await self.follow()

    async def _discard(self) -> None:
        self._begin()
        await self.follow()

    def _begin(self) -> None:
        self._version, self._desired = None, {}
        self._editor.value = "{}"
        self._reported.show("")
        self._tags.show("")
        self._patch.show("")
