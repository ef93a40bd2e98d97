"""Files that appear whole, and what stands where one is to be."""

import os
import threading
from pathlib import Path

import pytest

from edgepack.files import new_file, write_file


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_file(path, b"1")

    def half() -> None:
        with new_file(path) as file:
            file.write(b"half")
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        half()
    assert path.read_bytes() == b"1"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(FileExistsError):
        write_file(path, b"2", replaces=False)
    assert path.read_bytes() == b"1"


def test_a_link_stays_and_leads_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/file")
    for content in (b"1", b"2"):  # it led nowhere, and to a file
        write_file(tmp_path / "link", content)
        assert (tmp_path / "far" / "file").read_bytes() == content
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"through")
    reader.join(30)
    assert read == [b"through"]
    assert pipe.is_fifo()
