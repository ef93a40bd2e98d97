"""The folder of collected data: layouts, one file a process, and no fault that reaches a script."""

import csv
import fcntl
import io
import logging
import re
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.collected_data import (
    DataFolder,
    warn_once,
)
from device_agent.collected_place import Place, csv_place, json_place, safe_name
from device_agent.collected_turn import COUNT_FILE
from tests.unit.device_agent.collected_world import (
    NOON,
    PARTS,
    V1,
    V1_FOLDER,
    Clock,
    a_folder,
    files_in,
    finish,
    start,
)


def test_paths_have_the_layouts_of_azure(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    hourly = csv_place(workspace="s/g/w", parts=PARTS, name="inputs", hourly=True)
    lines = json_place(endpoint="gateway", deployment="scorer", collection="model_inputs", instance="abc")
    assert folder.append(V1, b"1\r\n", b"a\r\n")
    assert folder.append(V1, b"2\r\n", b"a\r\n")
    assert folder.append(hourly, b"3\r\n")
    assert folder.append(lines, b"{}\n")
    assert files_in(tmp_path) == {
        f"{V1_FOLDER}/inputs.csv": b"a\r\n1\r\n2\r\n",
        f"{V1_FOLDER}/12/inputs.csv": b"3\r\n",
        "modelDataCollector/gateway/scorer/model_inputs/2024/06/01/12/abc.jsonl": b"{}\n",
    }


def test_a_new_day_is_a_newa_folder(tmp_path: Path) -> None:
    clock = Clock(NOON + 12 * 3600 - 1)
    folder = a_folder(tmp_path, clock=clock)
    folder.append(V1, b"1\r\n")
    clock.now_s += 1
    folder.append(V1, b"2\r\n")
    assert list(files_in(tmp_path)) == [f"{V1_FOLDER}/inputs.csv", f"{V1_FOLDER[:-2]}02/inputs.csv"]


def test_a_full_file_and_a_new_header_begin_a_new_file(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, 160 * 1024)
    row = b"x" * 7998 + b"\r\n"
    for _ in range(5):
        folder.append(V1, row, b"a\r\n")
    folder.append(V1, b"1,2\r\n", b"a,b\r\n")
    folder.append(V1, b"1\r\n", b"a\r\n")
    assert {path.rpartition("/")[2]: len(text) for path, text in files_in(tmp_path).items()} == {
        "inputs.csv": 16003,
        "inputs-2.csv": 16003,
        "inputs-3.csv": 8006,
        "inputs-4.csv": 10,
    }


def test_one_call_may_write_more_than_a_file_is_to_hold(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, 160 * 1024)
    assert folder.append(V1, b"x" * 39_999 + b"\n")
    assert not folder.append(V1, b"x" * 41_000)
    assert folder.lost == 1
    assert folder.append(V1, b"y\n")
    assert [len(text) for text in files_in(tmp_path).values()] == [2, 40_000]


@given(st.one_of(st.text(), st.sampled_from(["..", ".", "", "/", "a/../../b", "\0", "é" * 300, "x" * 5000, "-", " "])))
def test_any_text_becomes_one_name_of_a_path(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", name)
    assert safe_name(name) == name
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", text):
        assert name == text


def test_different_names_stay_different() -> None:
    names = ["a/b", "a_b", "a b", "..", ".", "", "x" * 64, "x" * 65, "x" * 66]
    assert len({safe_name(name) for name in names}) == len(names)
    assert safe_name("") == "default"


def test_processes_write_at_the_same_time_and_lose_nothing(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]))
for number in range(300):
    assert folder.append(place, b'%s,%d\\r\\n' % (sys.argv[2].encode(), number), b'who,number\\r\\n')
