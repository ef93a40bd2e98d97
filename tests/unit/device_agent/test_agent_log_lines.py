"""Log lines: the two formats, whole lines only, and records of the standard library."""

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_agent.log_lines import PIPE_ATOMIC_BYTES, CurrentRequest, LineLog, RecordWriter


def _written(folder: Path, lines: Sequence[str] = (), record: logging.LogRecord | None = None) -> str:
    """What a log in a file of `folder` holds after these lines and this record."""
    file = folder / "log"
    with file.open("wb") as stream:
        log = LineLog(stream.fileno())
        for line in lines:
            log.collect(line)
        log.flush()
        if record is not None:
            RecordWriter(log).handle(record)
    return file.read_text(encoding="utf-8")


def test_text_lines_are_in_utc_with_milliseconds() -> None:
    line = LineLog(1).format_line(1714564800.1239, "WARNING", "azmlinfsrv", "text", 42)
    assert line == "2024-05-01 12:00:00,123 W [42] azmlinfsrv - text"


def test_json_lines_are_one_object_each() -> None:
    line = LineLog(1, "json").format_line(1714564800.5, "INFO", "azmlinfsrv.print", "a\nb", 42)
    assert json.loads(line) == {
        "time": "2024-05-01T12:00:00.500Z",
        "level": "INFO",
        "pid": 42,
        "logger": "azmlinfsrv.print",
        "message": "a\nb",
    }
    assert "\n" not in line


def test_collected_lines_come_out_in_order_and_whole(tmp_path: Path) -> None:
    lines = [f"{number} {'x' * (number * 300)}" for number in range(20)]
    assert _written(tmp_path, lines).splitlines() == lines
    assert any(len(line) > PIPE_ATOMIC_BYTES for line in lines)


def test_a_record_with_a_traceback_and_odd_text_is_written(tmp_path: Path) -> None:
    try:
        raise ValueError("\ud800")
    except ValueError as error:
        information = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("a.b", logging.ERROR, __file__, 1, "%s failed", ("it",), information)
    text = _written(tmp_path, record=record)
    assert f" E [{os.getpid()}] a.b - it failed\nTraceback " in text
    assert "ValueError: \\ud800" in text


def test_a_log_that_is_gone_does_not_raise() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    LineLog(writing).write("nobody reads this")
    os.close(writing)


def test_records_carry_the_id_of_the_current_request_in_json_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "text", (), None)
    written = []
    for number, log_format in enumerate(("json", "text", "json")):
        monkeypatch.setattr(CurrentRequest, "id", "" if number == 2 else "the-id")
        with (tmp_path / "log").open("wb") as stream:
            RecordWriter(LineLog(stream.fileno(), log_format)).handle(record)
        written.append((tmp_path / "log").read_text())
    assert json.loads(written[0])["request_id"] == "the-id"
    assert "the-id" not in written[1]
    assert "request_id" not in json.loads(written[2])


def test_a_log_that_nobody_reads_holds_nothing_up_and_keeps_the_newest_lines() -> None:
    reading, writing = os.pipe()
    log = LineLog(writing)
    for number in range(30_000):
        log.write(f"line {number} " + "x" * 100)
    received = b""
    os.set_blocking(reading, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            while piece := os.read(reading, 65536):
                received += piece
    for _ in range(1000):
        log.flush()
        with contextlib.suppress(BlockingIOError):
            received += os.read(reading, 1_000_000)
    os.close(writing)
    os.close(reading)
    lines = received.decode().splitlines()
    assert lines[0].startswith("line 0 ")
    assert lines[-1].startswith("line 29999 ")
    assert len(lines) < 30_000
