"""The folder of a run: nobody else's files are touched; what killed runs left is removed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edgepack.errors import InputError
from simulator.run_folder import own_folder, socket_folder


@pytest.mark.parametrize("name", ["deployment.json", "edge-notes.txt", "logs/mine.txt", "anything"])
def test_a_folder_with_files_of_others_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(InputError, match="is not empty, and no folder of a run"), own_folder(tmp_path):
        pass
    assert path.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == [Path(name).parts[0]]


def test_what_an_earlier_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with own_folder(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        for name in ("cloud.jsonl", "edge-1/volumes/x/buffer.db", "logs/edge-1/m.log", "edge-notes.txt", "mine.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
    with own_folder(folder):
        assert sorted(path.name for path in folder.iterdir()) == ["edge-notes.txt", "mine.txt", "simulation.lock"]


def test_a_folder_is_one_run_s_at_a_time(tmp_path: Path) -> None:
    with own_folder(tmp_path), pytest.raises(InputError, match="another simulation uses"), own_folder(tmp_path):
        pass
    with own_folder(tmp_path):
        pass


def test_socket_folders_of_killed_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, lives = tmp_path / f"edgepack-run-{ended.pid}-abc", tmp_path / f"edgepack-run-{os.getpid()}-def"
    for folder in (left, lives, tmp_path / "edgepack-run-x-y"):
        folder.mkdir()
    with socket_folder() as own:
        assert own.is_dir()
        assert own.stat().st_mode & 0o777 == 0o700
        assert not left.exists()
        assert lives.exists()
    assert not own.exists()
