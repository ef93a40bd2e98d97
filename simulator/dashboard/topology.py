"""What the run consists of: links, gateways with their queues and modules, problems, and the devices of the fleet."""

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element

from simulator.dashboard.parts import Keyed, MarkView, Text, empty_note, named, panel, small_button
from simulator.snapshot import GatewayState, LinkState, ModuleState, QueueState, Snapshot
from simulator.wording import (
    LINK_TITLES,
    NONE,
    compact_json,
    connection_mark,
    count,
    device_mark,
    link_marks,
    module_mark,
)

SendStep = Callable[[dict[str, Any]], object]
OpenModule = Callable[[str], object]


class LinkList:
    """The links, what is wrong with each, and a button that cuts it or brings it back."""

    def __init__(self, send: SendStep) -> None:
        self._send = send
        with panel("links", "Links"), Element("ul").classes("rows") as rows:
            self._links = Keyed[LinkState](rows, lambda name: _LinkRow(name, send))

    def show(self, snapshot: Snapshot) -> None:
        """Show the links of a snapshot."""
        self._links.show(snapshot.links)


class _LinkRow:
    def __init__(self, name: str, send: SendStep) -> None:
        self._name, self._up = name, True
        self._title = LINK_TITLES.get(name, name)
        with Element("li").classes("link-row") as self.element:
            Text("span", self._title, "link-title")
            with Element("span").classes("marks") as marks:
                self._marks = Keyed[Any](marks, lambda _: MarkView())
            self._button = small_button("Cut", "cloud_off", lambda: send(self._step()))
        self._button.classes("link-button")

    def show(self, link: LinkState) -> None:
        """Show the state of the link."""
        self._up = link.up
        self._marks.show({str(number): mark for number, mark in enumerate(link_marks(link))})
        self._button.set_text("Cut" if link.up else "Bring back")
        self._button.set_icon("cloud_off" if link.up else "cloud_done")
        says = f"{'Cut' if link.up else 'Bring back'} the link {self._title}"
        named(self._button, says)

    def _step(self) -> dict[str, Any]:
        return {"do": "offline" if self._up else "online", "link": self._name}


class GatewayList:
    """Each gateway with its queues and modules."""

    def __init__(self, open_logs: OpenModule, open_twin: OpenModule) -> None:
        with panel("gateways", "Gateways and modules"):
            self._empty = empty_note(
                "device_hub", "This run has no gateway. Give a deployment: edgepack simulate dist/deployment.json"
            )
            with Element("div").classes("gateway-list") as container:
                self._gateways = Keyed[GatewayState](container, lambda name: _Gateway(name, open_logs, open_twin))

    def show(self, snapshot: Snapshot) -> None:
        """Show the gateways of a snapshot."""
        self._empty.set_visibility(not snapshot.gateways)
        self._gateways.show({gateway.device_id: gateway for gateway in snapshot.gateways})


class _Gateway:
    def __init__(self, device_id: str, open_logs: OpenModule, open_twin: OpenModule) -> None:
        with Element("div").classes("gateway") as self.element:
            with Element("div").classes("gateway-head"):
                Text("h3", device_id)
                with named(Element("ul").classes("queues"), f"Queues of {device_id}") as queues:
                    self._queues = Keyed[QueueState](queues, lambda _: _Queue())
            with named(Element("table").classes("modules"), f"Modules of {device_id}") as self._table:
                with Element("thead"), Element("tr"):
                    for title in ("Module", "State", "Connection", "Buffer", "Restarts", "PID"):
                        Text("th", title).props("scope=col")
                    Text("th").props('scope=col aria-label="Actions"')
                with Element("tbody") as body:
                    self._modules = Keyed[ModuleState](
                        body, lambda name: _Module(f"{device_id}/{name}", open_logs, open_twin)
                    )
            self._empty = empty_note("widgets", "No modules: deploy some with edgepack deploy, or edit the twin")

    def show(self, gateway: GatewayState) -> None:
        """Show the state of the gateway."""
        self._queues.show({f"{queue.priority} {queue.endpoint}": queue for queue in gateway.queues})
        self._modules.show({module.name: module for module in gateway.modules})
        self._empty.set_visibility(not gateway.modules)
        self._table.set_visibility(bool(gateway.modules))


class _Queue:
    def __init__(self) -> None:
        with Element("li").classes("queue") as self.element:
            self._endpoint = Text("span")
            self._messages = Text("strong")

    def show(self, queue: QueueState) -> None:
        """Show how many messages wait."""
        self._endpoint.show(queue.endpoint)
        self._messages.show(count(queue.messages))
        title = f"{count(queue.messages)} messages wait for {queue.endpoint}, priority {queue.priority}"
        if self.element.props.get("title") != title:
            self.element.props["title"] = title
        self.element.classes(replace="queue waits" if queue.messages else "queue")


