"""What the page asks the simulation to do: on a connection each, with a word on the page about the outcome."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nicegui import ui

from edgepack.errors import RemoteError
from simulator.control_client import ControlClient
from simulator.wording import fault_sentence

Result = TypeVar("Result")
_TIMEOUT_S = 120


class Commands:
    """Commands of one page to the simulation at `control`."""

    def __init__(self, control: Path) -> None:
        self._control = control

    async def ask(self, call: Callable[[ControlClient], Awaitable[Result]]) -> Result:
        """Ask on a new connection.

        Raises:
            RemoteError: it is away, or refuses.
        """
        async with ControlClient(self._control, _TIMEOUT_S) as client:
            return await call(client)

    async def fault(self, step: Mapping[str, Any]) -> None:
        """Cause a fault, and say so."""
        await self.tell(lambda client: client.request(step), f"Sent: {fault_sentence(step)}")

    async def stop(self) -> None:
        """Stop the run, and say so."""
        await self.tell(lambda client: client.stop(), "The run stops: it drains, then reports")

    async def tell(self, call: Callable[[ControlClient], Awaitable[Any]], done: str) -> bool:
        """Ask, and say `done` or what went wrong; returns whether it was done."""
        try:
            await self.ask(call)
        except RemoteError as error:
            notify(str(error), is_bad=True)
            return False
        notify(done)
        return True


def notify(text: str, *, is_bad: bool = False) -> None:
    """Say something on the page for a while."""
    kind, icon = ("note bad", "error") if is_bad else ("note", "check_circle")
    ui.notify(text, position="bottom", icon=icon, classes=kind, timeout=8000 if is_bad else 3000, close_button="Close")
