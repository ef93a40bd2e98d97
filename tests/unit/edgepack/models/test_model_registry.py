"""The registry on disk, in one process."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgepack.errors import InputError, RemoteError
from edgepack.models import registry as registry_module
from edgepack.models.record import RecordChange, ResourceConfiguration
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.models.source import FileState

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


def test_a_model_is_registered_and_found(registry: ModelRegistry, request_: RegisterRequest, tmp_path: Path) -> None:
    sample = tmp_path / "in.json"
    sample.write_text("[1]")
    record = registry.register(
        replace(
            request_,
            description="d",
            tags={"a": "b"},
            properties={"p": "q"},
            framework="Onnx",
            framework_version="1.17",
            resources=ResourceConfiguration(1, 0.5, 0),
            sample_input=sample,
        )
    )
    assert record.id == "iris:1"
    assert record.created_utc == "2026-01-02T03:04:05Z"
    assert [file.path for file in record.files] == ["models/a.onnx", "models/sub/b.json"]
    assert record.sample_input is not None
    assert record.sample_output is None
    assert registry.get("iris") == registry.get("iris", 1) == record
    assert registry.file_path(record.files[0]).read_bytes() == b"weights"
    assert registry.file_path(record.sample_input).read_text() == "[1]"


def test_versions_count_up_and_share_their_contents(registry: ModelRegistry, request_: RegisterRequest) -> None:
    records = [registry.register(request_) for _ in range(11)]
    assert [record.version for record in records] == list(range(1, 12))
    assert registry.get("iris").version == 11
    assert len(blobs(registry)) == 2
    assert list((registry.workspace / "models/staging").iterdir()) == []


def test_names_that_differ_in_case_are_two_models(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    assert registry.register(replace(request_, name="Iris")).id == "Iris:1"


def test_all_problems_are_told_and_nothing_is_registered(registry: ModelRegistry, tmp_path: Path) -> None:
    bad = RegisterRequest(
        "!",
        tmp_path / "none",
        tags={"": "x", "u": "\udcff"},
        framework="onnx",
        description="\udcff",
        resources=ResourceConfiguration(cpu=-1),
        sample_input=tmp_path,
        sample_output=tmp_path / "no",
    )
    with pytest.raises(InputError) as caught:
        registry.register(bad)
    assert len(caught.value.problems) == 9
    assert not registry.workspace.exists()


def test_a_deleted_number_is_never_given_again(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    registry.register(request_)
    registry.delete("iris", 2)
    assert registry.register(request_).version == 3
    registry.delete("iris")
    assert registry.list() == ()
    assert registry.register(request_).version == 4
    registry.delete("iris", 4)
    assert registry.register(request_).version == 5


def test_deleting_frees_what_no_other_version_needs(registry: ModelRegistry, request_: RegisterRequest) -> None:
    first = registry.register(request_)
    (request_.model_path / "a.onnx").write_bytes(b"better weights")
    registry.register(request_)
    assert len(blobs(registry)) == 3
    deletion = registry.delete("iris", 1)
    assert deletion.freed_bytes == 7
    assert [str(each) for each in deletion.deleted] == ["iris:1"]
    assert blobs(registry) == {file.sha256 for file in registry.get("iris").files}
    assert first.files[0].sha256 not in blobs(registry)


def test_what_is_not_there_is_said_with_what_is(registry: ModelRegistry, request_: RegisterRequest) -> None:
    with pytest.raises(InputError, match="not found"):
        registry.get("iris")
    registry.register(request_)
    for call in (registry.get, registry.delete, registry.verify):
        with pytest.raises(InputError, match=r"^ModelNotFound: Model with name iris has no version 7 .* it has 1$"):
            call("iris", 7)
        with pytest.raises(InputError, match=r"did you mean iris\?"):
            call("irsi", None)
        with pytest.raises(InputError, match="is not allowed"):
            call("../iris", None)


def test_the_list_is_filtered(registry: ModelRegistry, request_: RegisterRequest) -> None:
    for name, tags in (("b", {"x": "1"}), ("a", {"x": "2"}), ("a", {}), ("a", {"x": "2", "y": ""})):
        registry.register(replace(request_, name=name, tags=tags, properties=tags, framework="Onnx"))

    def ids(**filters: object) -> list[str]:
        return [record.id for record in registry.list(**filters)]  # type: ignore[arg-type]

    assert ids() == ["a:1", "a:2", "a:3", "b:1"]
    assert ids(name="a") == ["a:1", "a:2", "a:3"]
    assert ids(latest=True) == ["a:3", "b:1"]
    assert ids(tags=["x"]) == ["a:1", "a:3", "b:1"]
    assert ids(tags=[("x", "2")], latest=True) == ["a:3"]
    assert ids(properties=["x", "y"]) == ["a:3"]
    assert ids(framework="Onnx", name="b") == ["b:1"]
    assert ids(framework="Custom") == []
    assert ids(name="none") == []


def test_a_change_is_kept(registry: ModelRegistry, request_: RegisterRequest) -> None:
    registry.register(request_)
    registry.register(request_)
    changed = registry.update("iris", 1, RecordChange(add_tags={"a": "b"}))
    assert registry.get("iris", 1) == changed
    assert registry.get("iris").tags == {}
    assert registry.update("iris", None, RecordChange("d")).version == 2


def test_download_recreates_the_names(registry: ModelRegistry, request_: RegisterRequest, tmp_path: Path) -> None:
    (request_.model_path / "a.onnx").chmod(0o755)
    record = registry.register(request_)
    target = tmp_path / "out"
    assert registry.download(record, target) == target / "models"
    assert (target / "models/a.onnx").read_bytes() == b"weights"
    assert os.access(target / "models/a.onnx", os.X_OK)
    assert not os.access(target / "models/sub/b.json", os.X_OK)
    with pytest.raises(InputError) as caught:
        registry.download(record, target)
    assert len(caught.value.problems) == 2
    (target / "models/a.onnx").write_text("old")
    registry.download(record, target, exist_ok=True)
    assert (target / "models/a.onnx").read_bytes() == b"weights"


def test_download_where_files_cannot_be(registry: ModelRegistry, request_: RegisterRequest, tmp_path: Path) -> None:
    record = registry.register(request_)
    (tmp_path / "out/models/a.onnx").mkdir(parents=True)
    with pytest.raises(InputError, match="is a folder"):
        registry.download(record, tmp_path / "out", exist_ok=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        registry.download(record, tmp_path / "file")


def test_a_full_disk_is_said() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    from edgepack.files import full_disk_named

    with pytest.raises(RemoteError, match="no space left"), full_disk_named(full), full.open("wb", 0) as file:
        file.write(b"x")


def test_a_workspace_that_cannot_be_written(request_: RegisterRequest, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        ModelRegistry(tmp_path / "file").register(request_)
    assert ModelRegistry(tmp_path / "file").list() == ()


def test_looking_makes_nothing(registry: ModelRegistry) -> None:
    assert registry.list() == ()
    assert registry.versions("iris") == registry.versions("!") == ()
    assert registry.verify().records == 0
    assert not registry.workspace.exists()


def test_the_default_clock_is_utc() -> None:
    assert registry_module._now().tzinfo is UTC


def test_states_of_files_tell_them_apart(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert FileState.of((tmp_path / "a").stat()) != FileState.of((tmp_path / "b").stat())
