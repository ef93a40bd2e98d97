"""The registry when stored bytes are damaged, or files change while they are registered."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest

NOW = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "ws", clock=lambda: NOW)


@pytest.fixture
def request_(tmp_path: Path) -> RegisterRequest:
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.onnx").write_bytes(b"weights")
    (folder / "sub/b.json").write_bytes(b"{}")
    return RegisterRequest("iris", folder)


def blobs(registry: ModelRegistry) -> set[str]:
    return {path.name for path in (registry.workspace / "models/blobs/sha256").iterdir()}


@pytest.mark.parametrize("change", ["add", "remove", "replace", "shrink"])
def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_verify_finds_every_damage(registry: ModelRegistry, request_: RegisterRequest) -> None:
    record = registry.register(request_)
    registry.register(replace(request_, name="other", child_paths=("sub",)))
    assert registry.verify().problems == ()
    assert registry.verify().records == 2
    damage(registry.file_path(record.files[0]), b"weightz")
    registry.file_path(record.files[1]).unlink()
    found = registry.verify()
    assert [problem.split(":")[0] for problem in found.problems] == ["iris", "iris", "other"]
    assert len(registry.verify("other", 1).problems) == 1


def test_download_never_writes_damaged_files(
    registry: ModelRegistry, request_: RegisterRequest, tmp_path: Path
) -> None:
    record = registry.register(request_)
    damage(registry.file_path(record.files[0]), b"weightz")
    with pytest.raises(DamagedDataError, match="is damaged"):
        registry.download(record, tmp_path / "out")
    assert list((tmp_path / "out").rglob("*.onnx")) == []
    registry.file_path(record.files[0]).unlink()
    with pytest.raises(DamagedDataError, match="is missing"):
        registry.download(record, tmp_path / "out")


def test_registering_again_repairs_a_damaged_content(registry: ModelRegistry, request_: RegisterRequest) -> None:
    record = registry.register(request_)
    damage(registry.file_path(record.files[0]), b"weightz")
    registry.register(request_)
    assert registry.verify().problems == ()


def test_a_damaged_record(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    registry.register(request_)
    damage(registry.workspace / "models/records/iris/1.json", b"{")
    with pytest.raises(DamagedDataError):
        registry.get("iris", 1)
    with pytest.raises(DamagedDataError):
        registry.list()
    assert registry.get("iris").version == 2
    assert len(registry.verify("iris", 1).problems) == 1
    assert registry.verify("iris", 2).problems == ()
    assert [record.version for record in registry.listing().records] == [2]
    assert registry.delete("iris", 2).freed_bytes == 0
    assert len(blobs(registry)) == 2
    assert registry.delete("iris", 1).freed_bytes == 9


def test_a_record_in_the_wrong_place_is_damage(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    records = registry.workspace / "models/records/iris"
    (records / "7.json").write_bytes((records / "1.json").read_bytes())
    with pytest.raises(DamagedDataError, match="holds the record of iris:1"):
        registry.get("iris", 7)


def test_stray_files_are_passed_over(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    records = registry.workspace / "models/records"
    (records / "stray").touch()
    for name in ("01.json", "0.json", "x.json", ".1.json.abc.part"):
        (records / "iris" / name).touch()
    assert [record.id for record in registry.list()] == ["iris:1"]


def test_a_file_that_changes_while_it_is_read(registry: ModelRegistry, request_: RegisterRequest) -> None:
    weights = request_.model_path / "a.onnx"

    def grow(_: int) -> None:
        with weights.open("ab") as file:
            file.write(b"more")

    with pytest.raises(InputError, match=r"a.onnx: changed while it was being registered"):
        registry.register(replace(request_, child_paths=("a.onnx",)), on_bytes=grow)
    assert registry.list() == ()
    assert registry.verify().files == 0


@pytest.mark.parametrize("change", ["add", "remove", "replace", "shrink"])
def test_a_folder_that_changes_meanwhile(registry: ModelRegistry, request_: RegisterRequest, change: str) -> None:
    weights = request_.model_path / "a.onnx"
    changes: dict[str, Callable[[], object]] = {
        "add": lambda: (request_.model_path / "new").touch(),
        "remove": lambda: weights.unlink(missing_ok=True),
        "replace": lambda: (weights.rename(weights.parent / "z"), weights.write_bytes(b"weights")),
        "shrink": lambda: weights.write_bytes(b""),
    }
    told: list[int] = []
    one_at_a_time = threading.Lock()  # several threads copy files

    def once(count: int) -> None:
        with one_at_a_time:
            if not told:
                changes[change]()
            told.append(count)

    with pytest.raises(InputError):
        registry.register(request_, on_bytes=once)
    assert registry.list() == ()


def test_contents_without_a_record_are_removed_when_registering_fails(
    registry: ModelRegistry, request_: RegisterRequest
) -> None:
    def broken_clock() -> datetime:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ModelRegistry(registry.workspace, clock=broken_clock).register(request_)
    assert blobs(registry) == set()
    assert registry.register(request_).version == 1


def test_a_damaged_counter_is_said(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    registry.delete("iris", 1)
    (registry.workspace / "models/records/iris/highest-deleted").write_text("x")
    with pytest.raises(DamagedDataError, match="highest version"):
        registry.register(request_)