"""
    processes = [start(code, tmp_path, who) for who in range(3)]
    for process in processes:
        finish(process)
    files = files_in(tmp_path)
    assert sorted(path.rpartition("/")[2] for path in files) == ["inputs-2.csv", "inputs-3.csv", "inputs.csv"]
    rows: list[list[str]] = []
    for text in files.values():
        header, *content = csv.reader(io.StringIO(text.decode()))
        assert header == ["who", "number"]
        rows += content
    assert sorted(rows) == sorted([str(who), str(number)] for who in range(3) for number in range(300))


def test_both_sides_of_a_fork_write_to_files_of_their_own(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]))
folder.append(place, b'before\\n')
pid = os.fork()
for number in range(50):
    assert folder.append(place, b'parent\\n' if pid else b'child\\n')
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    finish(start(code, tmp_path))
    texts = sorted(files_in(tmp_path).values())
    assert texts == [b"before\n" + b"parent\n" * 50, b"child\n" * 50]


def test_rows_survive_a_kill_and_a_torn_line_harms_no_other(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]))
folder.append(place, b'1\\n')
folder.append(place, b'2\\n')
next(Path(sys.argv[1]).rglob('*.csv')).open('ab', buffering=0).write(b'3,to')
os.kill(os.getpid(), signal.SIGKILL)
"""
    finish(start(code, tmp_path), -signal.SIGKILL)
    assert DataFolder(tmp_path).append(V1, b"4\n")
    assert sorted(files_in(tmp_path).values()) == [b"1\n2\n3,to", b"4\n"]


def test_a_write_that_breaks_off_leaves_no_half_line(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
now = iter(range(0, 10_000, 1000))
folder = DataFolder(Path(sys.argv[1]), monotonic=lambda: next(now))
print(*[folder.append(place, b'x' * 2999 + b'\\n') for _ in range(6)], folder.append(place, b'x' * 12_000), folder.lost)
"""
    assert finish(start(code, tmp_path)).split() == ["True"] * 3 + ["False"] + ["True"] * 2 + ["False", "2"]
    assert [len(text) for text in files_in(tmp_path).values()] == [6000, 9000]


def test_a_folder_that_cannot_be_written_costs_one_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    root = tmp_path / "data"
    root.write_text("a file in its place")
    folder = a_folder(root, clock=clock)
    for _ in range(20):
        assert not folder.append(V1, b"1\n")
        clock.now_s += 10
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(root) in caplog.text
    assert folder.lost == 20
    root.unlink()
    assert not folder.append(V1, b"1\n")  # not yet: the delay has grown
    clock.now_s += 300
    assert folder.append(V1, b"1\n")
    assert folder.append(V1, b"1\n")
    assert "21 calls were lost" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


def test_the_delay_begins_with_a_second(tmp_path: Path) -> None:
    clock = Clock()
    root = tmp_path / "data"
    root.write_text("a file in its place")
    folder = a_folder(root, clock=clock)
    assert not folder.append(V1, b"1\n")
    root.unlink()
    clock.now_s += 0.9
    assert not folder.append(V1, b"1\n")
    clock.now_s += 0.1
    assert folder.append(V1, b"1\n")


def test_a_folder_without_permission_is_no_error_of_the_script(tmp_path: Path) -> None:
    code = """
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
folder = DataFolder(Path(sys.argv[1], 'data'))
print(folder.append(place, b'1\\n'), folder.lost)
"""
    tmp_path.chmod(0o555)
    process = start(code, tmp_path)
    output, errors = process.communicate(timeout=60)
    assert output == "False 1\n"
    assert "cannot be written" in errors
    assert "Permission denied" in errors


def test_a_lock_that_another_holds_costs_the_row_not_the_script(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    folder.append(V1, b"1\n")
    with (tmp_path / COUNT_FILE).open("a") as count:
        fcntl.flock(count, fcntl.LOCK_EX)
        assert not folder.append(V1, b"2\n")
    assert folder.lost == 1


def test_a_warning_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        warn_once("something that this test alone says")
    assert [record.name for record in caplog.records] == ["azmlinfsrv"]


def test_many_places_keep_few_in_memory(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    for _ in range(2):
        for number in range(70):
            assert folder.append(Place(V1.folder, f"n{number}", ".csv", False), b"1\n")
    assert sum(text.count(b"1") for text in files_in(tmp_path).values()) == 140
