"""Which script and variables a service has after a reload and after changes that make no image."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.models.registry import ModelRegistry
from edgepack.services.record import ServiceChange
from tests.fakes.service_desk import SCRIPT, Desk, life_folder, until

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


VARIABLES = """\
import os


def init():
    assert os.environ.get("LEVEL") != "bad"


def run(data):
    return {name: os.environ.get(name) for name in ("LEVEL", "FIRST", "LATER", "FOLDER")}
"""


def configure(desk: Desk, **variables: str) -> None:
    config = {"entryScript": "score.py", "environment": {"environmentVariables": variables}}
    (desk.folder / "ic.json").write_text(json.dumps(config))


def test_variables_are_those_of_the_configuration_as_it_is_now(desk: Desk) -> None:
    desk.write(VARIABLES)
    configure(desk, LEVEL="one", FIRST="x")
    desk.deploy()
    assert desk.answer(1) == {"LEVEL": "one", "FIRST": "x", "LATER": None, "FOLDER": None}
    configure(desk, LEVEL="two", LATER="y", FOLDER="/var/azureml-app/here")
    desk.reload()
    reloaded = desk.answer(1)
    assert reloaded == {"LEVEL": "two", "FIRST": None, "LATER": "y", "FOLDER": reloaded["FOLDER"]}
    assert str(reloaded["FOLDER"]).startswith(str(desk.workspace)), "where the application is on this machine"
    configure(desk, LEVEL="three", FIRST="x")
    desk.update(ServiceChange(needs_key=True))
    assert desk.answer(1) == {"LEVEL": "three", "FIRST": "x", "LATER": None, "FOLDER": None}


def test_variables_stay_where_the_new_ones_do_not_do(desk: Desk) -> None:
    desk.write(VARIABLES)
    configure(desk, LEVEL="one")
    desk.deploy()
    configure(desk, LEVEL="two")
    desk.reload()
    configure(desk, LEVEL="bad")
    with pytest.raises(InputError, match="AssertionError"):
        desk.reload()
    assert desk.answer(1)["LEVEL"] == "two"
    (desk.folder / "ic.json").unlink()
    desk.update(ServiceChange(needs_key=True))
    assert desk.answer(1)["LEVEL"] == "two", "not those of the image"


def test_a_change_of_keys_does_not_bring_an_old_script_back(desk: Desk) -> None:
    desk.deploy()
    desk.write(SCRIPT.format(factor=3))
    desk.reload()
    desk.update(ServiceChange(needs_key=True))
    assert desk.answer(1)["product"] == 3


def test_keys_are_turned_on_for_a_service_whose_sources_are_gone(desk: Desk) -> None:
    """It keeps what it runs, which a reload has brought, not what its image has."""
    source = desk.folder / "src"
    source.mkdir()
    (source / "score.py").write_text("from factor import FACTOR\n" + SCRIPT.format(factor="FACTOR"))
    (source / "factor.py").write_text("FACTOR = 2\n")
    (desk.folder / "folder.json").write_text(json.dumps(FOLDER))
    desk.deploy(inference_config=Path("folder.json"))
    (source / "factor.py").write_text("FACTOR = 3\n")
    desk.reload()
    source.rename(desk.folder / "moved")
    for needs_key in (True, False):
        desk.said.clear()
        assert desk.update(ServiceChange(needs_key=needs_key)).needs_key == needs_key
        [said] = [text for text in desk.said if "keeps the script that it has" in text]
        assert "sourceDirectory 'src' is not there" in said
        assert desk.answer(1) == {"product": 3, "models": ["weights.bin"]}
    with pytest.raises(InputError, match="sourceDirectory 'src' is not there"):
        desk.reload()


@pytest.mark.parametrize("gone", ["the configuration", "the model", "the script's syntax"])
def test_keys_need_no_sources(desk: Desk, gone: str) -> None:
    desk.deploy()
    desk.write(SCRIPT.format(factor=3))
    desk.reload()
    if gone == "the configuration":
        (desk.folder / "ic.json").unlink()
    elif gone == "the model":
        ModelRegistry(desk.workspace).delete("tiny")
    else:
        desk.write("def init(:\n")
    desk.update(ServiceChange(needs_key=True))
    assert desk.answer(1)["product"] == 3
    for pid in desk.pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: desk.find().state == "failed", "its end is seen")
    with pytest.raises(InputError):
        desk.update(ServiceChange(needs_key=False))


def test_other_packages_are_told(desk: Desk) -> None:
    desk.deploy()
    (desk.folder / "myenv.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - six\n")
    (desk.folder / "ic.json").write_text('{"entryScript": "score.py", "condaFile": "myenv.yml"}')
    for change in (None, ServiceChange(needs_key=True)):
        desk.said.clear()
        desk.update(change) if change else desk.reload()
        [said] = [text for text in desk.said if "packages" in text]
        assert "have changed, and it keeps those that it has; `edgepack service update service --ic FILE`" in said
