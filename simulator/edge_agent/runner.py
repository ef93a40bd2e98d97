"""The one interface between edgeAgent and what runs modules: processes of this machine, or containers.

A runner runs a module once; whether and when it runs again is edgeAgent's affair. What a module wrote to its volumes is
there again in its next run, and after an update.
"""

from collections.abc import Mapping
from typing import Protocol

from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.module_log import ModuleLog


class Running(Protocol):
    """A module's run. `pid` is its process on this machine, `url` its HTTP front as seen from here ("": none).

    `image_id` is the digest of what runs ("": not known). Used on the event loop that started it.
    """

    @property
    def pid(self) -> int:
        """The process."""
        ...

    @property
    def url(self) -> str:
        """Where its HTTP answers, or will."""
        ...

    @property
    def image_id(self) -> str:
        """What runs."""
        ...

    async def wait(self) -> int:
        """Wait for the end and return the exit code, 128 + N when signal N ended it; all its output is logged then."""
        ...

    def terminate(self) -> None:
        """Ask it to end (SIGTERM). Nothing happens when it has ended."""
        ...

    def kill(self) -> None:
        """End it and all that it started, at once (SIGKILL). Nothing happens when it has ended."""
        ...


class Runner(Protocol):
    """Runs modules of one edge device."""

    async def start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> Running:
        """Run a module with the deployment's variables and then `environment` laid over those of its image.

        Raises:
            InputError: it can never run so (such as an image that nobody has); says what to do.
            EdgepackError: it cannot run now.
            OSError: likewise.
        """
        ...

    async def remove(self, name: str) -> None:
        """Forget a module that has ended; its volumes stay."""
        ...

    async def close(self) -> None:
        """Give up what belongs to the runner. No module runs any more."""
        ...
