"""Lines of captured records (`capture`) -> rows, as they stand in Parquet. Pure.

Bodies that are JSON become its text, so that all of a column are texts. A line that is no record is skipped: the last
one of a process that was killed may be torn.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

_OF_ALL = {"time", "id", "status", "ms", "request", "response"}
_ENCODINGS = (None, "text", "base64", "left_out")
_MOST = 2**31


class CapturedRow(NamedTuple):
    """One record. `request_bytes` and `response_bytes` are lengths of bodies that were left out."""

    time: datetime
    id: str
    status: int
    ms: float
    request: str | None
    response: str | None
    request_encoding: str | None
    response_encoding: str | None
    request_bytes: int | None
    response_bytes: int | None


def rows_of_piece(piece: bytes) -> tuple[list[CapturedRow], int]:
    """The records of a piece, in their order, and how many lines are none."""
    lines = [line for line in piece.split(b"\n") if line]
    found = [row for line in lines if (row := _row(line)) is not None]
    return found, len(lines) - len(found)


def _row(line: bytes) -> CapturedRow | None:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(record, dict) or not record.keys() >= _OF_ALL:
            return None
        moment, status, ms = record["time"], record["status"], record["ms"]
        sizes = [record.get("request_bytes"), record.get("response_bytes")]
        if not (
            isinstance(moment, str)
            and isinstance(record["id"], str)
            and _is_whole(status)
            and -_MOST <= status < _MOST
            and isinstance(ms, int | float)
            and not isinstance(ms, bool)
            and all(size is None or (_is_whole(size) and 0 <= size < _MOST) for size in sizes)
        ):
            return None
        return CapturedRow(
            datetime.fromisoformat(moment).astimezone(UTC),
            _as_text(record["id"]),
            status,
            float(ms),
            _body(record, "request"),
            _body(record, "response"),
            _encoding(record, "request"),
            _encoding(record, "response"),
            *sizes,
        )
    except (ValueError, OverflowError, RecursionError):
        return None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encoding(record: Mapping[str, Any], name: str) -> str | None:
    """Raises ValueError for one that is not known."""
    encoding: str | None = record.get(f"{name}_encoding")
    if encoding not in _ENCODINGS:
        raise ValueError(f"no encoding of a body: {encoding!r}")
    return encoding


def _body(record: Mapping[str, Any], name: str) -> str | None:
    """The text of a body: that of its JSON, or what it was encoded as. Raises ValueError."""
    body, encoding = record[name], _encoding(record, name)
    if encoding == "left_out":
        return None
    if encoding is not None:
        if not isinstance(body, str):
            raise ValueError(f"a body that is no {encoding}")
        return _as_text(body)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text if _is_sound(text) else json.dumps(body, separators=(",", ":"))


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_text(text: str) -> str:
    """Without halves of characters, which UTF-8 does not know."""
    return text if _is_sound(text) else text.encode("utf-8", "replace").decode()
