"""Small pieces that the panels share: text in a tag, a mark, a panel with its heading, elements by key.

Everything is changed in place and only where it differs, so that focus, selection and scroll positions stay.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from simulator.snapshot import Snapshot
from simulator.wording import Mark

Value = TypeVar("Value")
AnyElement = TypeVar("AnyElement", bound=Element)
Contra = TypeVar("Contra", contravariant=True)


class Text(TextElement):
    """A text in an HTML tag."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)

    def show(self, text: str) -> None:
        """Change the text."""
        self.text = text


class MarkView:
    """A state: icon and word, in the colours of its tone. `is_bare`: without the coloured background."""

    def __init__(self, mark: Mark | None = None, *, is_bare: bool = False) -> None:
        self._shown: Mark | None = None
        self._kind = "mark bare" if is_bare else "mark"
        with Element("span").classes(self._kind) as self.element:
            self._icon = ui.icon("").props("aria-hidden=true")
            self._word = Text("span")
        if mark is not None:
            self.show(mark)

    def show(self, mark: Mark) -> None:
        """Change the state."""
        if mark == self._shown:
            return
        self._shown = mark
        self.element.classes(replace=f"{self._kind} {mark.tone}")
        self._icon.set_name(mark.icon)
        self._word.show(mark.word)

    def delete(self) -> None:
        """Take it off the page."""
        self.element.delete()


class Shown(Protocol[Contra]):
    """What `Keyed` holds: it shows values, and has one element on the page."""

    element: Element

    def show(self, value: Contra) -> None:
        """Show a value."""


class Keyed(Generic[Value]):
    """Children of `container` by key: each is made once, then changed, at last removed; in the order of the values."""

    def __init__(self, container: Element, make: Callable[[str], Shown[Value]]) -> None:
        self._container = container
        self._make = make
        self._shown: dict[str, Shown[Value]] = {}

    def show(self, values: Mapping[str, Value]) -> None:
        """Make the children those of `values`."""
        for key in [key for key in self._shown if key not in values]:
            self._shown.pop(key).element.delete()
        for key, value in values.items():
            if key not in self._shown:
                with self._container:
                    self._shown[key] = self._make(key)
            self._shown[key].show(value)
        if list(self._shown) != list(values):
            self._shown = {key: self._shown[key] for key in values}
            for index, child in enumerate(self._shown.values()):
                if self._container.default_slot.children.index(child.element) != index:
                    child.element.move(target_index=index)


@contextmanager
def panel(name: str, title: str) -> Iterator[Element]:
    """A section with a heading; yields the row of the heading, the rest of the body follows in the section."""
    with Element("section").classes(f"panel {name}").props(f"aria-labelledby=title-{name}"):
        with Element("div").classes("panel-head") as head:
            Text("h2", title).props(f"id=title-{name}")
        yield head


def named(element: AnyElement, name: str) -> AnyElement:
    """Give it a name for who does not see where it stands."""
    if element.props.get("aria-label") != name:
        element.props["aria-label"] = name
    return element


def empty_note(icon: str, text: str) -> Element:
    """What stands where nothing is to be shown yet: it says what to do."""
    with Element("p").classes("empty") as note:
        ui.icon(icon).props("aria-hidden=true")
        Text("span", text)
    return note


def small_button(label: str, icon: str, action: Callable[[], object], says: str = "") -> ui.button:
    """A quiet button of a row; `says` names it for who does not see the row."""
    button = (
        ui.button(label, icon=icon, on_click=action, color=None).props("flat dense no-caps no-wrap").classes("quiet")
    )
    return named(button, says) if says else button


def module_ids(snapshot: Snapshot) -> list[str]:
    """The modules of a run as `DEVICE/MODULE`."""
    return [f"{gateway.device_id}/{module.name}" for gateway in snapshot.gateways for module in gateway.modules]


def show_options(select: ui.select, options: list[str]) -> None:
    """Make these the options of a select, where they changed; the first one is chosen when the chosen one is gone."""
    if select.options != options:
        select.set_options(options, value=select.value if select.value in options else next(iter(options), None))
