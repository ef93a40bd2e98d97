"""Finished pieces become Parquet: which ones, with what in it, within the bound, and whole whenever it ends."""

import fcntl
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from device_agent.captured_rows import rows_of_piece
from device_agent.collected_data import LEAST_MAX_BYTES, DataFolder
from device_agent.collected_place import device_place
from device_agent.collected_replacing import HasChanged, replace, replacing, tidy
from device_agent.collected_turn import COUNT_FILE, on_disk
from device_agent.parquet_pieces import Report, finished_pieces
from device_agent.parquet_pieces import parquet as as_parquet
from tests.examples import examples
from tests.unit.device_agent.collected_world import NOON, Clock, a_folder, files_in, finish, start
from tests.unit.device_agent.piece_world import HOUR, LATER, PLACE, append, ids_read, line, rows_in, turn

STEPS = ("reserved", "written", "placed", "done")


def names_in(root: Path) -> list[str]:
    """Names of the files, the instance as X."""
    return [name.rpartition("/")[2].replace(PLACE.name, "X") for name in files_in(root)]


def counted(root: Path) -> int:
    """The bytes in use, as the folder counts them."""
    return int((root / COUNT_FILE).read_bytes())


def taken(root: Path) -> int:
    """The bytes in use, as they are."""
    return sum(on_disk(len(text)) for text in files_in(root).values())


def test_a_piece_becomes_a_file_of_the_same_name_and_age(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1, 2)
    (piece,) = tmp_path.rglob("*.jsonl")
    os.utime(piece, (NOON, NOON))
    assert turn(folder) == Report(turned=1, records=2)
    assert list(files_in(tmp_path)) == [f"{HOUR}/{PLACE.name}.parquet"]
    (file,) = tmp_path.rglob("*.parquet")
    assert file.stat().st_mtime == NOON
    assert [(row["id"], row["request"]) for row in rows_in(file)] == [
        ("r-1", '{"data":[[1,0.5]]}'),
        ("r-2", '{"data":[[2,0.5]]}'),
    ]
    assert counted(tmp_path) == taken(tmp_path)


def test_columns_have_types_and_are_compressed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    turn(folder)
    (path,) = tmp_path.rglob("*.parquet")
    file = parquet.ParquetFile(path)
    assert {field.name: str(field.type) for field in file.schema_arrow} == {
        "time": "timestamp[ms, tz=UTC]",
        "id": "string",
        "status": "int32",
        "ms": "double",
        "request": "string",
        "response": "string",
        "request_encoding": "string",
        "response_encoding": "string",
        "request_bytes": "int64",
        "response_bytes": "int64",
    }
    assert {file.metadata.row_group(0).column(number).compression for number in range(10)} == {"ZSTD"}


def test_the_piece_that_is_written_to_stays_while_its_hour_lasts(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, 160 * 1024)
    for number in range(1, 401):
        append(folder, number)
    assert names_in(tmp_path) == ["X-2.jsonl", "X-3.jsonl", "X.jsonl"]
    assert turn(folder, NOON).turned == 2
    assert names_in(tmp_path) == ["X-2.parquet", "X-3.jsonl", "X.parquet"]
    assert turn(folder, NOON) == Report()
    assert turn(folder, NOON, instance="another").turned == 1  # the process is gone
    assert ids_read(tmp_path) == sorted(f"r-{number}" for number in range(1, 401))


