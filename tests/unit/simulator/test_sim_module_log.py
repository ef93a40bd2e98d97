"""A module's log: lines, numbers, file."""

from pathlib import Path

from simulator.edge_agent import module_log
from simulator.edge_agent.module_log import ModuleLog


def test_lines_are_numbered_and_come_in_pieces() -> None:
    log = ModuleLog(kept_lines=3)
    log.write(b"one\ntw")
    assert log.lines() == (["one"], 1)
    log.write(b"o\r\nthree\nfour")
    log.end_line()
    assert log.lines(0) == (["two", "three", "four"], 4)
    assert log.lines(2, 1) == (["three"], 3)
    assert log.lines(4) == ([], 4)
    assert log.lines(0, 1) == (["two"], 2)
    assert log.lines(99) == ([], 4)


def test_long_lines_are_cut_and_bad_bytes_shown() -> None:
    log = ModuleLog()
    log.write(b"x" * 20_000 + b"\xff\n")
    lines, _ = log.lines()
    assert [len(line) for line in lines] == [16384, 20_001 - 16384]
    assert lines[1].endswith("�")


def test_all_lines_are_in_the_file_also_of_a_later_run(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "m.log"
    for text in (b"first\n", b"second"):
        log = ModuleLog(path)
        log.write(text)
        log.say("bye")
        log.close()
    assert path.read_text() == "first\nedgeAgent: bye\nsecond\nedgeAgent: bye\n"


def test_a_full_file_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    log = ModuleLog(path)
    line = b"y" * 10_000 + b"\n"
    for _ in range(module_log.MOST_FILE_BYTES // len(line) + 3):
        log.write(line)
    log.close()
    assert path.with_name("m.log.1").stat().st_size > module_log.MOST_FILE_BYTES
    assert 0 < path.stat().st_size < 10 * len(line)


def test_a_file_that_cannot_be_written_is_given_up_and_the_lines_go_on() -> None:
    log = ModuleLog(Path("/dev/full"))
    log.write(b"first\n")
    log.write(b"second\n")
    log.close()
    lines, last = log.lines()
    assert (lines[0], lines[-1], last) == ("first", "second", 3)
    assert "cannot be written, and is given up: No space left on device" in lines[1]
