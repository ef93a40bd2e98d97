"""The buffer on SQLite: one table by key, a write-ahead log, one connection, one process.

    append    one INSERT of many rows, synchronous = FULL: on disk on return
    remove    one DELETE; alone with synchronous = NORMAL: written, and synced by the next append or checkpoint
    full      pages are counted before, and SQLite's own limit lies above: max_bytes holds at every moment
    disk      while it is full, what is there can be read. Any other error closes the connection, and the next call
              opens the file anew: nothing is trusted after a failed sync, and what the call may have left is removed
    damage    the file is kept aside, and what is whole goes on in a new one

Here is what to do when something goes wrong; buffer_table is what happens otherwise. Decision 8 says why it is so.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from device_agent.errors import SettingsError
from device_agent.messages.buffer import buffer_file
from device_agent.messages.buffer.buffer_clock import BufferClock
from device_agent.messages.buffer.buffer_rows import DamagedRow
from device_agent.messages.buffer.buffer_salvage import Remains, carry_over, loss_text
from device_agent.messages.buffer.buffer_space import PAGE_BYTES, allowed_bytes, message_bytes, needed_bytes, plan_space
from device_agent.messages.buffer.buffer_table import Table
from device_agent.messages.buffer.interface import Applied, BufferFailure, Figures
from device_agent.messages.message import SET_ASIDE, Message, Stored

_LOG = logging.getLogger("edgepack.agent")
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # a table is not there
    sqlite3.SQLITE_CONSTRAINT,  # a key that should be free is taken
    sqlite3.SQLITE_MISMATCH,
}
_NO_LIMIT = 2**31
_Answer = TypeVar("_Answer")
_Given = ParamSpec("_Given")


class SqliteBuffer:
    """Opens or makes the file at `path`, whose folder must exist.

    Raises SettingsError when that cannot be: another process uses it, it is not ours, the folder cannot be written.
    """

    def __init__(
        self, path: str | Path, max_bytes: int, policy: str = "refuse", clock: BufferClock | None = None
    ) -> None:
        self._path = _resolved(path)
        self._asked_bytes = max_bytes
        self._is_capped = False
        self._space = plan_space(max_bytes)
        self._drops = policy == "drop_oldest"
        self._clock = clock or BufferClock()
        self._connection: sqlite3.Connection | None = None
        self._table: Table | None = None
        self._last_number: int | None = None
        self._counts: dict[int, int] | None = None
        self._figures = Figures(0, 0, 0, 0.0)
        self._damaged = 0
        self._unchecked_bytes = 0
        self._lock: int | None = buffer_file.lock_file(self._path)
        try:
            self._guard(lambda _: None)  # opens it
        except BufferFailure as failure:
            self.close()
            raise SettingsError(str(failure)) from failure
        except BaseException:
            self.close()
            raise

    @property
    def largest_bytes(self) -> int:
        """See Buffer."""
        return self._space.largest_bytes

    def is_half_free(self, messages: Sequence[Message]) -> bool:
        """See Buffer."""
        return self._guard(Table.is_half_free, sum(needed_bytes(message_bytes(message)) for message in messages))

    def now_s(self) -> float:
        """See Buffer."""
        return self._clock.now_s()

    def apply(self, appends: Sequence[Message], removals: Collection[int] = ()) -> Applied:
        """See Buffer."""
        stored: list[Stored] = []
        dropped: list[int] = []
        keys = sorted(removals)
        most = self._space.removed_keys
        self._unchecked_bytes += sum([len(message.body) for message in appends])
        self._unchecked_bytes += 4 * PAGE_BYTES * (len(appends) + len(keys))
        if self._unchecked_bytes > self._space.transaction_pages * PAGE_BYTES:
            self._check_log()
        while len(keys) > most or (keys and not appends):
            some, keys = keys[:most], keys[most:]
            self._guard(Table.remove, some)
        while len(stored) < len(appends):
            try:
                done, gone, is_full = self._guard(Table.store, appends[len(stored) :], keys, self._drops)
            except BufferFailure:
                if not stored:
                    raise
                break
            keys = []
            stored += done
            dropped += gone
            if is_full:
                break
        return Applied(stored, dropped)

    def read(self, after: int, until: int, limit: int, limit_bytes: int) -> list[Stored]:
        """See Buffer."""
        return self._guard(Table.read, after, until, limit, limit_bytes)

    def expire(self) -> list[int]:
        """See Buffer."""
        return self._guard(Table.expire)

    def set_aside(self, key: int) -> list[int]:
        """See Buffer."""
        self._guard(Table.set_aside, key)
        return [key]

    def restore(self) -> int:
        """See Buffer."""
        return self._guard(Table.restore)

    def origins(self, limit: int) -> list[tuple[bytes, str]]:
        """See Buffer."""
        return self._guard(Table.origins, limit)

    def figures(self) -> Figures:
        """See Buffer."""
        self._figures = self._guard(Table.figures, buffer_file.size_bytes(self._path), self._damaged)
        return self._figures

    def known_figures(self) -> Figures:
        """See Buffer."""
        counts = self._known_counts() or {}
        aside = counts.get(SET_ASIDE, 0)
        return self._figures._replace(messages=sum(counts.values()) - aside, set_aside=aside, damaged=self._damaged)

    def change_policy(self, policy: str) -> None:
        """See Buffer."""
        self._drops = policy == "drop_oldest"

    def meta_get(self, name: str) -> str | None:
        """See Buffer."""
        return self._guard(Table.meta_get, name)

    def meta_set(self, name: str, value: str) -> None:
        """See Buffer."""
        self._guard(Table.meta_set, name, value)

    def tidy(self) -> bool:
        """See Buffer."""
        return self._guard(Table.tidy)

    def probe(self) -> None:
        """See Buffer."""
        self._guard(Table.probe)

    def close(self) -> None:
        """See Buffer."""
        if self._table is not None:
            try:
                self._guard(Table.finish)
            except BufferFailure as failure:
                _LOG.warning("%s", failure)
        self._let_go()
        if self._lock is not None:
            buffer_file.unlock_file(self._lock)
            self._lock = None

    # --- inside

    def _check_log(self) -> None:
        """SQLite does not say when a checkpoint has failed: then the log grows, and this says it."""
        if buffer_file.log_bytes(self._path) > self._space.log_bytes:
            self._guard(Table.empty_log)
        self._unchecked_bytes = 0

    def _guard(
        self, work: Callable[Concatenate[Table, _Given], _Answer], *given: _Given.args, **named: _Given.kwargs
    ) -> _Answer:
        """Do it; a second time when the file was damaged and is not any more. Raises BufferFailure."""
        is_repaired = False
        while True:
            try:
                if self._table is None:
                    self._table = self._open()
                answer = work(self._table, *given, **named)
                self._last_number = self._table.last_number
                return answer
            except (sqlite3.DatabaseError, OSError, DamagedRow, buffer_file.Unusable) as error:
                if isinstance(error, sqlite3.ProgrammingError):
                    raise
                if is_repaired or not _is_damage(error):
                    if self._table is None or _code(error) != sqlite3.SQLITE_FULL:
                        self._let_go()
                    raise BufferFailure(self._sentence(error)) from error
                damage = error
            is_repaired = True
            try:
                self._repair(damage)
            except (sqlite3.DatabaseError, OSError) as error:
                raise BufferFailure(self._sentence(error)) from error

    def _open(self) -> Table:
        try:
            buffer_file.check_path(self._path)
            self._plan()
            buffer_file.finish_replacing(self._path)
            if buffer_file.needs_making(self._path):
                buffer_file.put_in_place(self._path, buffer_file.make_file(self._path, self._space))
            self._connection = buffer_file.open_file(self._path, self._space)
        except SettingsError as error:
            if self._last_number is None:
                raise
            raise BufferFailure(str(error)) from error
        return Table(self._connection, self._space, self._clock, self._last_number)

    def _plan(self) -> None:
        """Share out what was asked for, or what the volume has if that is less."""
        volume_bytes = buffer_file.volume_bytes(self._path)
        max_bytes = allowed_bytes(self._asked_bytes, volume_bytes)
        is_capped = max_bytes < self._asked_bytes
        if is_capped and not self._is_capped:
            _LOG.warning(
                "EDGEPACK_BUFFER_MAX_BYTES is %d, but the volume of %s has %d bytes for the buffer, which takes at "
                "most %d of them: free some space, mount a larger volume, or set EDGEPACK_BUFFER_MAX_BYTES lower",
                self._asked_bytes,
                self._path,
                volume_bytes,
                max_bytes,
            )
        self._is_capped = is_capped
        self._space = plan_space(max_bytes)

    def _known_counts(self) -> dict[int, int] | None:
        """By lane, also while the disk fails; None before it was opened."""
        return self._counts if self._table is None else self._table.counts

    def _let_go(self) -> None:
        """Close the connection, whatever state it is in."""
        self._counts = self._known_counts()
        self._table = None
        if self._connection is not None:
            buffer_file.close_quietly(self._connection)
            self._connection = None

    def _repair(self, damage: Exception) -> None:
        """Carry what is whole over into a new file, and keep the old one aside."""
        self._let_go()
        remains = Remains(self._path)
        try:
            before = remains.promised() if self._counts is None else sum(self._counts.values())
            connection = buffer_file.make_file(self._path, self._space._replace(database_pages=_NO_LIMIT))
            try:
                counts = carry_over(remains, connection, self._last_number)
                aside = buffer_file.put_in_place(self._path, connection)
            finally:
                buffer_file.close_quietly(connection)
        finally:
            remains.close()
        self._counts = counts
        saved = sum(counts.values())
        lost = remains.damaged if before is None else max(0, before - saved)
        self._damaged += lost
        _LOG.error(
            "The buffer %s was damaged (%s): %d messages were recovered, %s; the damaged file is %s",
            self._path,
            damage,
            saved,
            loss_text(lost, is_exact=before is not None),
            aside,
        )

    def _sentence(self, error: Exception) -> str:
        advice = "free some space" if _code(error) == sqlite3.SQLITE_FULL else "see whether the disk works"
        return f"The buffer {self._path} cannot be used ({error}): {advice}"


def _resolved(path: str | Path) -> Path:
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise SettingsError(f"EDGEPACK_BUFFER_PATH is {path}, which leads nowhere ({error}): name a file") from error


def _code(error: Exception) -> int | None:
    """SQLite's primary result code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_damage(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return _code(error) is None or _code(error) in _DAMAGE  # without a code: a text that is no UTF-8
    return isinstance(error, DamagedRow | buffer_file.Unusable)
