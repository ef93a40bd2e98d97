"""The cache as a whole: what is in it, what is in use, and what is removed."""

import json
import mmap
import os
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgepack.cache import prune_cache, read_cache
from edgepack.cli.main import cli

DAY_S = 86_400.0
OLD, NEW = "a" * 64, "b" * 64


def put(path: Path, *, days: float, size: int = 10) -> Path:
    """A file that was last used so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    used_s = time.time() - days * DAY_S
    os.utime(path, (used_s, used_s))
    return path


def put_root(workspace: Path, name: str, *, days: float) -> Path:
    """An image that was unpacked and last used so many days ago; what is in it is older."""
    root = workspace / "cache/roots" / name
    put(root / "usr/lib/libm.so", days=400, size=5000)
    put(root.parent / f"python-{name[:12]}", days=400)
    put(root.parent / f"compiled{root}/usr/x.pyc", days=400)
    used_s = time.time() - days * DAY_S
    os.utime(root, (used_s, used_s))
    return root


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """One with a cache of old and new things."""
    put(tmp_path / "models/words/1/words.pkl", days=400)
    for days, name in ((40, "old"), (2, "new")):
        put(tmp_path / "cache/blobs" / name, days=days, size=1000)
        put(tmp_path / "cache/layers" / f"{name}.json", days=days)
        put(tmp_path / "cache/downloads" / name[:2] / name / "some.whl", days=days, size=100)
        put(tmp_path / "cache/check" / name / "log", days=days)
    put(tmp_path / "cache/blobs/.new.part", days=0)
    put(tmp_path / "cache/licences.json", days=0)
    put(tmp_path / "cache/locks/old", days=400)
    put_root(tmp_path, OLD, days=40)
    put_root(tmp_path, NEW, days=2)
    return tmp_path


def files(workspace: Path) -> set[str]:
    return {str(path.relative_to(workspace)) for path in workspace.rglob("*") if path.is_file()}


def test_everything_is_counted_once(workspace: Path) -> None:
    found: dict[str, list[int]] = {}
    for thing in read_cache(workspace):
        found.setdefault(thing.kind, []).append(thing.size_bytes)
    assert {kind: sorted(sizes) for kind, sizes in found.items()} == {
        "layers": [10, 10, 1000, 1000],
        "downloads": [100, 100],
        "unpacked images": [5010, 5010],
        "other": [10, 10, 10],
    }


def test_what_was_not_used_for_long_goes_and_nothing_else(workspace: Path) -> None:
    before = files(workspace)
    told = prune_cache(workspace, 30 * DAY_S, is_trial=True)
    assert files(workspace) == before
    assert prune_cache(workspace, 30 * DAY_S) == told
    gone = before - files(workspace)
    root = f"cache/roots/{OLD}"
    assert gone == {
        *("cache/blobs/old", "cache/layers/old.json", "cache/downloads/ol/old/some.whl", "cache/check/old/log"),
        *(f"{root}/usr/lib/libm.so", f"cache/roots/python-{OLD[:12]}"),
        f"cache/roots/compiled{workspace / root}/usr/x.pyc",
    }
    assert not (workspace / root).exists()
    assert prune_cache(workspace, 30 * DAY_S) == ()


def test_reading_a_file_is_using_it(workspace: Path) -> None:
    blob = workspace / "cache/blobs/old"
    os.utime(blob, (time.time(), blob.stat().st_mtime))
    assert blob not in [thing.path for thing in prune_cache(workspace, 30 * DAY_S)]


def test_what_a_service_runs_from_stays(workspace: Path) -> None:
    start = workspace / "services/words/instances/1/start.json"
    start.parent.mkdir(parents=True)
    start.write_text(json.dumps({"command": [f"{workspace}/cache/roots/{OLD}/usr/bin/python3"]}))
    assert [thing.path.name for thing in read_cache(workspace) if thing.is_in_use] == [OLD]
    prune_cache(workspace, 0)
    assert (workspace / "cache/roots" / OLD / "usr/lib/libm.so").exists()
    assert not (workspace / "cache/roots" / NEW).exists()


def test_what_a_process_runs_from_stays(workspace: Path) -> None:
    library = workspace / "cache/roots" / OLD / "usr/lib/libm.so"
    (workspace / "other").mkdir()
    (workspace / "other/cache").symlink_to(workspace / "cache")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        prune_cache(workspace / "other", 0)
        assert library.exists()
    prune_cache(workspace, 0)
    assert not library.exists()


def test_what_a_process_was_started_with_stays(workspace: Path) -> None:
    root = workspace / "cache/roots" / OLD
    with subprocess.Popen(["sleep", "60"], env={"AZUREML_APP_ROOT": f"{root}/var/azureml-app"}) as process:
        prune_cache(workspace, 0)
        process.kill()
    assert root.exists()
    prune_cache(workspace, 0)
    assert not root.exists()


def test_what_comes_into_use_meanwhile_stays(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        os.utime(workspace / "cache/roots" / OLD)

    monkeypatch.setattr("edgepack.cache.remove_tree", start)  # another command, while the first things are removed
    assert OLD not in [thing.path.name for thing in prune_cache(workspace, 30 * DAY_S)]
    assert (workspace / "cache/roots" / OLD / "usr/lib/libm.so").exists()


def test_a_prune_that_was_killed_is_in_nobody_s_way(workspace: Path) -> None:
    put(workspace / f"cache/roots/.{OLD}.gone/usr/lib/libm.so", days=0)
    prune_cache(workspace, 30 * DAY_S)
    assert not [path for path in files(workspace) if OLD in path and not path.endswith(".lock")]


def test_a_layer_that_an_output_has_too_frees_nothing(workspace: Path) -> None:
    os.link(workspace / "cache/blobs/old", workspace / "blob")
    assert [
        thing.size_bytes for thing in read_cache(workspace) if thing.path.name == "old" and thing.kind == "layers"
    ] == [0]


def test_a_download_under_way_stays(workspace: Path) -> None:
    part = put(workspace / "cache/downloads/aa/aabb/.some.whl.part", days=0)
    prune_cache(workspace, 0)
    assert part.exists()


def test_half_of_an_image_stays_for_a_day(workspace: Path) -> None:
    left, under_way = (
        put(workspace / f"cache/roots/.{name}.part/root/usr/x", days=days)
        for name, days in (("left", 1.5), ("new", 0.5))
    )
    os.utime(left.parents[2], (time.time() - 1.5 * DAY_S,) * 2)
    prune_cache(workspace, 0)
    assert (left.exists(), under_way.exists()) == (False, True)


def test_the_commands(workspace: Path) -> None:
    def edgepack(*arguments: str) -> str:
        return CliRunner().invoke(cli, ["--workspace", str(workspace), *arguments], catch_exceptions=False).stdout

    assert edgepack("cache", "show").splitlines() == [
        str(workspace / "cache"),
        "  layers                 2.0 kB  4",
        "  other                  0.0 kB  3",
        "  downloads              0.2 kB  2",
        "  unpacked images       10.0 kB  2",
        "  in all                12.3 kB",
    ]
    assert edgepack("cache", "prune", "--dry-run").startswith("would be removed:\n")
    pruned = json.loads(edgepack("--json", "cache", "prune"))
    assert (pruned["removed"], pruned["size_bytes"]) == (True, 6130)
    assert pruned["kinds"]["unpacked images"] == {"size_bytes": 5010, "count": 1, "in_use": 0}
    assert edgepack("cache", "prune") == "nothing was unused for 30 days\n"
    assert json.loads(edgepack("--json", "--workspace", str(workspace / "none"), "cache", "show"))["size_bytes"] == 0
