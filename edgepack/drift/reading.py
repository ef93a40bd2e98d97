"""Files -> tables: CSV, JSON, JSON lines, Parquet, what data collectors write on a device, and records of requests.

A row of CSV and Parquet is a row, whatever its columns are called; an object of JSON may be a body with rows in it.
A folder is read whole, below it too; but not JSON lines of an agent beside which their Parquet stands: it turns the one
into the other, and may have been stopped before it removed the first. A last line that was torn by such an end is left
out. Records of requests are told by their members (`status`, `request`, `response`); of these the rows of `part` count,
where the script answered with success.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_agent.drift_rows import FIELDS, PREDICTIONS, rows_of, taken_apart
from device_agent.drift_sketch import FORMAT, REQUEST, RESPONSE, Baseline, read_baseline
from edgepack.drift.table import Table, table_of
from edgepack.errors import InputError

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
MISSING_TEXTS = frozenset(("", "na", "n/a", "nan", "null", "none"))
"""Texts of a CSV file that stand for no value, in lower case."""
_MOST_PROBLEMS = 10
_HOUR = re.compile(r"/\d{4}(/\d\d){3}/[^/]+\Z")
_OF_CAPTURE = {"status", "request", "response"}
_QUOTED = re.compile(r'"[^"]*("|$)')


@dataclass
class _Reading:
    """What is to be read, and what was found on the way."""

    part: str
    member: str
    problems: list[str] = field(default_factory=list)
    failed: int = 0
    unread: int = 0
    torn: int = 0
    types: dict[str, str] = field(default_factory=dict)

    def problem(self, text: str) -> None:
        self.problems.append(text)


def read_table(path: Path, *, part: str = REQUEST, member: str = "") -> Table:
    """The rows of a file or folder. `part` and `member` say where they are in captured records (`drift_rows`).

    Raises:
        InputError: all that is wrong with it, each sentence with file and line.
    """
    reading = _Reading(part, member)
    rows = [row for file in _files(path) for row in _rows_of_file(file, reading)]
    shown, more = reading.problems[:_MOST_PROBLEMS], len(reading.problems) - _MOST_PROBLEMS
    InputError.raise_if_any([*shown, f"{path}: {more} more problems of this kind"] if more > 0 else shown)
    notes = []
    if reading.failed:
        notes.append(f"{path}: {reading.failed} requests that were answered with an error are left out")
    if reading.torn:
        notes.append(f"{path}: {reading.torn} last lines were torn by the end of who wrote, and are left out")
    if reading.unread:
        where = f"`{member}`" if member else "`data` or another known member"
        notes.append(f"{path}: {reading.unread} records have no rows in {where} of the {part}; --field names another")
    if not rows:
        raise InputError(f"{path} has no rows", *notes)
    return table_of(str(path), rows, notes, reading.types)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        turned = {file.with_suffix(".jsonl") for file in found if file.suffix == ".parquet" and _is_of_an_hour(file)}
        found = [file for file in found if file not in turned]
        if not found:
            raise InputError(f"{path} holds no file that ends in {', '.join(SUFFIXES)}")
        return found
    if not path.is_file():
        raise InputError(f"{path} does not exist" if not path.exists() else f"{path} is no file and no folder")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: it is not known how to read {path.suffix or 'this'}; known: {', '.join(SUFFIXES)}")
    return [path]


def _is_of_an_hour(file: Path) -> bool:
    """Whether it lies where an agent puts it: yyyy/mm/dd/HH/NAME."""
    return bool(_HOUR.search(str(file.absolute())))


def _rows_of_file(path: Path, reading: _Reading) -> Iterator[Mapping[str, Any]]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _rows_of_parquet(path, reading)
        return
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except PermissionError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        reading.problem(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8")
        return
    if suffix == ".csv":
        yield from _rows_of_csv(path, text, reading)
    elif suffix == ".json":
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            reading.problem(f"{path}: no JSON: {error}")
            return
        frame = None if reading.member else _rows_of_frame(document)
        yield from _rows_of_record(document, reading) if frame is None else frame
    else:
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    if 1 < number == len(lines):  # no line end, and others before it
                        reading.torn += 1
                        continue
                    reading.problem(f"{path}, line {number}: no JSON: {error}")
                    continue
                yield from _rows_of_record(record, reading)


def _rows_of_frame(document: Any) -> list[Mapping[str, Any]] | None:
    """The rows of what pandas' `to_json()` writes: objects of equal keys, a column or (orient="index") a row each.

    Rows are numbered, as they are in a frame that was given no index: other objects of objects are no frame.
    """
    if not isinstance(document, dict) or not all(isinstance(each, dict) and each for each in document.values()):
        return None
    keys = {*next(iter(document.values()), {})}
    is_body = len(document) == 1 and next(iter(document)) in (PREDICTIONS, *FIELDS)
    if not keys or is_body or any(each.keys() != keys for each in document.values()):
        return None
    if not all(key.isdigit() for key in keys):
        return list(document.values()) if all(name.isdigit() for name in document) else None
    return [{name: column[key] for name, column in document.items()} for key in next(iter(document.values()))]


def _rows_of_csv(path: Path, text: str, reading: _Reading) -> Iterator[Mapping[str, Any]]:
    first = _QUOTED.sub("", text.partition("\n")[0])
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        names = [name.strip() for name in next(lines, [])]
        doubled = sorted({name for name in names if name and names.count(name) > 1})
        if not names or doubled:
            what = f"has the columns {', '.join(map(repr, doubled))} twice" if names else "is empty"
            reading.problem(f"{path} {what}")
            return
        for values in lines:
            if not values:
                continue
            if len(values) != len(names):
                reading.problem(f"{path}, line {lines.line_num}: {len(values)} values for {len(names)} columns")
                continue
            yield {
                name: None if value.strip().lower() in MISSING_TEXTS else value
                for name, value in zip(names, values, strict=True)
            }
    except csv.Error as error:
        reading.problem(f"{path}, line {lines.line_num}: {error}")


def _rows_of_parquet(path: Path, reading: _Reading) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet

        from edgepack.drift.arrow_columns import plain_values, strange_type
    except ImportError:
        raise InputError(f"{path}: Parquet is read by pyarrow: pip install edgepack[drift]") from None
    try:
        found = parquet.ParquetFile(path)
        schema = found.schema_arrow
        is_captured = {*schema.names} >= _OF_CAPTURE
        if not is_captured:
            reading.types |= {each.name: told for each in schema if (told := strange_type(each.type))}
        for batch in found.iter_batches():
            columns = dict(zip(schema.names, map(plain_values, batch.columns), strict=True))
            rows: list[Mapping[str, Any]] = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            if is_captured or reading.member:
                for row in rows:
                    yield from _rows_of_record(_as_captured(row), reading)
            else:
                yield from taken_apart(rows)
    except (OSError, arrow.ArrowException) as error:
        reading.problem(f"{path}: no Parquet: {str(error).splitlines()[0]}")


def _as_captured(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A captured record with its bodies as they were: in Parquet they are texts of JSON."""
    if not row.keys() >= _OF_CAPTURE:
        return row
    opened = dict(row)
    for part in (REQUEST, RESPONSE):
        if row.get(f"{part}_encoding") is None and isinstance(row.get(part), str):
            try:
                opened[part] = json.loads(row[part])
            except (ValueError, RecursionError):
                opened[part] = None
    return opened


def _rows_of_record(record: Any, reading: _Reading) -> Iterator[Mapping[str, Any]]:
    """The rows of one captured record, of one event of a collector, or the record itself."""
    is_request = reading.part == REQUEST
    if isinstance(record, Mapping) and record.keys() >= _OF_CAPTURE:
        if not isinstance(record["status"], int) or record["status"] >= 400:
            reading.failed += 1
            return
        record = record[reading.part] if record.get(f"{reading.part}_encoding") is None else None
    rows = rows_of(record, reading.member, is_request=is_request)
    reading.unread += not rows
    yield from rows


def read_baseline_file(path: Path) -> Baseline | None:
    """What `edgepack drift baseline` has made, if this is such a file; None for any other.

    Raises:
        InputError: it is one, and damaged.
    """
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None  # told when it is read as rows
    if not isinstance(document, dict) or FORMAT not in document:
        return None
    baseline, problems = read_baseline(document, str(path))
    InputError.raise_if_any(problems)
    return baseline
