"""What the agent does about finished pieces: it runs the real program when there are any, and only then."""

import dataclasses
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device_agent.errors import SettingsError
from device_agent.piece_conversion import PieceConversion, require_pyarrow
from tests.unit.device_agent.collected_world import ROOT, a_folder
from tests.unit.device_agent.piece_world import PLACE, append, ids_read, line


def wait_for(condition: Callable[[], object]) -> None:
    """Return once it holds."""
    end_s = time.monotonic() + 30
    turn = threading.Event()
    while not condition():
        assert time.monotonic() < end_s
        turn.wait(0.01)


@contextmanager
def converting(root: Path, lost: list[int], **more: str) -> Iterator[PieceConversion]:
    """A conversion that looks often."""
    environment = {
        "PATH": os.environ["PATH"],
        "EDGEPACK_DATA_PATH": str(root),
        "IOTEDGE_DEVICEID": "press-7",
        "IOTEDGE_MODULEID": "scorer",
        **more,
    }
    conversion = PieceConversion(root, PLACE, environment, lost.append, every_s=0.05)
    try:
        yield conversion
    finally:
        conversion.close()


def test_what_an_earlier_process_has_left_and_what_is_finished_later_are_turned(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    append(folder, 1)
    (piece,) = tmp_path.rglob("*.jsonl")
    piece.write_bytes(piece.read_bytes() + line(2)[:30])
    lost: list[int] = []
    with converting(tmp_path, lost) as conversion:
        wait_for(lambda: conversion.turned == 1)
        append(folder, 3)
        wait_for(lambda: conversion.turned == 2)
    assert ids_read(tmp_path) == ["r-1", "r-3"]
    assert lost == [1]
    assert not list(tmp_path.rglob("*.jsonl"))


def test_it_starts_nothing_where_nothing_is_to_be_done(tmp_path: Path) -> None:
    note = "import os, sys\nopen(os.environ['STARTS'], 'a').write('x')\n"
    (tmp_path / "sitecustomize.py").write_text(note)
    starts, data = tmp_path / "starts", tmp_path / "data"
    assert a_folder(data).append(dataclasses.replace(PLACE, name="another"), b"what is no record\n")
    with converting(data, [], PYTHONPATH=str(tmp_path), STARTS=str(starts)) as conversion:
        wait_for(lambda: conversion._left)
        looked = conversion.looked
        wait_for(lambda: conversion.looked >= looked + 3)
        assert starts.read_text() == "x"
        append(a_folder(data), 1)
        wait_for(lambda: conversion.turned == 1)
        assert starts.read_text() == "xx"
    assert len(list(data.rglob("*.jsonl"))) == 1


def test_a_program_that_fails_costs_one_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pyarrow.py").write_text("raise ImportError('a library of another machine')\n")
    data = tmp_path / "data"
    append(a_folder(data), 1)
    with caplog.at_level(logging.WARNING), converting(data, [], PYTHONPATH=str(broken)) as conversion:
        wait_for(lambda: conversion._failures >= 2)
        (broken / "pyarrow.py").unlink()
        wait_for(lambda: conversion.turned == 1)
    (record,) = caplog.records
    assert "a library of another machine" in record.getMessage()
    assert ids_read(data) == ["r-1"]


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    hangs = tmp_path / "hangs"
    hangs.mkdir()
    (hangs / "pyarrow.py").write_text("open('begun', 'w').close()\nimport time\ntime.sleep(60)\n")
    data = tmp_path / "data"
    append(a_folder(data), 1)
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with converting(data, [], PYTHONPATH=str(hangs)) as conversion:
            wait_for((tmp_path / "begun").exists)
            process = conversion._process
            assert process is not None
        wait_for(lambda: process.poll() is not None)
    finally:
        os.chdir(before)
    assert ids_read(data) == ["r-1"]


def test_without_pyarrow_the_start_says_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    require_pyarrow()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match="add pyarrow to the packages of the conda file"):
        require_pyarrow()


def test_the_agent_itself_never_imports_pyarrow() -> None:
    code = "import sys, device_agent.piece_conversion as made; made.require_pyarrow(); print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
