"""A process killed while it writes a layout leaves the old image or the new one, whole."""

import random
import subprocess
import sys
from pathlib import Path

from edgepack.oci.validate import verify_layout
from tests.fakes.images import ImageMaker

WRITE = """
import sys
from pathlib import Path
from tests.fakes.images import ImageMaker
maker = ImageMaker(Path(sys.argv[1]))
first, second = maker.images(b"one", b"both"), maker.images(b"two", b"both")
print("ready", flush=True)
sys.stdin.readline()
while True:
    for images in (first, second):
        maker.write(Path(sys.argv[2]), images)
"""
AT_EVENT = """
import os, signal, sys
from pathlib import Path
from tests.fakes.images import ImageMaker
maker, layout, last = ImageMaker(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
images = maker.images(b"two", b"both") if last % 2 else maker.images(b"one", b"both")
seen = 0
def count(event, _):
    global seen
    if event.startswith(("open", "os.", "tempfile.", "shutil.")):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
maker.write(layout, images)
os._exit(7)
"""


def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - no secret
    maker, layout = ImageMaker(tmp_path / "cache"), tmp_path / "layout"
    known = {maker.write(layout, maker.images(content, b"both")).digest for content in (b"one", b"two")}
    seen = set()
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, maker.folder, layout],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        try:
            process.wait(chance.uniform(0, 0.05))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        assert process.returncode == -9
        seen.add(verify_layout(layout).index.digest)
    assert seen == known
    maker.write(layout, maker.images(b"one", b"both"))
    assert list(layout.rglob("*.part")) == []
    assert len(list((layout / "blobs/sha256").iterdir())) == 9


def test_killed_at_every_system_call_with_a_new_cache(tmp_path: Path) -> None:
    """With another cache, each blob that is there already is replaced by the same bytes."""
    layout = tmp_path / "layout"
    maker = ImageMaker(tmp_path / "first")
    known = {maker.write(layout, maker.images(content, b"both")).digest for content in (b"one", b"two")}
    other = ImageMaker(tmp_path / "second")
    for content in (b"one", b"two"):
        other.images(content, b"both")
    kills = 0
    for number in range(1, 400, 3):
        done = subprocess.run(
            [sys.executable, "-c", AT_EVENT, other.folder if number % 2 else maker.folder, layout, str(number)],
            check=False,
        )
        assert verify_layout(layout).index.digest in known
        if done.returncode == 7:
            break
        assert done.returncode == -9
        kills += 1
    assert kills >= 20
