"""The one interface to what runs services: a process of this machine, or a container of an engine. Values only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgepack.services.record import AccessKeys

if TYPE_CHECKING:
    from edgepack.script_folder import Script


@dataclass(frozen=True, slots=True)
class Life:
    """A life of a service that is to begin.

    `place` is the service's folder, and `id` the name of this life, unique within it. `layout` is the image. `script`
    is a fresh copy of the entry script (and its folder) that replaces the image's, None: the image's own. `variables`
    replace those of the image (None: is not set). `port` None: any. `is_trial`: it only shows whether the script
    starts, and keeps its own state.
    """

    name: str
    place: Path
    id: str
    layout: Path
    host: str
    port: int | None
    keys: AccessKeys | None = None
    script: "Script | None" = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    is_trial: bool = False

    @property
    def folder(self) -> Path:
        """What belongs to this life alone."""
        return self.place / "instances" / self.id


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of a life now. `end` says how it ended, for people; "" while it runs."""

    is_alive: bool
    port: int | None = None
    process_id: int | None = None
    container: str | None = None
    end: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """The log so far, and whether the life goes on (so that more may come)."""

    text: str
    goes_on: bool = field(default=False)


class Runner(Protocol):
    """What `process_runner` and `container_runner` do. Everything is by the service's folder and the life's id."""

    def check(self) -> None:
        """Raises RemoteError where it could run nothing now."""

    def start(self, life: Life) -> None:
        """Begin a life; on return it exists. Raises InputError or RemoteError, and then nothing is left of it."""

    def look(self, place: Path, life: str) -> Sight:
        """How it is. Never raises for a life that is not there."""

    def stop(self, place: Path, life: str) -> None:
        """Have it end by itself (SIGTERM), within its time; then make it."""

    def log(self, place: Path, life: str, lines: int) -> str:
        """The last lines that it has printed."""

    def follow(self, place: Path, life: str, lines: int) -> Iterator[str]:
        """The last lines, then each new one, until the life has ended."""

    def put_keys(self, place: Path, life: str, keys: AccessKeys) -> None:
        """Give other keys to a life that runs with keys."""

    def script(self, place: Path, life: str, into: Path) -> "Script | None":
        """The script of a life that runs, its files copied below `into` if need be; None when it has none."""

    def sweep(self, place: Path, keep: str | None) -> None:
        """End and remove all lives of a service but one, also those that nothing has written down."""

    def forget(self, place: Path, *, image: bool, volume: bool) -> None:
        """Remove what is there for the service itself: its volume, its image's name."""
