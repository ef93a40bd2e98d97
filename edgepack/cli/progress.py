"""Progress bars of transfers: on a terminal only, on stderr, gone when the transfer ends."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from edgepack.cli.session import Session
from edgepack.oci.descriptor import Descriptor
from edgepack.oci.transfer import UNWATCHED, Watch

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOWN_BYTES = 256 * 1024  # smaller blobs are over before anybody could read their line


@contextmanager
def transfer_bars(session: Session, title: str) -> Iterator[tuple[Watch, Callable[[str], None]]]:
    """Yield what watches a transfer, and what says something without tearing the bars apart."""
    if not session.shows_progress:
        yield UNWATCHED, session.say
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    from rich.table import Column

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        BarColumn(bar_width=20),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
    )
    with Progress(
        *columns, console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        yield (
            _Bars(progress, title),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )


class _Bars:
    """A bar for all, and one for each large blob that is under way."""

    def __init__(self, progress: "Progress", title: str) -> None:
        self._progress = progress
        self._title = title
        self._lock = Lock()
        self._tasks: dict[str, TaskID] = {}
        self._moved: dict[str, int] = {}
        self._whole = progress.add_task(title, total=None)
        self._count = self._ended = 0

    def planned(self, blobs: Sequence[Descriptor]) -> None:
        """Show how much there is."""
        with self._lock:
            self._count = len(blobs)
            self._progress.update(self._whole, total=sum(blob.size for blob in blobs))
            self._show()

    def moved(self, blob: Descriptor, moved_bytes: int) -> None:
        """Move the blob's bar."""
        with self._lock:
            self._moved[blob.digest] = moved_bytes
            if blob.digest not in self._tasks and blob.size >= _SHOWN_BYTES:
                self._tasks[blob.digest] = self._progress.add_task(f"  {blob.digest[7:19]}", total=blob.size)
            if blob.digest in self._tasks:
                self._progress.update(self._tasks[blob.digest], completed=moved_bytes)
            self._show()

    def ended(self, blob: Descriptor, how: str) -> None:
        """Take the blob's bar away."""
        with self._lock:
            self._moved[blob.digest] = blob.size
            self._ended += 1
            if blob.digest in self._tasks:
                self._progress.remove_task(self._tasks.pop(blob.digest))
            self._show()

    def _show(self) -> None:
        self._progress.update(
            self._whole,
            completed=sum(self._moved.values()),
            description=f"{self._ended} of {self._count}: {self._title}",
        )
