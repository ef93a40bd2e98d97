"""SQL of the buffer's tables: what is asked, in as few steps of SQLite as can be.

Many rows come out as one JSON text: every statement, and every row that it gives, costs a wait for the interpreter's
lock while the event loop is busy (measured: 100 rows, one by one, 190 ms; as JSON 9 ms).

Raises sqlite3.Error, and DamagedRow when a value is not what was written.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from device_agent.messages.buffer.buffer_rows import DamagedRow, Row
from device_agent.messages.buffer.buffer_salvage import meta_checksum
from device_agent.messages.message import key_lane, key_number, message_key

_FIRST_KEYS = (
    "SELECT json_group_array(key) FROM (SELECT key FROM message WHERE key > ? AND key < ? ORDER BY key LIMIT ?)"
)
_SIZES = """
    SELECT json_group_array(json_array(key, length(body)))
    FROM (SELECT key, body FROM message WHERE key > ? AND key <= ? ORDER BY key LIMIT ?)"""
_ROWS = """
    SELECT json_group_array(json_array(key, arrival_ms, ttl_s, hex(head), hex(body)))
    FROM (SELECT * FROM message WHERE key > ? AND key <= ? ORDER BY key)"""
_LAST_ROWS = """
    SELECT json_group_array(json_array(key, arrival_ms, ttl_s, hex(head), hex(body)))
    FROM (SELECT * FROM message WHERE key > ? AND key < ? ORDER BY key DESC LIMIT ?)"""

_FIRST = "SELECT key FROM message WHERE key > ? AND key < ? ORDER BY key LIMIT 1"
_LAST = "SELECT key FROM message WHERE key > ? AND key < ? ORDER BY key DESC LIMIT 1"
_FIRST_LIVING = """
    SELECT key FROM message WHERE key > ? AND key < ? AND (ttl_s = 0 OR arrival_ms + ttl_s * 1000 > ?)
    ORDER BY key LIMIT 1"""
_COUNT = "SELECT count(*) FROM message WHERE key > ? AND key < ?"
_DELETE_RANGE = "DELETE FROM message WHERE key BETWEEN ? AND ?"
_DELETE_LIST = "DELETE FROM message WHERE key IN (SELECT value FROM json_each(?))"


class Statements:
    """On an open connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, after: int, until: int, limit: int, limit_bytes: int) -> list[Row]:
        """Rows with `after` < key <= `until`: at most `limit`, and about `limit_bytes` of bodies, at least one."""
        sizes = self._list(_SIZES, after, until, limit)
        if not sizes:
            return []
        last = sizes[0][0]
        for key, size in sizes:
            if limit_bytes <= 0:
                break
            last = key
            limit_bytes -= size or 0
        return [_parse_row(row) for row in self._list(_ROWS, after, last)]

    def newest_rows(self, lanes: Sequence[int], limit: int) -> list[Row]:
        """The rows that came last, over several lanes."""
        found: list[Row] = []
        for lane in lanes:
            found += map(_parse_row, self._list(_LAST_ROWS, message_key(lane, 0), message_key(lane + 1, 0), limit))
        return sorted(found, key=lambda row: key_number(row.key), reverse=True)[:limit]

    def first_keys(self, lane: int, until: int, limit: int) -> list[int]:
        """The first keys of a lane that are below `until`, sorted."""
        return sorted(self._list(_FIRST_KEYS, message_key(lane, 0), until, limit))

    def first_living(self, lane: int, now_ms: float) -> int:
        """The first key of a lane whose deadline has not passed; 0 when there is none."""
        return self.one(_FIRST_LIVING, message_key(lane, 0), message_key(lane + 1, 0), now_ms)

    def first(self, lane: int) -> int:
        """The first key of a lane; 0 when it is empty."""
        return self.one(_FIRST, message_key(lane, 0), message_key(lane + 1, 0))

    def last(self, lane: int) -> int:
        """The last key of a lane; 0 when it is empty."""
        return self.one(_LAST, message_key(lane, 0), message_key(lane + 1, 0))

    def count(self, lane: int) -> int:
        """Messages in a lane: reads all of it."""
        return self.one(_COUNT, message_key(lane, 0), message_key(lane + 1, 0))

    def arrival_ms(self, key: int) -> int:
        """When a message arrived."""
        return self.one("SELECT arrival_ms FROM message WHERE key = ?", key)

    def pages(self) -> tuple[int, int]:
        """Pages of the file, and how many of them are free."""
        return self.one("PRAGMA page_count"), self.one("PRAGMA freelist_count")

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert all rows, in one step."""
        places = ",".join(["(?,?,?,?,?)"] * len(rows))
        values = [value for row in rows for value in row]
        self._connection.execute(f"INSERT INTO message VALUES {places}", values)  # noqa: S608

    def delete(self, keys: Sequence[int]) -> int:
        """Delete these keys, sorted, in one step; how many there were."""
        if keys[-1] - keys[0] == len(keys) - 1:
            return self._connection.execute(_DELETE_RANGE, (keys[0], keys[-1])).rowcount
        return self._connection.execute(_DELETE_LIST, (json.dumps(keys),)).rowcount

    def move(self, key: int, target: int) -> int:
        """Give a row another key; how many rows (0 or 1)."""
        return self._connection.execute("UPDATE message SET key = ? WHERE key = ?", (target, key)).rowcount

    def meta_get(self, name: str) -> str | None:
        """A text of the table `meta`."""
        found = self._connection.execute("SELECT value, checksum FROM meta WHERE name = ?", (name,)).fetchone()
        if found is None:
            return None
        value, checksum = found
        if not isinstance(value, str) or checksum != meta_checksum(name, value):
            raise DamagedRow(f"the checksum of {name} is wrong")
        return value

    def meta_put(self, name: str, value: str | None) -> None:
        """Set or delete (None) a text."""
        self._connection.execute("DELETE FROM meta WHERE name = ?", (name,))
        if value is not None:
            row = name, value, meta_checksum(name, value)
            self._connection.execute("INSERT INTO meta (name, value, checksum) VALUES (?, ?, ?)", row)

    def one(self, question: str, *values: float) -> int:
        """The one number of an answer; 0 when there is none."""
        found = self._connection.execute(question, values).fetchone()
        number = found[0] if found is not None else 0
        if not isinstance(number, int):
            raise DamagedRow(f"{number!r} is no number")
        return number

    def _list(self, question: str, *values: float) -> list[Any]:
        """The list that an answer holds as JSON."""
        (text,) = self._connection.execute(question, values).fetchone()
        try:
            found: list[Any] = json.loads(text)
        except ValueError as error:
            raise DamagedRow(f"a list that cannot be read: {error}") from error
        return found


def _parse_row(values: list[Any]) -> Row:
    key, arrival_ms, ttl_s, head, body = values
    return Row(key, arrival_ms, ttl_s, bytes.fromhex(head), bytes.fromhex(body))  # hex() gives a text of anything


def count_rows(rows: Iterable[Row], counts: dict[int, int]) -> None:
    """Count rows by lane."""
    for row in rows:
        counts[key_lane(row.key)] += 1