class _Module:
    def __init__(self, module_id: str, open_logs: OpenModule, open_twin: OpenModule) -> None:
        name = module_id.partition("/")[2]
        with Element("tr") as self.element:
            with Element("th").classes("module-name").props("scope=row"):
                Text("span", name)
                self._image = Text("span", "", "image")
            with _cell("State"):
                self._state = MarkView()
            with _cell("Connection"):
                self._connection = MarkView(is_bare=True)
            self._buffer, self._restarts, self._pid = (Text("td") for _ in range(3))
            for cell, title in ((self._buffer, "Buffer"), (self._restarts, "Restarts"), (self._pid, "PID")):
                cell.classes("number").props(f"data-title={title}")
            with Element("td").classes("actions"):
                small_button("Logs", "subject", lambda: open_logs(module_id), f"Logs of {module_id}")
                small_button("Twin", "data_object", lambda: open_twin(module_id), f"Twin of {module_id}")

    def show(self, module: ModuleState) -> None:
        """Show the state of the module."""
        self._image.show(module.image)
        self._state.show(module_mark(module))
        self._connection.show(connection_mark(module.connected))
        self._buffer.show(NONE if module.buffer_messages is None else count(module.buffer_messages))
        self._restarts.show(count(module.restarts))
        self._pid.show(NONE if module.pid is None else str(module.pid))


def _cell(title: str) -> Element:
    return Element("td").props(f"data-title={title}")


class ProblemList:
    """What went wrong without anybody asking for it."""

    def __init__(self) -> None:
        with panel("problems", "Problems"):
            self._empty = empty_note("task_alt", "None so far")
            with Element("ul").classes("rows") as rows:
                self._problems = Keyed[str](rows, lambda _: _Problem())

    def show(self, snapshot: Snapshot) -> None:
        """Show the problems of a snapshot."""
        self._empty.set_visibility(not snapshot.problems)
        self._problems.show({str(number): problem for number, problem in enumerate(snapshot.problems)})


class _Problem:
    def __init__(self) -> None:
        with Element("li").classes("problem") as self.element:
            ui.icon("warning").props("aria-hidden=true")
            self._text = Text("span")

    def show(self, problem: str) -> None:
        """Show one problem."""
        self._text.show(problem)


class DeviceTable:
    """The devices of the fleet, with a filter."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        with panel("devices", "Devices") as head:
            with head:
                self._summary = Text("span", "", "summary")
                self._filter = ui.input(placeholder="Filter", on_change=self._show_rows)
                self._filter.props('dense outlined clearable aria-label="Filter devices"').classes("filter")
                self._away = ui.checkbox("Only away", on_change=self._show_rows).props("dense")
            self._empty = empty_note("sensors", "No devices in this run. Add some: edgepack simulate --devices 10")
            with (
                Element("div")
                .classes("device-scroll")
                .props('tabindex=0 role=region aria-label="List of devices"') as self._scroll
            ):
                self._table = ui.table(columns=_COLUMNS, rows=[], row_key="id").props("flat dense hide-no-data")
            self._nothing = empty_note("filter_alt_off", "No device matches the filter")
        self._show_rows()

    def show(self, snapshot: Snapshot) -> None:
        """Show the devices of a snapshot."""
        shown, total = len(snapshot.devices), snapshot.devices_total
        summary = f"{count(snapshot.devices_connected)} of {count(total)} connected"
        self._summary.show(summary + (f", the first {count(shown)} shown" if shown < total else "") if total else "")
        rows = []
        for device in snapshot.devices:
            mark = device_mark(device)
            last = NONE if device.last is None else compact_json(device.last, 160)
            row = {
                "id": device.device_id,
                "state": mark.word,
                "tone": mark.tone,
                "sent": count(device.sent),
                "last": last,
            }
            rows.append(row)
        self._empty.set_visibility(not rows)
        if rows != self._rows:
            self._rows = rows
            self._show_rows()

    def _show_rows(self) -> None:
        wanted = (self._filter.value or "").casefold()
        shown = [
            row
            for row in self._rows
            if wanted in f"{row['id']} {row['state']} {row['last']}".casefold()
            and not (self._away.value and row["tone"] == "ok")
        ]
        self._scroll.set_visibility(bool(shown))
        self._nothing.set_visibility(bool(self._rows) and not shown)
        self._table.rows = shown


def _column(name: str, label: str, align: str = "left", **more: str) -> dict[str, str]:
    place = {"classes": f"c-{name}", "headerClasses": f"c-{name}"}
    return {"name": name, "label": label, "field": name, "align": align, **place, **more}


_COLUMNS = [
    _column("state", "State", **{":classes": "row => 'c-state ' + row.tone"}),  # run in the browser
    _column("id", "Device"),
    _column("sent", "Sent", "right"),
    _column("last", "Last message"),
]
