"""A recorded file as a source: CSV with a header line, or JSON lines. Pure: bytes in, readings out.

- CSV (UTF-8): a line is a JSON object with the header's names. A number stays a number (a cell that is spelled as JSON
  spells numbers), `true` and `false` stay what they are, an empty cell is null, everything else is text: `007` too.
- JSON lines: a line is sent as it stands.
- `time_column` names a column or field with the time of each line, ISO 8601 or seconds since 1970: the differences are
  the intervals. Without one the device's rate decides.
- Empty lines do not count. All lines that cannot be sent are reported together, with the file and the line, before
  anything is sent.
"""

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from edgepack.errors import InputError
from simulator.devices.reading import Reading, SourceEnded

RECORDINGS = (".csv", ".jsonl", ".ndjson", ".json")
MOST_BODY_BYTES = 250_000
_MOST_PROBLEMS = 1000
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,300})")
_WORDS = {"": None, "true": True, "false": False}


class Recording(NamedTuple):
    """A file that was read: at least one reading. With times, each has the interval to the one after it."""

    readings: tuple[Reading, ...]


class Replay:
    """A recording as the source of one device; it begins again at the end if it `loops`. See Source."""

    def __init__(self, recording: Recording, *, loops: bool = True) -> None:
        self._readings = recording.readings
        self._loops = loops
        self._next = 0

    def measure(self, sequence: int, now_s: float) -> Reading:
        """See Source."""
        if self._next == len(self._readings):
            if not self._loops:
                raise SourceEnded
            self._next = 0
        self._next += 1
        return self._readings[self._next - 1]

    def reset(self) -> None:
        """See Source: from the first line."""
        self._next = 0


class _Row(NamedTuple):
    line: int
    body: bytes
    fields: Mapping[str, Any]


def parse_recording(content: bytes, name: str, time_column: str = "") -> Recording:
    """Read a file's content; its `name` ends in one of RECORDINGS.

    Raises:
        InputError: with every line that is wrong.
    """
    problems: list[str] = []
    rows: list[_Row] = []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: not UTF-8; save the file as UTF-8") from None
    suffix = f".{name.rpartition('.')[2].lower()}"
    if suffix == RECORDINGS[0]:
        rows = list(_csv_rows(text, name, problems))
    elif suffix in RECORDINGS:
        rows = list(_json_rows(text, name, problems))
    else:
        problems.append(f"{name}: expected a file that ends in {', '.join(RECORDINGS[:-1])} or {RECORDINGS[-1]}")
    for row in rows:
        if len(row.body) > MOST_BODY_BYTES:
            problems.append(f"{name}, line {row.line}: {len(row.body)} bytes; a message has at most {MOST_BODY_BYTES}")
    intervals_s = _intervals_s(rows, name, time_column, problems) if time_column else [None] * len(rows)
    if not rows and not problems:
        problems.append(f"{name}: holds no line that could be sent")
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"{name}: {len(problems) - _MOST_PROBLEMS} more lines are wrong"]
    InputError.raise_if_any(problems)
    return Recording(
        tuple(
            Reading(row.body, (), _numbers(row.fields), interval_s)
            for row, interval_s in zip(rows, intervals_s, strict=True)
        )
    )


def _csv_rows(text: str, name: str, problems: list[str]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(f"{name}, line {max(1, reader.line_num)}: no CSV: {error}")
            continue
        if not cells:
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if "" in header or len(set(header)) < len(header):
                problems.append(f"{name}, line {reader.line_num}: the header has an empty name, or one twice")
        elif len(cells) != len(header):
            problems.append(f"{name}, line {reader.line_num}: {len(cells)} cells, but the header has {len(header)}")
        else:
            fields = dict(zip(header, map(_cell_value, cells), strict=True))
            yield _Row(reader.line_num, json.dumps(fields).encode(), fields)


def _cell_value(cell: str) -> object:
    text = cell.strip()
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return cell


def _json_rows(text: str, name: str, problems: list[str]) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            problems.append(f"{name}, line {number}, column {error.colno}: no JSON: {error.msg}")
        except (ValueError, RecursionError) as error:
            problems.append(f"{name}, line {number}: no JSON: {error}")
        else:
            yield _Row(number, line.strip().encode(), value if isinstance(value, dict) else {})


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _intervals_s(rows: list[_Row], name: str, time_column: str, problems: list[str]) -> list[float | None]:
    times_s: list[float] = []
    for row in rows:
        time_s = _time_s(row.fields.get(time_column))
        if time_s is None:
            found = json.dumps(row.fields[time_column])[:80] if time_column in row.fields else "not there"
            problems.append(
                f"{name}, line {row.line}: {time_column} is {found}: expected a time, ISO 8601 or seconds since 1970"
            )
        elif times_s and time_s < times_s[-1]:
            problems.append(f"{name}, line {row.line}: {time_column} is before that of the line above")
        times_s.append(time_s if time_s is not None else (times_s[-1] if times_s else 0.0))
    intervals_s: list[float | None] = [later - sooner for sooner, later in itertools.pairwise(times_s)]
    if rows and not problems and times_s[-1] == times_s[0]:
        problems.append(f"{name}: {time_column} is the same in all lines: leave it out and give a rate")
    return [*intervals_s, intervals_s[-1] if intervals_s else None][: len(rows)]


def _time_s(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e12 else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _numbers(fields: Mapping[str, Any]) -> dict[str, object]:
    """What a view shows: the numbers, at most four."""
    found = [(key, value) for key, value in fields.items() if isinstance(value, int | float)]
    return dict(found[:4])
