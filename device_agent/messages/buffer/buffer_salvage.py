"""What can be read of a damaged buffer, page by page, without SQLite and without trusting its tree.

Every page of the file that looks like a leaf of a table is searched for rows, with the pages of the write-ahead log
that were committed in the place of older ones. A message counts when its checksum is right; so what a damaged page
costs are the rows on it, and those of which a part lay on it. Pages that are free, by the list of free pages or by
the map of pages, still hold rows that were removed, and are passed over.

Source: SQLite's file format: "B-tree Pages", "Record Format", "Cell Payload Overflow Pages", "Pointer Map or Ptrmap
Pages", "WAL File Format". Limits: UTF-8 and little to no care for speed, about 100,000 rows a second.
"""

import json
import os
import sqlite3
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from device_agent.messages.buffer.buffer_rows import DamagedRow, Row, decode_row
from device_agent.messages.buffer.buffer_space import PAGE_BYTES
from device_agent.messages.message import key_lane, key_number

COUNTS = "counts"
"""Name of the only text that is not carried over: it would not be true."""
_CARRIED_ROWS = 1000
_LEAF = 0x0D
_FREE_OR_OVERFLOW = (2, 3, 4)
_MAP_ENTRIES = PAGE_BYTES // 5
_LARGEST_LOCAL = PAGE_BYTES - 35
_SMALLEST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_LOG_HEAD = struct.Struct(">8I")
_FRAME_HEAD = struct.Struct(">6I")
_Value = int | float | bytes | str | None


class Page(NamedTuple):
    """A leaf with the rows that can be found on it; `first` is the least row id."""

    first: int
    number: int


class Remains:
    """A damaged file, open for reading: `rows` and `meta` give what is whole. `damaged` counts rows that are not."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._pages = -(-os.fstat(self._descriptor).st_size // PAGE_BYTES)
        log = path.with_name(f"{path.name}-wal")
        self._has_log = log.exists() and log.stat().st_size > 0
        self._newer = _logged_pages(log)
        self._pages = max([self._pages, *self._newer])
        self._free = self._free_pages()
        self.damaged = 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def rows(self) -> Iterator[Row]:
        """Messages that are whole, roughly by key; one may come twice."""
        leaves = []
        for number in range(1, self._pages + 1):
            page = self._leaf(number)
            ids = [] if page is None else [row_id for row_id, _, _ in self._cells(page, number)]
            if ids:
                leaves.append(Page(min(ids), number))
        for leaf in sorted(leaves):
            for key, values in self._records(leaf.number):
                if len(values) == 5 and isinstance(values[3], bytes):
                    row = Row(key, *values[1:])  # type: ignore[arg-type]
                    try:
                        decode_row(row)
                    except DamagedRow:
                        self.damaged += 1
                    else:
                        yield row

    def meta(self) -> dict[str, str]:
        """Names and values of the other table."""
        found = {}
        for number in range(1, self._pages + 1):
            for _, values in self._records(number):
                if len(values) == 4:
                    _, name, value, checksum = values
                    if isinstance(name, str) and isinstance(value, str) and checksum == meta_checksum(name, value):
                        found[name] = value
        return found

    def promised(self) -> int | None:
        """How many messages there should be: known after an orderly end, when nothing is in the log."""
        counts = None if self._has_log else self.meta().get(COUNTS)
        return None if counts is None else sum(json.loads(counts))

    def _page(self, number: int) -> bytes:
        if number in self._newer:
            return self._newer[number]
        try:
            page = os.pread(self._descriptor, PAGE_BYTES, (number - 1) * PAGE_BYTES)
        except OSError:
            return bytes(PAGE_BYTES)  # a bad sector
        return page.ljust(PAGE_BYTES, b"\0")

    def _free_pages(self) -> set[int]:
        """Those on the list of free pages, as far as it can be followed."""
        free: set[int] = set()
        trunk = int.from_bytes(self._page(1)[32:36])
        while 1 < trunk <= self._pages and trunk not in free:
            free.add(trunk)
            following, count, *numbers = struct.unpack(f">{PAGE_BYTES // 4}I", self._page(trunk))
            free.update(numbers[: min(count, len(numbers))])
            trunk = following
        return free

    def _leaf(self, number: int) -> bytes | None:
        """The page, if it may be a leaf that is in use."""
        page = self._page(number)
        if page[0] != _LEAF or number in self._free:
            return None
        map_number = 2 + (number - 2) // (_MAP_ENTRIES + 1) * (_MAP_ENTRIES + 1)
        place = 5 * (number - map_number - 1)
        if number < 3 or place < 0 or self._page(map_number)[place] not in _FREE_OR_OVERFLOW:
            return page
        return None

    def _cells(self, page: bytes, number: int) -> Iterator[tuple[int, int, int]]:
        """Row id, length of the record, and where it begins, of every row of a leaf."""
        count = int.from_bytes(page[3:5])
        for pointer in range(8, min(8 + 2 * count, PAGE_BYTES - 1), 2):
            place = int.from_bytes(page[pointer : pointer + 2])
            if 8 + 2 * count <= place < PAGE_BYTES - 4:
                size, place = _varint(page, place)
                row_id, place = _varint(page, place)
                if place <= PAGE_BYTES:
                    yield row_id, size, place

    def _records(self, number: int) -> Iterator[tuple[int, list[_Value]]]:
        page = self._leaf(number)
        if page is None:
            return
        for row_id, size, place in self._cells(page, number):
            record = self._payload(page, size, place)
            values = _values(record)
            if values is not None:
                yield row_id, values
            else:
                self.damaged += 1

    def _payload(self, page: bytes, size: int, place: int) -> bytes:
        """A record, with what lies on overflow pages; too short when they cannot be followed."""
        if size <= _LARGEST_LOCAL:
            return page[place : place + size]
        local = _SMALLEST_LOCAL + (size - _SMALLEST_LOCAL) % (PAGE_BYTES - 4)
        if local > _LARGEST_LOCAL:
            local = _SMALLEST_LOCAL
        parts = [page[place : place + local]]
        left = size - local
        following = int.from_bytes(page[place + local : place + local + 4])
        while left > 0 and 1 <= following <= self._pages:
            more = self._page(following)
            parts.append(more[4 : 4 + min(left, PAGE_BYTES - 4)])
            left -= PAGE_BYTES - 4
            following = int.from_bytes(more[:4])
            if len(parts) > self._pages:
                break
        return b"".join(parts)


def carry_over(remains: Remains, connection: sqlite3.Connection, last_number: int | None = None) -> dict[int, int]:
    """Put all that is whole into an empty buffer; how many messages of each lane. Raises OSError, sqlite3.Error.

    `last_number`: the newest that was given out, when known; rows beyond are of a failed call.
    """
    rows = (row for row in remains.rows() if last_number is None or key_number(row.key) <= last_number)
    while some := list(islice(rows, _CARRIED_ROWS)):
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?)", some)
        connection.execute("COMMIT")
    for name, value in remains.meta().items():
        if name == COUNTS:
            continue
        row = name, value, meta_checksum(name, value)
        connection.execute("INSERT INTO meta (name, value, checksum) VALUES (?, ?, ?)", row)
    counts: dict[int, int] = {}
    for (key,) in connection.execute("SELECT key FROM message"):
        counts[key_lane(key)] = counts.get(key_lane(key), 0) + 1
    return counts


def loss_text(lost: int, *, is_exact: bool) -> str:
    """How many messages are lost, for the log."""
    if is_exact:
        return f"{lost} are lost"
    return f"at least {lost} are lost, how many is unknown" if lost else "how many are lost is unknown"


def meta_checksum(name: str, value: str) -> int:
    """Of a row of the table `meta`."""
    return crc32(f"{name}={value}".encode())


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends (beyond the page's end when it does not)."""
    value = 0
    for count in range(9):
        byte = page[place + count] if place + count < len(page) else 0
        if count == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    raise AssertionError