def test_who_writes_goes_on_with_a_new_piece_when_its_own_was_turned(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    turn(folder)
    append(folder, 2)
    assert names_in(tmp_path) == ["X-2.jsonl", "X.parquet"]
    turn(folder)
    append(folder, 3)
    assert names_in(tmp_path) == ["X-2.parquet", "X-3.jsonl", "X.parquet"]
    assert ids_read(tmp_path) == ["r-1", "r-2", "r-3"]


def test_a_torn_line_is_skipped_and_counted(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    (piece,) = tmp_path.rglob("*.jsonl")
    piece.write_bytes(piece.read_bytes() + line(2)[:40])
    assert turn(folder) == Report(turned=1, records=1, skipped=1)
    assert ids_read(tmp_path) == ["r-1"]


def test_a_piece_with_a_line_that_cannot_be_read_stays_as_it_is(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    deep = line(1).replace(b'"request":', b'"request":' + b"[" * 20_000 + b"]" * 20_000 + b',"was":', 1)
    piece = tmp_path / HOUR / f"{PLACE.name}.jsonl"
    assert folder.append(PLACE, deep + line(2))
    before = files_in(tmp_path)
    assert turn(folder) == Report(left=(str(piece),))
    assert files_in(tmp_path) == before


def test_what_holds_no_records_is_left_as_it_is(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    of_a_script = device_place({"IOTEDGE_DEVICEID": "press-7", "IOTEDGE_MODULEID": "scorer"}, "inputs")
    assert folder.append(of_a_script, b'{"specversion":"1.0"}\n')
    assert folder.append(PLACE, b'{"specversion":"1.0"}\n')
    before = files_in(tmp_path)
    assert turn(folder) == Report(left=(str(tmp_path / HOUR / f"{PLACE.name}.jsonl"),))
    assert files_in(tmp_path) == before


def test_a_folder_without_pieces_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "modelDataCollector/press-7/scorer/requests").mkdir(parents=True)
    assert turn(a_folder(tmp_path)) == Report()
    assert turn(a_folder(tmp_path / "none")).problems


@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_at_any_step_every_record_is_read_once_and_the_next_run_clears_up(
    tmp_path: Path, step: str
) -> None:
    folder = DataFolder(tmp_path, clock=Clock())
    append(folder, 1, 2)
    code = f"""
from device_agent.collected_replacing import replacing
from device_agent.captured_rows import rows_of_piece
from device_agent.parquet_pieces import parquet
(piece,) = Path(sys.argv[1]).rglob("*.jsonl")
content = parquet(rows_of_piece(piece.read_bytes())[0])
for step in replacing(DataFolder(Path(sys.argv[1])).bounds, piece, piece.stat(), content):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    finish(start(code, tmp_path), -signal.SIGKILL)
    assert ids_read(tmp_path) == ["r-1", "r-2"]
    assert counted(tmp_path) >= taken(tmp_path)
    append(folder, 3)
    assert ids_read(tmp_path) == ["r-1", "r-2", "r-3"]
    assert turn(folder).problems == ()
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file() and path.name != COUNT_FILE} == {".parquet"}
    assert ids_read(tmp_path) == ["r-1", "r-2", "r-3"]
    assert counted(tmp_path) == taken(tmp_path)


@pytest.mark.parametrize("step", ["reserved", "written"])
def test_what_is_written_to_meanwhile_is_not_replaced(tmp_path: Path, step: str) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    (piece,) = tmp_path.rglob("*.jsonl")
    steps = replacing(folder.bounds, piece, piece.stat(), b"what was made from one record")
    while next(steps) != step:
        pass
    append(folder, 2)
    with pytest.raises(HasChanged):
        list(steps)
    assert turn(folder).turned == 1
    assert ids_read(tmp_path) == ["r-1", "r-2"]


def test_a_failure_leaves_the_piece_and_nothing_else(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    (piece,) = tmp_path.rglob("*.jsonl")
    was = piece.stat()
    append(folder, 2)
    with pytest.raises(HasChanged):
        replace(folder.bounds, piece, was, b"too late")
    assert names_in(tmp_path) == ["X.jsonl"]
    assert counted(tmp_path) == taken(tmp_path)


def test_two_do_not_turn_at_the_same_time(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    descriptor = os.open(tmp_path.joinpath(*PLACE.folder), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert turn(folder) == Report()
    os.close(descriptor)
    assert turn(folder).turned == 1


def test_a_lock_that_another_holds_is_a_problem_of_this_time(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    with (tmp_path / COUNT_FILE).open("a") as count:
        fcntl.flock(count, fcntl.LOCK_EX)
        (problem,) = turn(folder).problems
        assert "another process holds the lock" in problem
    assert turn(folder).turned == 1


@settings(max_examples=examples(25), deadline=None)
@given(
    st.integers(0, 160_000),
    st.lists(st.one_of(st.integers(1, 60), st.sampled_from(["turn", "restart", "hour", *STEPS])), max_size=40),
)
def test_the_bound_holds_and_no_record_is_there_twice(bound: int, events: list[int | str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, clock = Path(name), Clock()
        folder = a_folder(root, bound, clock)
        given_ids: list[str] = []
        for event in events:
            if event == "turn":
                turn(folder, clock.now_s)
            elif event == "restart":
                folder = a_folder(root, bound, clock)
            elif event == "hour":
                clock.now_s += 3600
            elif isinstance(event, str):
                _replace_until(folder, event)
            else:
                numbers = range(len(given_ids), len(given_ids) + event)
                if folder.append(PLACE, b"".join(map(line, numbers))):
                    given_ids += [f"r-{number}" for number in numbers]
            assert taken(root) <= folder.max_bytes
            read = ids_read(root)
            assert len(set(read)) == len(read)
            assert set(read) <= set(given_ids)
            if folder.max_bytes > LEAST_MAX_BYTES * 2:
                assert read == sorted(given_ids) or taken(root) > folder.max_bytes // 4


def _replace_until(folder: DataFolder, step: str) -> None:
    """Begin to turn the oldest piece as the program does, and stop at a step, as after a kill."""
    place_folder = folder.bounds.root.joinpath(*PLACE.folder)
    if not place_folder.exists():
        return
    tidy(folder.bounds, place_folder)
    for piece in finished_pieces(folder.bounds.root, PLACE, "", LATER)[:1]:
        rows, _ = rows_of_piece(piece.read_bytes())
        try:
            for done in replacing(folder.bounds, piece, piece.stat(), as_parquet(rows)):
                if done == step:
                    return
        except HasChanged:
            return
