"""The buffer's table while nothing goes wrong: changes on an open connection. sqlite_buffer deals with failures.

A change is one transaction; what is remembered here (counts, the last number, room) changes only after it. Before the
first change the counts on disk are deleted, so that they are believed only after an orderly end.

Raises sqlite3.Error, and DamagedRow when a row is not what was written; then the table is of no use any more.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

from device_agent.messages.buffer.buffer_clock import BufferClock, ClockState, parse_state
from device_agent.messages.buffer.buffer_lanes import LANES, filled, lanes_to_drop
from device_agent.messages.buffer.buffer_rows import DamagedRow, Row, deadline_s, decode_row, encode_row, row_priority
from device_agent.messages.buffer.buffer_salvage import COUNTS
from device_agent.messages.buffer.buffer_space import CHUNK_PAGES, PAGE_BYTES, Space, needed_bytes
from device_agent.messages.buffer.buffer_statements import Statements, count_rows
from device_agent.messages.buffer.interface import Figures
from device_agent.messages.message import SET_ASIDE, SPARE, Message, Stored, key_lane, key_number, message_key

_MOST_ROWS = 500
_CLOCK = "clock"
_NUMBER = "number"
_SKIPPED = 2**24
"""Numbers left out after a crash, more than may have been given out since the last was saved: none comes twice."""
_SAVE_EVERY_S = 60.0
_TIDY_EVERY_S = 1.0
_FREE_PAGES = 1024 * 1024 // PAGE_BYTES
_VACUUM_PAGES = 128
_RESTORED = 100


class Table:
    """See the module. `last_number`: the newest that was given out, when known; rows beyond are of a failed call."""

    def __init__(
        self, connection: sqlite3.Connection, space: Space, clock: BufferClock, last_number: int | None = None
    ) -> None:
        self._connection = connection
        self._sql = Statements(connection)
        self._space = space
        self._clock = clock
        self._room_bytes = 0
        self._sync_mode = "FULL"
        self._saved = ClockState()
        self._is_marked = False
        self._tidy_at_s = 0.0
        self._is_vacuuming = False
        if last_number is not None:
            for lane in LANES:
                beyond = message_key(lane, last_number), message_key(lane + 1, 0)
                connection.execute("DELETE FROM message WHERE key > ? AND key < ?", beyond)
            self.empty_log()
        newest = {lane: key for lane in LANES if (key := self._sql.last(lane))}
        arrival_s = max((self._sql.arrival_ms(key) / 1000 for key in newest.values()), default=0.0)
        clock.resume(parse_state(self._sql.meta_get(_CLOCK) or ""), arrival_s)
        self.last_number = max([last_number or 0, *map(key_number, newest.values())])
        self.counts = dict.fromkeys(LANES, 0)
        counts = self._sql.meta_get(COUNTS)
        self._are_counts_saved = counts is not None
        if counts is not None:
            self.counts.update(zip(LANES, json.loads(counts), strict=False))  # without SPARE: an older file
            if set(filled(self.counts)) != newest.keys():
                raise DamagedRow("messages are missing")
        else:
            self.counts.update((lane, self._sql.count(lane)) for lane in newest)
        saved = self._sql.meta_get(_NUMBER)
        if last_number is None and saved is not None:
            self.last_number = max(self.last_number, int(saved) + (_SKIPPED if counts is None else 0))

    # --- changes

    def store(
        self, messages: Sequence[Message], removals: Sequence[int], drops: bool
    ) -> tuple[list[Stored], list[int], bool]:
        """Remove keys and append messages in one transaction, synced: as many of the messages as it may hold, and fit.

        `drops`: the oldest go to make room; spare ones do in any case. Returns what was stored, the keys of what was
        dropped, and whether the next message does not fit into the buffer, now or ever.
        """
        now_s = self._mark()
        self._sync("FULL")
        rows, needs = self._rows_of(messages, int(now_s * 1000))
        dropped: list[int] = []
        if rows and not removals and sum(needs) <= self._room_bytes:
            self._sql.insert(rows)  # a statement alone is a transaction
            self._room_bytes -= sum(needs)
            count_rows(rows, self.counts)
            done = len(rows)
        else:
            with self._transaction() as counts:
                self._delete(removals, counts)
                done = self._insert_what_fits(rows, needs, counts, dropped, drops)
        self.last_number += done
        stored = [
            Stored(row.key, deadline_s(row.arrival_ms, row.ttl_s), message)
            for row, message in zip(rows[:done], messages, strict=False)
        ]
        return stored, dropped, done < len(rows) or not rows

    def _rows_of(self, messages: Sequence[Message], now_ms: int) -> tuple[list[Row], list[int]]:
        """The rows of as many messages as one transaction may hold, and the bytes that each needs."""
        rows: list[Row] = []
        needs: list[int] = []
        left_bytes = self._space.appended_bytes
        for number, message in enumerate(messages[:_MOST_ROWS], self.last_number + 1):
            row = encode_row(message_key(message.priority, number), now_ms, message)
            need = needed_bytes(len(row.head) + len(row.body))
            left_bytes -= need
            if left_bytes < 0:
                break
            rows.append(row)
            needs.append(need)
        return rows, needs

    def remove(self, removals: Sequence[int]) -> None:
        """Remove keys, sorted; written on return, synced later."""
        self._mark()
        self._sync("NORMAL")
        with self._transaction() as counts:
            self._delete(removals, counts)

    def expire(self) -> list[int]:
        """See Buffer."""
        now_ms = self._clock.now_s() * 1000
        expired: list[int] = []
        for lane in filled(self.counts):
            until = self._sql.first_living(lane, now_ms) or message_key(lane + 1, 0)
            while keys := self._sql.first_keys(lane, until, self._space.removed_keys):
                self.remove(keys)
                expired += keys
        return expired

    def set_aside(self, key: int) -> None:
        """See Buffer."""
        self._mark()
        self._sync("NORMAL")
        with self._transaction() as counts:
            self._move(key, message_key(SET_ASIDE, key_number(key)), counts)

    def restore(self) -> int:
        """See Buffer."""
        before = self.counts[SET_ASIDE]
        lane = message_key(SET_ASIDE, 0), message_key(SET_ASIDE + 1, 0)
        while rows := self._sql.rows(*lane, _RESTORED, self._space.appended_bytes // 2):
            self._mark()
            self._sync("NORMAL")
            with self._transaction() as counts:
                for row in rows:
                    decode_row(row)
                    self._move(row.key, message_key(row_priority(row.head), key_number(row.key)), counts)
        return before

    def meta_set(self, name: str, value: str) -> None:
        """See Buffer."""
        self._sync("FULL")
        with self._transaction():
            self._sql.meta_put(name, value)

    def probe(self) -> None:
        """See Buffer."""
        self._sync("FULL")
        self._save(None)

    def empty_log(self) -> None:
        """Bring all that is in the log into the database."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def finish(self) -> None:
        """Save the counts for the next time; to be closed after it."""
        if not self._are_counts_saved:
            self._sync("FULL")
            self._save([self.counts[lane] for lane in LANES])

    def tidy(self) -> bool:
        """See Buffer."""
        now_s = self._clock.now_s()
        if not self._is_vacuuming and now_s < self._tidy_at_s:
            return False
        self._tidy_at_s = now_s + _TIDY_EVERY_S
        if self._is_marked and self._clock.was_wall_set(self._saved):
            self._save(None)
        pages, free = self._sql.pages()
        is_due = free > max(pages - free, _FREE_PAGES) or (free > 0 and pages > self._space.database_pages)
        if is_due:
            self._sync("NORMAL")
            self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        elif self._is_vacuuming:
            self._connection.execute("PRAGMA wal_checkpoint").fetchall()  # only this makes the file shorter
        self._is_vacuuming = is_due
        return is_due

    # --- questions

    def read(self, after: int, until: int, limit: int, limit_bytes: int) -> list[Stored]:
        """See Buffer."""
        return [decode_row(row) for row in self._sql.rows(after, until, limit, limit_bytes)]

    def origins(self, limit: int) -> list[tuple[bytes, str]]:
        """See Buffer."""
        messages = [decode_row(row).message for row in self._sql.newest_rows(filled(self.counts), limit)]
        return [(message.origin, message.message_id) for message in messages if message.origin]

    def figures(self, size_bytes: int, damaged: int) -> Figures:
        """See Buffer."""
        fronts = [self._sql.first(lane) for lane in filled(self.counts)]
        oldest_s = 0.0
        if 0 in fronts:
            raise DamagedRow("messages are missing")
        if fronts:
            arrival_ms = self._sql.arrival_ms(min(fronts, key=key_number))
            oldest_s = max(0.0, self._clock.now_s() - arrival_ms / 1000)
        aside = self.counts[SET_ASIDE]
        return Figures(sum(self.counts.values()) - aside, aside, size_bytes, oldest_s, damaged)

    def is_half_free(self, more_bytes: int) -> bool:
        """Whether half of the pages for messages are free, with so many more bytes."""
        pages, free = self._sql.pages()
        return (pages - free) * PAGE_BYTES + more_bytes <= self._space.usable_pages * PAGE_BYTES // 2

    def meta_get(self, name: str) -> str | None:
        """See Buffer."""
        return self._sql.meta_get(name)

    # --- inside

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[dict[int, int]]:
        """All or nothing; gives the counts that are true if it succeeds."""
        counts = self.counts.copy()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield counts
            self._connection.execute("COMMIT")
        except BaseException:
            self._room_bytes = 0
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.counts = counts

    def _sync(self, mode: str) -> None:
        """FULL: a commit is on disk when it returns. NORMAL: it is written."""
        if self._sync_mode != mode:
            self._connection.execute(f"PRAGMA synchronous = {mode}")
            self._sync_mode = mode

    def _mark(self) -> float:
        """Before a change: the counts on disk are no longer true; the clock is saved now and then. Gives the time."""
        now_s = self._clock.now_s()
        if not self._is_marked or now_s > self._saved.value_s + _SAVE_EVERY_S:
            self._sync("NORMAL")
            self._save(None)
        return now_s

    def _save(self, counts: list[int] | None) -> None:
        state = self._clock.state()
        with self._transaction():
            self._sql.meta_put(_CLOCK, state.text())
            self._sql.meta_put(_NUMBER, str(self.last_number))
            self._sql.meta_put(COUNTS, None if counts is None else json.dumps(counts))
        self._saved = state
        self._is_marked = counts is None
        self._are_counts_saved = counts is not None

    def _insert_what_fits(
        self, rows: Sequence[Row], needs: Sequence[int], counts: dict[int, int], dropped: list[int], drops: bool
    ) -> int:
        """How many of the rows, from the first on, are in now. `dropped` takes the keys of what had to go."""
        done = 0
        while done < len(rows):
            if self._room_bytes < sum(needs[done:]):
                pages, free = self._sql.pages()
                self._room_bytes = (self._space.usable_pages - pages + free - CHUNK_PAGES) * PAGE_BYTES
            end = done
            while end < len(rows) and needs[end] <= self._room_bytes:
                self._room_bytes -= needs[end]
                end += 1
            if end > done:
                self._sql.insert(rows[done:end])
                count_rows(rows[done:end], counts)
                done = end
            else:
                lanes = [] if key_lane(rows[done].key) == SPARE else lanes_to_drop(counts, drops)
                if not self._drop(sum(needs[done:]) - self._room_bytes, counts, dropped, lanes):
                    break
        return done

    def _drop(self, missing_bytes: int, counts: dict[int, int], dropped: list[int], lanes: Sequence[int]) -> bool:
        """Discard some of the oldest of `lanes`; whether there were any. About as many as are needed, rather fewer."""
        pages, free = self._sql.pages()
        average_bytes = max(1, (pages - free) * PAGE_BYTES // max(1, sum(counts.values())))
        most = min(self._space.removed_keys, 1 + missing_bytes // average_bytes)
        fronts = sorted((key_number(key), lane) for lane in lanes if (key := self._sql.first(lane)))
        if not fronts:
            return False
        lane = fronts[0][1]
        until = message_key(lane, fronts[1][0]) if len(fronts) > 1 else message_key(lane + 1, 0)
        keys = self._sql.first_keys(lane, until, most)
        self._delete(keys, counts)
        dropped += keys
        self._room_bytes = 0
        return True

    def _delete(self, keys: Sequence[int], counts: dict[int, int]) -> None:
        """Remove keys, sorted."""
        for lane, some in groupby(keys, key_lane):
            if lane in counts:
                counts[lane] -= self._sql.delete(list(some))

    def _move(self, key: int, target: int, counts: dict[int, int]) -> None:
        if self._sql.move(key, target):
            counts[key_lane(key)] -= 1
            counts[key_lane(target)] += 1