def _values(record: bytes) -> list[_Value] | None:
    """The columns of a record; None when it is none."""
    if not record:
        return None
    head_bytes, place = _varint(record, 0)
    if not 0 < head_bytes <= min(len(record), 32):
        return None
    values: list[_Value] = []
    at = head_bytes
    while place < head_bytes:
        kind, place = _varint(record, place)
        if kind >= 12:
            size = (kind - 12) // 2
        elif kind in (10, 11):
            return None
        else:
            size = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind]
        raw = record[at : at + size]
        if len(raw) < size:
            return None
        at += size
        values.append(_value(kind, raw))
    return values


def _value(kind: int, raw: bytes) -> _Value:
    if kind == 0:
        return None
    if kind == 7:
        return float(struct.unpack(">d", raw)[0])
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(raw, signed=True)
    return raw if kind % 2 == 0 else raw.decode("utf-8", "replace")


def _logged_pages(path: Path) -> dict[int, bytes]:
    """Pages of the write-ahead log, the newest that was committed of each; none beyond the first damaged one."""
    try:
        log = path.read_bytes()
    except OSError:
        return {}
    if len(log) < _LOG_HEAD.size:
        return {}
    magic, _, page_bytes, _, salt1, salt2, *sums = _LOG_HEAD.unpack_from(log)
    if magic & ~1 != 0x377F0682 or page_bytes != PAGE_BYTES:
        return {}
    order = ">" if magic & 1 else "<"
    checksum = _log_checksum((0, 0), log[:24], order)
    if checksum != tuple(sums):
        return {}
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for place in range(_LOG_HEAD.size, len(log) - PAGE_BYTES - _FRAME_HEAD.size + 1, PAGE_BYTES + _FRAME_HEAD.size):
        number, pages_after, frame_salt1, frame_salt2, *sums = _FRAME_HEAD.unpack_from(log, place)
        page = log[place + _FRAME_HEAD.size : place + _FRAME_HEAD.size + PAGE_BYTES]
        checksum = _log_checksum(checksum, log[place : place + 8] + page, order)
        if (frame_salt1, frame_salt2) != (salt1, salt2) or checksum != tuple(sums) or not number:
            break
        pending[number] = page
        if pages_after:
            committed.update(pending)
            pending = {}
    return committed


def _log_checksum(before: tuple[int, int], text: bytes, order: str) -> tuple[int, int]:
    first, second = before
    words = struct.unpack(f"{order}{len(text) // 4}I", text)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
