"""How the bytes that the buffer may take on disk are shared out, and how many a message needs. Pure.

    max_bytes  <= what is asked for, and 90 % of what the volume has; so the buffer is full before the disk is, for on
                  a full disk nothing can be removed either: the log cannot grow
    max_bytes  =  database file  +  write-ahead log
    log        <= what starts a checkpoint + one transaction, and one more when a checkpoint has failed

What a message needs is an upper bound: pages are filled to half at worst, an overflow page holds one message only.
Source: SQLite's file format, "B-tree Pages" and "The Write-Ahead Log".
"""

from typing import NamedTuple

from device_agent.messages.message import Message

PAGE_BYTES = 1024
"""Small, since a message appended alone writes whole pages: 200 bytes write 5 to 10 times as much, not 26 times."""
LEAST_BYTES = 1024 * 1024
"""Least that a buffer can be planned with."""
_FRAME_BYTES = PAGE_BYTES + 24
_LARGEST_LOCAL = PAGE_BYTES - 35
_SMALLEST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_ROW_BYTES = 32
_MOST_LOG_BYTES = 4 * 1024 * 1024
_RESERVED_PAGES = 24
CHUNK_PAGES = 8
"""Pages that a transaction may need beside those of its messages."""


class Space(NamedTuple):
    """In pages: most of the database file, the log that starts a checkpoint, one transaction. In bytes: the log."""

    database_pages: int
    checkpoint_pages: int
    transaction_pages: int
    log_bytes: int

    @property
    def usable_pages(self) -> int:
        """Pages of the database file that messages may take; the rest lets a removal and the like always pass."""
        return self.database_pages - _RESERVED_PAGES

    @property
    def appended_bytes(self) -> int:
        """Most that the messages of one transaction may need."""
        return (self.transaction_pages * 3 // 4 - CHUNK_PAGES) * PAGE_BYTES

    @property
    def removed_keys(self) -> int:
        """Most keys that one transaction removes, each from another page."""
        return max(8, self.transaction_pages // 8)

    @property
    def largest_bytes(self) -> int:
        """The longest message."""
        most = self.appended_bytes // PAGE_BYTES - 2
        return most * (PAGE_BYTES - 4) - 2 * PAGE_BYTES


def allowed_bytes(asked_bytes: int, volume_bytes: int | None) -> int:
    """How much of `asked_bytes` a volume allows that has `volume_bytes` for the buffer (None: unknown); >= 1 MiB."""
    if volume_bytes is None:
        return asked_bytes
    return min(asked_bytes, max(LEAST_BYTES, volume_bytes * 9 // 10))


def plan_space(max_bytes: int) -> Space:
    """Share out `max_bytes`, at least 1 MiB."""
    checkpoint_bytes = min(max_bytes // 8, _MOST_LOG_BYTES)
    transaction_bytes = max_bytes // 16
    database_bytes = max_bytes - checkpoint_bytes - 2 * transaction_bytes
    return Space(
        database_bytes // PAGE_BYTES,
        checkpoint_bytes // _FRAME_BYTES,
        transaction_bytes // _FRAME_BYTES,
        checkpoint_bytes + transaction_bytes,
    )


def message_bytes(message: Message) -> int:
    """Most bytes that a row takes for this message. One with at most `largest_bytes` can be stored."""
    texts = [message.output, message.message_id, message.correlation_id, message.content_type, message.content_encoding]
    texts += [text for pair in message.properties for text in pair]
    return len(message.body) + 4 * sum(map(len, texts)) + 9 * len(texts) + len(message.origin) + 16


def needed_bytes(row_bytes: int) -> int:
    """Most bytes of pages that a row takes whose head and body are `row_bytes` long."""
    size = row_bytes + _ROW_BYTES
    if size <= _LARGEST_LOCAL:
        return 2 * size
    overflow = -(-(size - _SMALLEST_LOCAL) // (PAGE_BYTES - 4))
    return overflow * PAGE_BYTES + 2 * _LARGEST_LOCAL
