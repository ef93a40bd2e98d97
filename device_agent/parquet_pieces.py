"""The program that turns finished pieces of captured records into Parquet; `piece_conversion` starts it.

    python -c START INSTANCE FOLDER     environment: that of the agent

A process of its own, of low priority, since pyarrow takes more memory than the agent has. JSON lines stay what is
appended to: a crash costs at most the line that was being written, and here nothing at all (`collected_replacing`).
Only one such process works on a folder at a time; another one finds nothing to do. It prints one line of JSON, a
`Report`. Columns are those of `captured_rows`, compressed with zstd.
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from device_agent.captured_rows import CapturedRow, rows_of_piece
from device_agent.collected_data import data_folder
from device_agent.collected_place import REQUESTS, Place, device_place
from device_agent.collected_replacing import replace, tidy
from device_agent.collected_room import Bounds

_DEEPEST = 10_000
_LOWEST_PRIORITY = 19


class Report(NamedTuple):
    """`turned` pieces with `records`; `skipped` lines that are no records. `left` are pieces that hold none, or a
    line besides the last that cannot be read: they stay.
    `problems` may be gone next time.
    """

    turned: int = 0
    records: int = 0
    skipped: int = 0
    left: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def finished_pieces(root: Path, place: Place, instance: str, now_s: float) -> list[Path]:
    """Pieces below the folder of `place` that are not appended to any more, by age: all but the newest of `instance`,
    as long as its hour lasts.

    Not more than a likely answer: a piece that is appended to all the same is not turned (`collected_replacing`).
    """
    folder = root.joinpath(*place.folder)
    pieces: list[tuple[int, int, Path]] = []
    for piece in folder.rglob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            pieces.append((piece.stat().st_mtime_ns, len(str(piece)), piece))
    ordered = [piece for _, _, piece in sorted(pieces)]
    hour = folder / time.strftime("%Y/%m/%d/%H", time.gmtime(now_s))
    own = [piece for piece in ordered if piece.parent == hour and piece.name.startswith(instance)]
    return [piece for piece in ordered if piece not in own[-1:]]


def parquet(rows: list[CapturedRow]) -> bytes:
    """The rows as a Parquet file."""
    import pyarrow
    from pyarrow import parquet as files

    types = {
        "time": pyarrow.timestamp("ms", tz="UTC"),
        "status": pyarrow.int32(),
        "ms": pyarrow.float64(),
        "request_bytes": pyarrow.int64(),
        "response_bytes": pyarrow.int64(),
    }
    names = CapturedRow._fields
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in names])
    table = pyarrow.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), schema=schema)
    sink = pyarrow.BufferOutputStream()
    files.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def turn_pieces(bounds: Bounds, pieces: list[Path]) -> Report:
    """Turn these, one after the other."""
    turned = records = skipped = 0
    left: list[str] = []
    problems: list[str] = []
    for piece in pieces:
        try:
            was = piece.stat()
            whole, _, last = piece.read_bytes().rpartition(b"\n")
            rows, unread = rows_of_piece(whole)
            end, torn = rows_of_piece(last)
            rows += end
            if not rows or unread:
                left.append(str(piece))
                continue
            replace(bounds, piece, was, parquet(rows))
        except FileNotFoundError:
            continue  # it was the oldest, and had to go
        except Exception as error:  # noqa: BLE001 - one that pyarrow does not take must not hold up all others
            problems.append(f"{piece}: {error}")
            continue
        turned += 1
        records += len(rows)
        skipped += torn
    return Report(turned, records, skipped, tuple(left), tuple(problems))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether this process is the only one that turns pieces below `folder`; it stays so meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
            return
        yield False
    finally:
        os.close(descriptor)


def turn_finished(bounds: Bounds, place: Place, instance: str, now_s: float) -> Report:
    """Turn all that is finished, and clear up what an earlier run has left. `instance` is that of who still writes."""
    folder = bounds.root.joinpath(*place.folder)
    try:
        with alone(folder) as is_alone:
            if not is_alone:
                return Report()
            tidy(bounds, folder)
            return turn_pieces(bounds, finished_pieces(bounds.root, place, instance, now_s))
    except OSError as error:
        return Report(problems=(f"{folder}: {error}",))


def main() -> None:
    """See the module."""
    os.nice(_LOWEST_PRIORITY)
    sys.setrecursionlimit(_DEEPEST)  # records may be a little deeper here than they could be made there
    (instance,) = sys.argv[1:]
    report = turn_finished(data_folder(os.environ).bounds, device_place(os.environ, REQUESTS), instance, time.time())
    print(json.dumps(report._asdict()))
