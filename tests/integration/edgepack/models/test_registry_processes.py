"""Several processes on one registry, some of them killed."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest

SCRIPTS = Path(__file__).parent / "scripts"
REGISTER = """
import sys
from pathlib import Path
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
registry = ModelRegistry(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    print(registry.register(RegisterRequest("m", Path(sys.argv[2]))).version, flush=True)
"""
CHURN = """
import sys
from pathlib import Path
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
registry = ModelRegistry(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    record = registry.register(RegisterRequest(sys.argv[4], Path(sys.argv[2])))
    registry.delete(record.name, record.version)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(random.Random(1).randbytes(3_000_000))  # noqa: S311 - no secret
    (folder / "labels").write_text("a b c")
    return folder


def test_processes_that_register_at_once_get_different_versions(tmp_path: Path, model: Path) -> None:
    processes = [start(REGISTER, tmp_path / "ws", model, 10) for _ in range(5)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    versions = [int(line) for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert sorted(versions) == list(range(1, 51))
    found = ModelRegistry(tmp_path / "ws").verify()
    assert (found.records, found.problems) == (50, ())


def test_one_registers_while_others_delete(tmp_path: Path, model: Path) -> None:
    processes = [start(CHURN, tmp_path / "ws", model, 15, f"m{number}") for number in range(3)]
    processes.append(start(REGISTER, tmp_path / "ws", model, 15))
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    registry = ModelRegistry(tmp_path / "ws")
    assert registry.versions("m") == tuple(range(1, 16))
    assert registry.verify().problems == ()
    assert len(list((tmp_path / "ws/models/blobs/sha256").iterdir())) == 2


@pytest.mark.parametrize("change", ["register", "delete"])
def test_a_process_killed_at_any_system_call_leaves_the_registry_whole(tmp_path: Path, change: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    done = subprocess.run(
        [sys.executable, SCRIPTS / "register_until_killed.py", tmp_path / "ws", model, change],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_a_process_killed_at_random_moments(tmp_path: Path, model: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    registry = ModelRegistry(tmp_path / "ws")
    for _ in range(25):
        process = start(REGISTER, tmp_path / "ws", model, 1000)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        try:
            process.wait(timeout=chance.uniform(0, 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
        printed = [int(line) for line in process.communicate()[0].split()]
        assert registry.verify().problems == ()
        assert set(printed) <= set(registry.versions("m"))
    last = registry.register(RegisterRequest("m", model))
    assert last.version == max(registry.versions("m"))
    assert registry.versions("m") == tuple(range(1, last.version + 1))
    assert list((tmp_path / "ws/models/staging").iterdir()) == []
    assert list((tmp_path / "ws").rglob("*.part")) == []
