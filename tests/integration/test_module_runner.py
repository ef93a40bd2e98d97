"""What the runner of built images finds out about a running module."""

import subprocess
import sys
from pathlib import Path

from edgepack.host_image import foreign_libraries


def test_libraries_from_outside_of_the_image_are_named() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        outside = foreign_libraries(process.pid, Path("/nowhere"))
        assert any("libc" in name for name in outside)
    finally:
        process.communicate(b"")


def test_a_process_that_has_ended_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert foreign_libraries(process.pid, Path("/nowhere")) == []
