"""The bound of the folder of collected data: it holds at any moment, the oldest go first, and nothing else goes."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.collected_data import (
    DEFAULT_MAX_BYTES,
    LEAST_MAX_BYTES,
    DataFolder,
    data_folder,
)
from device_agent.collected_place import csv_place
from device_agent.collected_turn import COUNT_FILE
from tests.examples import examples
from tests.unit.device_agent.collected_world import (
    NOON,
    V1,
    V1_FOLDER,
    Clock,
    a_folder,
    files_in,
    finish,
    start,
)


def test_the_oldest_are_removed_first_with_their_empty_folders(tmp_path: Path) -> None:
    clock = Clock()
    folder = a_folder(tmp_path, LEAST_MAX_BYTES, clock)
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
    folder = a_folder(tmp_path, LEAST_MAX_BYTES)
    for _ in range(40):
        assert folder.append(V1, b"x" * 5000 + b"\n")
    assert set(strangers) <= set(files_in(tmp_path))


def test_the_bound_counts_what_was_there_before(tmp_path: Path) -> None:
    for _ in range(6):
        assert a_folder(tmp_path, LEAST_MAX_BYTES).append(V1, b"x" * 11_999 + b"\n")
    assert [len(text) for text in files_in(tmp_path).values()] == [12_000] * 5


def test_a_wrong_count_is_found_out(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, LEAST_MAX_BYTES)
    for text in (b"", b"rubbish", b"%020d" % 10**12):
        (tmp_path / COUNT_FILE).write_bytes(text)
        assert folder.append(V1, b"x\n")
    assert (tmp_path / COUNT_FILE).read_bytes() == b"%020d" % 4096


def test_files_that_were_fetched_away_are_not_missed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    folder.append(V1, b"1\n")
    (tmp_path / V1_FOLDER / "inputs.csv").unlink()
    assert folder.append(V1, b"2\n")
    assert list(files_in(tmp_path).values()) == [b"2\n"]


@settings(max_examples=examples(40), deadline=None)
@given(
    bound=st.integers(0, 200_000),
    calls=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 40_000), st.integers(0, 40_000), st.booleans()), max_size=60
    ),
)
def test_the_bytes_on_disk_never_exceed_the_bound(bound: int, calls: list[tuple[int, int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, clock = Path(name), Clock()
        folder = a_folder(root, bound, clock)
        for model, length, later_s, restarted in calls:
            if restarted:
                folder = a_folder(root, bound, clock)
            clock.now_s += later_s
            place = csv_place(workspace="", parts=("s", model, "1", "inputs"), name="inputs", hourly=model > 3)
            rows = b"x" * length + b"\n"
            written = folder.append(place, rows, b"head\n")
            assert written == (length + 6 <= folder.most_append_bytes)
            files = files_in(root)
            assert sum(-(-len(text) // 4096) * 4096 for text in files.values()) <= folder.max_bytes
            assert not written or any(text.endswith(rows) for text in files.values())


@settings(max_examples=examples(30), deadline=None)
@given(workspace=st.text(max_size=30), parts=st.tuples(*[st.text(max_size=300)] * 4), name=st.text(max_size=300))
def test_names_from_scripts_never_leave_the_folder_and_are_bounded(
    workspace: str, parts: tuple[str, ...], name: str
) -> None:
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer, "data")
        place = csv_place(workspace=workspace, parts=parts, name=name, hourly=False)
        for _ in range(5):
            assert a_folder(root, LEAST_MAX_BYTES).append(place, b"x" * 16_000 + b"\n")
        assert [path.name for path in Path(outer).iterdir()] == ["data"]
        assert len(files_in(root)) == 4  # the first was recognised as its own


def test_the_bound_holds_while_processes_write(tmp_path: Path) -> None:
    code = """
folder = DataFolder(Path(sys.argv[1]), 100_000)
for number in range(1000):
    folder.append(place, b'x' * 1500 + b'\\n')
print(folder.lost)
"""
    processes = [start(code, tmp_path) for _ in range(3)]
    measured = 0
    while any(process.poll() is None for process in processes):
        try:
            processes[measured % 3].wait(0.01)
        except subprocess.TimeoutExpired:
            with (tmp_path / COUNT_FILE).open("a") as count:
                fcntl.flock(count, fcntl.LOCK_EX)  # between two writes
                assert sum(map(len, files_in(tmp_path).values())) <= 100_000
        measured += 1
    assert [finish(process) for process in processes] == ["0\n"] * 3
    texts = files_in(tmp_path).values()
    assert 50_000 < sum(map(len, texts)) <= 100_000
    assert all(set(text.split(b"\n")) == {b"x" * 1500, b""} for text in texts)


def test_the_environment_names_folder_and_bound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = data_folder({"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_BYTES": "1000000"})
    assert chosen.max_bytes == 1_000_000
    assert chosen is data_folder({"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_BYTES": "1000000"})
    assert data_folder({}).max_bytes == DEFAULT_MAX_BYTES
    assert data_folder({"EDGEPACK_DATA_MAX_BYTES": "1"}).max_bytes == LEAST_MAX_BYTES
    for wrong in ("64 MB", "-1", "1e6", "9" * 5000):
        assert data_folder({"EDGEPACK_DATA_MAX_BYTES": wrong}).max_bytes == DEFAULT_MAX_BYTES
    assert "EDGEPACK_DATA_MAX_BYTES is no number" in caplog.text


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
    assert sorted(files_in(tmp_path).values()) == [b"later\n", b"now\n"]
    assert int((tmp_path / COUNT_FILE).read_bytes()) == 2 * 4096


def test_the_age_is_a_number_of_days(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = {"EDGEPACK_DATA_PATH": str(tmp_path), "EDGEPACK_DATA_MAX_AGE_DAYS": "7"}
    assert data_folder(folder) is data_folder(folder)
    data_folder({**folder, "EDGEPACK_DATA_MAX_AGE_DAYS": "a week"})
    assert "EDGEPACK_DATA_MAX_AGE_DAYS is no number of days" in caplog.text
