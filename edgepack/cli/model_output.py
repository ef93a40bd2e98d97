"""How `edgepack model` looks on a terminal; for pipes see `edgepack.models.display`."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from edgepack.cli.session import Session
from edgepack.models.display import COLUMNS, RIGHT_ALIGNED, plain_table, table_rows
from edgepack.models.record import ModelRecord


def records_table(records: Sequence[ModelRecord]) -> str:
    """The records as a table that fits the terminal; plain aligned text where stdout is none."""
    if not sys.stdout.isatty():
        return plain_table(records)
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for heading in COLUMNS:
        table.add_column(heading, justify="right" if heading in RIGHT_ALIGNED else "left")
    for row in table_rows(records):
        table.add_row(*(Text(cell) for cell in row))
    written = io.StringIO()
    Console(file=written, force_terminal=True, width=shutil.get_terminal_size().columns).print(table)
    return written.getvalue().rstrip("\n")


@contextmanager
def copying(session: Session) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told the bytes copied, and show them on a terminal meanwhile."""
    if not session.shows_progress:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("copying"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.advance(task, count)
