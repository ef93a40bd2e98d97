"""The folder of collected data: layouts, one file a process, a bound that holds, and no fault that reaches a script."""

import csv
import fcntl
import io
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.collected_data import (
    COUNT_FILE,
    DEFAULT_MAX_BYTES,
    LEAST_MAX_BYTES,
    DataFolder,
    data_folder,
    warn_once,
)
from device_agent.collected_place import Place, csv_place, json_place, safe_name

ROOT = Path(__file__).parents[3]
NOON = 1_717_243_200.0  # 2024-06-01T12:00:00Z
PARTS = ("service", "model", "1", "inputs")
V1 = csv_place(workspace="s/g/w", parts=PARTS, name="inputs", hourly=False)
V1_FOLDER = "modeldata/s/g/w/service/model/1/inputs/2024/06/01"


class Clock:
    """A time that the test sets."""

    def __init__(self, now_s: float = NOON) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def _folder(root: Path, max_bytes: int = DEFAULT_MAX_BYTES, clock: Clock | None = None) -> DataFolder:
    clock = clock or Clock()
    return DataFolder(root, max_bytes, clock=clock, monotonic=clock)


def _files(root: Path) -> dict[str, bytes]:
    """What the folder holds, by relative path, without the count."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != COUNT_FILE
    }


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code` with the writer imported."""
    start = "import os, signal, sys\nfrom pathlib import Path\nfrom device_agent.collected_data import *\n"
    start += (
        "from device_agent.collected_place import *\n"
        "place = csv_place(workspace='s/g/w', parts=('service', 'model', '1', 'inputs'), name='inputs', hourly=False)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{start}{code}", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str], exit_code: int = 0) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == exit_code, errors
    return output


def test_paths_have_the_layouts_of_azure(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    hourly = csv_place(workspace="s/g/w", parts=PARTS, name="inputs", hourly=True)
    lines = json_place(endpoint="gateway", deployment="scorer", collection="model_inputs", instance="abc")
    assert folder.append(V1, b"1\r\n", b"a\r\n")
    assert folder.append(V1, b"2\r\n", b"a\r\n")
    assert folder.append(hourly, b"3\r\n")
    assert folder.append(lines, b"{}\n")
    assert _files(tmp_path) == {
        f"{V1_FOLDER}/inputs.csv": b"a\r\n1\r\n2\r\n",
        f"{V1_FOLDER}/12/inputs.csv": b"3\r\n",
        "modelDataCollector/gateway/scorer/model_inputs/2024/06/01/12/abc.jsonl": b"{}\n",
    }


def test_a_new_day_is_a_new_folder(tmp_path: Path) -> None:
    clock = Clock(NOON + 12 * 3600 - 1)
    folder = _folder(tmp_path, clock=clock)
    folder.append(V1, b"1\r\n")
    clock.now_s += 1
    folder.append(V1, b"2\r\n")
    assert list(_files(tmp_path)) == [f"{V1_FOLDER}/inputs.csv", f"{V1_FOLDER[:-2]}02/inputs.csv"]


def test_a_full_file_and_a_new_header_begin_a_new_file(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 160 * 1024)
    row = b"x" * 7998 + b"\r\n"
    for _ in range(5):
        folder.append(V1, row, b"a\r\n")
    folder.append(V1, b"1,2\r\n", b"a,b\r\n")
    folder.append(V1, b"1\r\n", b"a\r\n")
    assert {path.rpartition("/")[2]: len(text) for path, text in _files(tmp_path).items()} == {
        "inputs.csv": 16003,
        "inputs-2.csv": 16003,
        "inputs-3.csv": 8006,
        "inputs-4.csv": 10,
    }


def test_one_call_may_write_more_than_a_file_is_to_hold(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 160 * 1024)
    assert folder.append(V1, b"x" * 39_999 + b"\n")
    assert not folder.append(V1, b"x" * 41_000)
    assert folder.lost == 1
    assert folder.append(V1, b"y\n")
    assert [len(text) for text in _files(tmp_path).values()] == [2, 40_000]


def test_the_oldest_are_removed_first_with_their_empty_folders(tmp_path: Path) -> None:
    clock = Clock()
    folder = _folder(tmp_path, LEAST_MAX_BYTES, clock)
    for day in range(12):
        clock.now_s = NOON + day * 86400
        assert folder.append(V1, b"x" * 8000 + b"\n")
        newest = tmp_path / V1_FOLDER[:-2] / f"{day + 1:02d}/inputs.csv"
        os.utime(newest, (clock.now_s, clock.now_s))
    kept = sorted(path.name for path in (tmp_path / V1_FOLDER).parent.iterdir())
    assert kept == ["05", "06", "07", "08", "09", "10", "11", "12"]


def test_what_was_not_collected_stays(tmp_path: Path) -> None:
    strangers = [
        "note.txt",
        "modeldata/note.csv",
        f"{V1_FOLDER}/other.txt",
        f"{V1_FOLDER}/.hidden.csv",
        "queue/1.csv",
        "modeldata/s/g/w/service/model/1/inputs/2024/06/inputs.csv",
        "modelDataCollector/e/d/c/2024/06/01/x.jsonl",
    ]
    for name in strangers:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"o" * 100_000)
        os.utime(path, (1, 1))
    folder = _folder(tmp_path, LEAST_MAX_BYTES)
    for _ in range(40):
        assert folder.append(V1, b"x" * 5000 + b"\n")
    assert set(strangers) <= set(_files(tmp_path))


