"""Which script a service runs after a reload and after changes that make no image."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.services.record import ServiceChange
from tests.fakes.service_desk import SCRIPT, Desk, life_folder

FOLDER = {"entryScript": "score.py", "sourceDirectory": "src"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.delete_all()


def test_a_reload_has_the_folder_as_it_is_now(desk: Desk) -> None:
    source = desk.folder / "src"
    (source / "parts").mkdir(parents=True)
    (source / "parts" / "old.txt").write_text("old")
    (source / "score.py").write_text(SCRIPT.format(factor=2))
    (desk.folder / "folder.json").write_text(json.dumps(FOLDER))
    desk.deploy(inference_config=Path("folder.json"))

    def served() -> list[str]:
        copy = life_folder(desk) / "app" / "var" / "azureml-app" / "src"
        return sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file())

    assert served() == ["parts/old.txt", "score.py"]
    (source / "parts" / "old.txt").rename(source / "new.txt")
    (source / "score.py").write_text(SCRIPT.format(factor=3))
    desk.reload()
    assert served() == ["new.txt", "score.py"]
    assert desk.answer(1)["product"] == 3


def test_a_change_of_keys_does_not_bring_an_old_script_back(desk: Desk) -> None:
    desk.deploy()
    desk.write(SCRIPT.format(factor=3))
    desk.reload()
    desk.update(ServiceChange(needs_key=True))
    assert desk.answer(1)["product"] == 3
