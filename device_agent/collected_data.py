"""What scripts collect, appended to files below one folder that is bounded in bytes.

Used by the stand-ins for `azureml.monitoring` and `azureml.ai.monitoring`, and loaded only with them. Layouts, in
UTC (`/HH` in the first: only with an hourly boundary):

    modeldata/SUBSCRIPTION/GROUP/WORKSPACE/SERVICE/MODEL/VERSION/DESIGNATION/yyyy/mm/dd[/HH]/NAME.csv
    modelDataCollector/ENDPOINT/DEPLOYMENT/COLLECTION/yyyy/mm/dd/HH/INSTANCE.jsonl (later .parquet: parquet_pieces)

Rules:
- A file belongs to the process that made it: nobody else appends to it. So a line torn by a crash is the last
  of its file. A file that is full, or whose header no longer fits, or beside which its Parquet stands, is followed by
  NAME-2, NAME-3 and so on.
- Threads, workers and forks take turns by a file lock, held for one append (`collected_turn`). The bytes in use are
  counted anew when a process writes first and when the folder seems full (`collected_room`).
- When the folder is full, the files that were changed longest ago are removed first; with EDGEPACK_DATA_MAX_AGE_DAYS
  also those that have not been changed for so long, looked for every ten minutes of writing. Only files of these
  layouts are counted or removed; a file counts in blocks of 4 KiB, folders do not count.
- A write is a plain append without fsync: what was written survives the process, not a loss of power.
- `append` never raises, and waits half a second at most for its turn. When it fails, one warning is logged,
  what arrives is counted and dropped, and the next try comes after a growing delay.
"""

import contextlib
import functools
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from device_agent.backoff import delay_s
from device_agent.collected_place import Place
from device_agent.collected_room import Bounds, make_room
from device_agent.collected_turn import on_disk, read_count, turn, write_count

DEFAULT_DATA_PATH = "/var/lib/edgepack/data"
DEFAULT_MAX_BYTES = 64 * 1024 * 1024
LEAST_MAX_BYTES = 64 * 1024
_PIECE_BYTES = 1024 * 1024
_MOST_APPEND_BYTES = 4 * 1024 * 1024
_MOST_PIECES = 64
_MOST_WARNINGS = 100
_DAY_S = 86_400
_AGE_CHECK_S = 600.0
_LOG = logging.getLogger("azmlinfsrv")
_warned: set[str] = set()


def warn_once(text: str) -> None:
    """Log `text` as a warning, once a process. After 100 different ones the rest are dropped."""
    if text not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(text)
        _LOG.warning("%s", text)


def data_folder(environment: Mapping[str, str]) -> "DataFolder":
    """The folder that `environment` names, one object a process. A bound that is no number, which no agent
    starts with (`settings`), is the default: a script that runs without an agent does not fail because of it.
    """
    path = environment.get("EDGEPACK_DATA_PATH", "").strip() or DEFAULT_DATA_PATH
    max_bytes = _number(environment, "EDGEPACK_DATA_MAX_BYTES", "bytes", DEFAULT_MAX_BYTES)
    max_age_days = _number(environment, "EDGEPACK_DATA_MAX_AGE_DAYS", "days", 0)
    return _opened(str(Path(path).absolute()), max_bytes, max_age_days)


def _number(environment: Mapping[str, str], name: str, unit: str, default: int) -> int:
    text = environment.get(name, "").strip()
    if text and not re.fullmatch(r"[0-9]{1,18}", text):
        warn_once(f"{name} is no number of {unit}: {text[:80]!r}; {default} it is")
        return default
    return int(text or default)


@functools.cache
def _opened(path: str, max_bytes: int, max_age_days: int) -> "DataFolder":
    return DataFolder(Path(path), max_bytes, max_age_days)