def test_the_bound_counts_what_was_there_before(tmp_path: Path) -> None:
    for _ in range(6):
        assert _folder(tmp_path, LEAST_MAX_BYTES).append(V1, b"x" * 11_999 + b"\n")
    assert [len(text) for text in _files(tmp_path).values()] == [12_000] * 5


def test_a_wrong_count_is_found_out(tmp_path: Path) -> None:
    folder = _folder(tmp_path, LEAST_MAX_BYTES)
    for text in (b"", b"rubbish", b"%020d" % 10**12):
        (tmp_path / COUNT_FILE).write_bytes(text)
        assert folder.append(V1, b"x\n")
    assert (tmp_path / COUNT_FILE).read_bytes() == b"%020d" % 4096


def test_files_that_were_fetched_away_are_not_missed(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.append(V1, b"1\n")
    (tmp_path / V1_FOLDER / "inputs.csv").unlink()
    assert folder.append(V1, b"2\n")
    assert list(_files(tmp_path).values()) == [b"2\n"]


@settings(max_examples=40, deadline=None)
@given(
    bound=st.integers(0, 200_000),
    calls=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 40_000), st.integers(0, 40_000), st.booleans()), max_size=60
    ),
)
def test_the_bytes_on_disk_never_exceed_the_bound(bound: int, calls: list[tuple[int, int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, clock = Path(name), Clock()
        folder = _folder(root, bound, clock)
        for model, length, later_s, restarted in calls:
            if restarted:
                folder = _folder(root, bound, clock)
            clock.now_s += later_s
            place = csv_place(workspace="", parts=("s", model, "1", "inputs"), name="inputs", hourly=model > 3)
            rows = b"x" * length + b"\n"
            written = folder.append(place, rows, b"head\n")
            assert written == (length + 6 <= folder.most_append_bytes)
            files = _files(root)
            assert sum(-(-len(text) // 4096) * 4096 for text in files.values()) <= folder.max_bytes
            assert not written or any(text.endswith(rows) for text in files.values())


@given(st.one_of(st.text(), st.sampled_from(["..", ".", "", "/", "a/../../b", "\0", "é" * 300, "x" * 5000, "-", " "])))
def test_any_text_becomes_one_name_of_a_path(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", name)
    assert safe_name(name) == name
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", text):
        assert name == text


@settings(max_examples=30, deadline=None)
@given(workspace=st.text(max_size=30), parts=st.tuples(*[st.text(max_size=300)] * 4), name=st.text(max_size=300))
def test_names_from_scripts_never_leave_the_folder_and_are_bounded(
    workspace: str, parts: tuple[str, ...], name: str
) -> None:
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer, "data")
        place = csv_place(workspace=workspace, parts=parts, name=name, hourly=False)
        for _ in range(5):
            assert _folder(root, LEAST_MAX_BYTES).append(place, b"x" * 16_000 + b"\n")
        assert [path.name for path in Path(outer).iterdir()] == ["data"]
        assert len(_files(root)) == 4  # the first was recognised as its own


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
    processes = [_start(code, tmp_path, who) for who in range(3)]
    for process in processes:
        _finish(process)
    files = _files(tmp_path)
    assert sorted(path.rpartition("/")[2] for path in files) == ["inputs-2.csv", "inputs-3.csv", "inputs.csv"]
    rows: list[list[str]] = []
    for text in files.values():
        header, *content = csv.reader(io.StringIO(text.decode()))
        assert header == ["who", "number"]
        rows += content
    assert sorted(rows) == sorted([str(who), str(number)] for who in range(3) for number in range(300))


def test_the_bound_holds_while_processes_write(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]), 100_000)
for number in range(1000):
    folder.append(place, b'x' * 1500 + b'\\n')
print(folder.lost)
"""
    processes = [_start(code, tmp_path) for _ in range(3)]
    measured = 0
    while any(process.poll() is None for process in processes):
        try:
            processes[measured % 3].wait(0.01)
        except subprocess.TimeoutExpired:
            with (tmp_path / COUNT_FILE).open("a") as count:
                fcntl.flock(count, fcntl.LOCK_EX)  # between two writes
                assert sum(map(len, _files(tmp_path).values())) <= 100_000
        measured += 1
    assert [_finish(process) for process in processes] == ["0\n"] * 3
    texts = _files(tmp_path).values()
    assert 50_000 < sum(map(len, texts)) <= 100_000
    assert all(set(text.split(b"\n")) == {b"x" * 1500, b""} for text in texts)


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
    _finish(_start(code, tmp_path))
    texts = sorted(_files(tmp_path).values())
    assert texts == [b"before\n" + b"parent\n" * 50, b"child\n" * 50]


def test_rows_survive_a_kill_and_a_torn_line_harms_no_other(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]))
folder.append(place, b'1\\n')
folder.append(place, b'2\\n')
next(Path(sys.argv[1]).rglob('*.csv')).open('ab', buffering=0).write(b'3,to')
os.kill(os.getpid(), signal.SIGKILL)
"""
    _finish(_start(code, tmp_path), -signal.SIGKILL)
    assert DataFolder(tmp_path).append(V1, b"4\n")
    assert sorted(_files(tmp_path).values()) == [b"1\n2\n3,to", b"4\n"]


def test_a_write_that_breaks_off_leaves_no_half_line(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
now = iter(range(0, 10_000, 1000))
folder = DataFolder(Path(sys.argv[1]), monotonic=lambda: next(now))
print(*[folder.append(place, b'x' * 2999 + b'\\n') for _ in range(6)], folder.append(place, b'x' * 12_000), folder.lost)
"""
    assert _finish(_start(code, tmp_path)).split() == ["True"] * 3 + ["False"] + ["True"] * 2 + ["False", "2"]
    assert [len(text) for text in _files(tmp_path).values()] == [6000, 9000]


def test_a_folder_that_cannot_be_written_costs_one_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    root = tmp_path / "data"
    root.write_text("a file in its place")
    folder = _folder(root, clock=clock)
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
    folder = _folder(root, clock=clock)
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
    process = _start(code, tmp_path)
    output, errors = process.communicate(timeout=60)
    assert output == "False 1\n"
    assert "cannot be written" in errors
    assert "Permission denied" in errors


def test_a_lock_that_another_holds_costs_the_row_not_the_script(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    folder.append(V1, b"1\n")
    with (tmp_path / COUNT_FILE).open("a") as count:
        fcntl.flock(count, fcntl.LOCK_EX)
        assert not folder.append(V1, b"2\n")
    assert folder.lost == 1


def test_the_environment_names_folder_and_bound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = data_folder({"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_BYTES": "1000000"})
    assert chosen.max_bytes == 1_000_000
    assert chosen is data_folder({"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_BYTES": "1000000"})
    assert data_folder({}).max_bytes == DEFAULT_MAX_BYTES
    assert data_folder({"EDGEPACK_DATA_MAX_BYTES": "1"}).max_bytes == LEAST_MAX_BYTES
    for wrong in ("64 MB", "-1", "1e6", "9" * 5000):
        assert data_folder({"EDGEPACK_DATA_MAX_BYTES": wrong}).max_bytes == DEFAULT_MAX_BYTES
    assert "EDGEPACK_DATA_MAX_BYTES is no number" in caplog.text


def test_a_warning_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        warn_once("something that this test alone says")
    assert [record.name for record in caplog.records] == ["azmlinfsrv"]


def test_many_places_keep_few_in_memory(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    for _ in range(2):
        for number in range(70):
            assert folder.append(Place(V1.folder, f"n{number}", ".csv", False), b"1\n")
    assert sum(text.count(b"1") for text in _files(tmp_path).values()) == 140


def test_files_that_have_not_been_written_to_for_too_long_are_removed(tmp_path: Path) -> None:
    clock = Clock()
    folder = DataFolder(tmp_path, max_age_days=2, clock=clock, monotonic=clock)
    assert folder.append(V1, b"old\n")
    (old,) = tmp_path.rglob("*.csv")
    os.utime(old, (NOON, NOON))
    clock.now_s += 86_400
    assert folder.append(V1, b"later\n")
    (later,) = set(tmp_path.rglob("*.csv")) - {old}
    os.utime(later, (clock.now_s, clock.now_s))
    clock.now_s += 86_401
    assert folder.append(V1, b"now\n")
    assert not old.parent.exists()
    assert later.read_bytes() == b"later\n"
    assert sorted(_files(tmp_path).values()) == [b"later\n", b"now\n"]
    assert int((tmp_path / COUNT_FILE).read_bytes()) == 2 * 4096


def test_the_age_is_a_number_of_days(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = {"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_AGE_DAYS": "7"}
    assert data_folder(folder) is data_folder(folder)
    data_folder({**folder, "EDGEPACK_DATA_MAX_AGE_DAYS": "a week"})
    assert "EDGEPACK_DATA_MAX_AGE_DAYS is no number of days" in caplog.text
