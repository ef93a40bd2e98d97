"""The power goes at any moment: every message whose append had returned is there, in order, whole, and nothing else.

The writes of a real run are recorded, and replayed up to every call to all that the disk must, and to some of what it
may have kept (see disk_recording).
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_agent.messages.buffer.sqlite_buffer import SqliteBuffer
from device_agent.messages.message import message_key
from tests.integration.device_agent.messages.buffer_child import numbered_message
from tests.integration.device_agent.messages.buffer_promise import Promise
from tests.integration.device_agent.messages.disk_recording import Disk, record

MIB = 1024 * 1024
CHILD = Path(__file__).with_name("buffer_child.py")
CUTS = 700

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is needed to record writes")


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder in memory, where syncing costs nothing."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def check_image(image: dict[str, bytes], folder: Path, shelf: Path, promise: Promise) -> None:
    """Open what the disk has kept."""
    place = shelf / "image"
    place.mkdir()
    for name, content in image.items():
        (place / Path(name).relative_to(folder)).write_bytes(content)
    buffer = SqliteBuffer(place / "b.db", MIB)
    try:
        found = {entry.key: entry.message for entry in buffer.read(0, message_key(16, 0), 100_000, 2**30)}
        figures = buffer.figures()
        assert figures.messages == len(found)
        assert not list(place.glob("*.damaged-*")), "a power cut was taken for damage"
        promise.check(found)
        buffer.apply([numbered_message(0)])
    finally:
        buffer.close()
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("seed", "policy", "max_bytes"), [(1, "refuse", MIB), (2, "drop_oldest", MIB), (3, "refuse", 16 * MIB)]
)
def test_whenever_the_power_goes_what_was_acknowledged_is_there(
    tmp_path: Path, shelf: Path, seed: int, policy: str, max_bytes: int
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    recording = tmp_path / "recording"
    record([str(CHILD), str(folder / "b.db"), str(max_bytes), str(seed), "150", policy], recording)
    total = sum(1 for _ in Disk(folder).follow(recording))
    choice = random.Random(seed)  # noqa: S311
    # all of the beginning (the file is being made), and a sample of the rest
    moments = set(range(60)) | set(choice.sample(range(60, total), min(total - 60, CUTS // 3)))
    disk, promise = Disk(folder), Promise()
    calls: dict[str, int] = {}
    cuts = 0
    for moment, call in enumerate(disk.follow(recording)):
        calls[call] = calls.get(call, 0) + 1
        promise.hear(disk.said)
        if moment in moments or call in ("rename", "unlink", "ftruncate"):
            for image in disk.images(choice):
                check_image(image, folder, shelf, promise)
                cuts += 1
    assert disk.said.endswith(b"X\n")
    assert cuts > CUTS
    assert len(promise.begun) > 500
    assert (b"\nV\n" in disk.said) == (max_bytes > MIB), "space was meant to be given back in the large one"
    assert calls["pwrite64"] > 1500