class DataFolder:
    """The files below `root`, together at most `max_bytes` (at least 64 KiB) at any moment; unless `max_age_days` is 0,
    those that have not been written to for so many days are removed.

    `clock` gives seconds since the epoch, for the dates in paths; `monotonic` those for the delay after a
    failure. `lost` counts the appends that were dropped. Thread-safe, and safe to use on both sides of a fork.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_age_days: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_bytes = max(max_bytes, LEAST_MAX_BYTES)
        self.piece_bytes = min(_PIECE_BYTES, self.max_bytes // 8)
        self.most_append_bytes = min(_MOST_APPEND_BYTES, self.max_bytes // 4)
        self.lost = 0
        self.bounds = Bounds(root, self.max_bytes, self.piece_bytes, max_age_days * _DAY_S)
        self._root = root
        self._clock = clock
        self._monotonic = monotonic
        self._failures = 0
        self._retry_at = 0.0
        self._aged_at = 0.0
        self._pid = 0
        self._pieces: dict[tuple[str, str, bytes], str] = {}

    @property
    def now_s(self) -> float:
        """Seconds since the epoch, by the folder's clock."""
        return self._clock()

    def append(self, place: Place, rows: bytes, header: bytes = b"") -> bool:
        """Append `rows`, whole lines, to the current file of `place`; each new file begins with `header`.

        Says whether that was done. At most `most_append_bytes` at once. Never raises for a fault of the disk.
        """
        if len(header) + len(rows) > self.most_append_bytes:
            self.drop_too_large()
            return False
        if self._failures and self._monotonic() < self._retry_at:
            self.lost += 1
            return False
        try:
            with turn(self._root) as count:
                self._write(count, place, header, rows)
        except OSError as error:
            self._failed(error)
            return False
        if self._failures:
            _LOG.info("Collected data is written again; %d calls were lost so far", self.lost)
            self._failures = 0
        return True

    def drop_too_large(self) -> None:
        """Count a call whose data is more than `most_append_bytes`."""
        self.lost += 1
        warn_once(f"Data of more than {self.most_append_bytes} bytes in one call is not collected")

    def _failed(self, error: OSError) -> None:
        self.lost += 1
        self._failures += 1
        delay = delay_s(self._failures, first_s=1.0, limit_s=300.0)
        self._retry_at = self._monotonic() + delay
        if self._failures == 1:
            _LOG.warning("Collected data cannot be written to %s and is dropped for now: %s", self._root, error)

    def _write(self, count: int, place: Place, header: bytes, rows: bytes) -> None:
        in_use = read_count(count)
        if self._pid != os.getpid():  # first, or first after a fork: the files of before are another's
            self._pid, self._pieces, in_use = os.getpid(), {}, None
        if self.bounds.max_age_s and self._monotonic() >= self._aged_at:
            self._aged_at = self._monotonic() + _AGE_CHECK_S
            in_use = None
        most = on_disk(len(header) + len(rows))
        if in_use is None or in_use + most > self.max_bytes:
            in_use = self._make_room(most)
        key, piece = self._open(place, header, len(rows))
        size = -1
        try:
            size = os.fstat(piece).st_size
            text = rows if size else header + rows
            in_use += on_disk(size + len(text)) - on_disk(size)
            write_count(count, in_use)  # first: after a crash it is too large, never too small
            while text:
                text = text[os.write(piece, text) :]
        except BaseException:  # also a timeout that the script has raised here: no half line stays
            path = self._pieces.pop(key)
            with contextlib.suppress(OSError):
                if size > 0:
                    os.ftruncate(piece, size)
                elif size == 0:
                    Path(path).unlink()
            raise
        finally:
            os.close(piece)

    def _open(self, place: Place, header: bytes, length: int) -> tuple[tuple[str, str, bytes], int]:
        """The descriptor of the file for the next `length` bytes, and its key among the pieces."""
        day = time.strftime("%Y/%m/%d/%H" if place.hourly else "%Y/%m/%d", time.gmtime(self._clock()))
        folder = self._root.joinpath(*place.folder, day)
        key = (str(folder), place.name + place.suffix, header)
        flags = os.O_WRONLY | os.O_APPEND
        if key in self._pieces and not os.path.exists(parquet_of(self._pieces[key])):  # noqa: PTH110 - for each append
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                piece = os.open(self._pieces[key], flags)
                if os.fstat(piece).st_size + length <= self.piece_bytes:
                    return key, piece
                os.close(piece)
        folder.mkdir(parents=True, exist_ok=True)
        path = str(folder / (_next_name([path.name for path in folder.iterdir()], place) + place.suffix))
        piece = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        self._pieces.pop(key, None)
        if len(self._pieces) >= _MOST_PIECES:
            self._pieces.pop(next(iter(self._pieces)))
        self._pieces[key] = path
        return key, piece

    def _make_room(self, length: int) -> int:
        """Remove the oldest files until `length` bytes and some more fit; return the bytes in use."""
        in_use, had_to = make_room(self.bounds, length, self._clock())
        if had_to:
            warn_once(f"{self._root} is full: the oldest collected data is removed")
        return in_use


def parquet_of(piece: str) -> str:
    """The file that takes a piece's place (`parquet_pieces`). Where it stands, the piece is not written to any more."""
    return f"{piece.removesuffix('.jsonl')}.parquet"


def _next_name(taken: list[str], place: Place) -> str:
    """The name itself, or with the number after the largest that is there."""
    form = re.compile(rf"{re.escape(place.name)}(?:-(\d{{1,9}}))?({re.escape(place.suffix)}|\.parquet)")
    numbers = [int(match[1] or 1) for match in map(form.fullmatch, taken) if match]
    return f"{place.name}-{max(numbers) + 1}" if numbers else place.name
