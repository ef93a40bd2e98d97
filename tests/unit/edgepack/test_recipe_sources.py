"""What of a source directory is copied, where locks are kept, and odd inference configurations."""

from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import InputError
from edgepack.inference_config import read_inference_config
from edgepack.project import BuildOptions, Recipe, script_location
from edgepack.yaml_text import parse_yaml
from tests.fakes.build_world import read_recipe

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "tool.sh").write_text("#!/bin/sh\n")
    (tmp_path / "tool.sh").chmod(0o755)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    (tmp_path / ".env.local").write_text("SECRET=1")
    (tmp_path / "ic.yml").write_text("entryScript: score.py\nsourceDirectory: .\nruntime: python\n")
    return tmp_path


def read(folder: Path, **options: Any) -> Recipe:
    return read_recipe(folder, BuildOptions(("m",), **({"inference_config": folder / "ic.yml"} | options)))


def copied(recipe: Recipe) -> dict[str, bool]:
    assert recipe.script is not None
    return {path: executable for path, _, executable in recipe.script.files}


def test_executables_stay_executable_and_secrets_out(folder: Path) -> None:
    assert copied(read(folder)) == {"ic.yml": False, "notes/a.txt": False, "score.py": False, "tool.sh": True}


def test_the_checkouts_own_name_does_not_enter_the_image(folder: Path) -> None:
    script = read(folder).script
    assert script is not None
    assert script_location(script, "root")[0] == "root/source"


def test_the_output_is_not_copied_wherever_it_is(folder: Path) -> None:
    before = copied(read(folder, output=folder / "notes" / "out"))
    (folder / "notes" / "out" / "image" / "blobs").mkdir(parents=True)
    (folder / "notes" / "out" / "image" / "blobs" / "half").write_text("x")
    assert copied(read(folder, output=folder / "notes" / "out")) == before
    with pytest.raises(InputError, match="cannot be the source directory"):
        read(folder, output=folder)


def test_ignore_files_are_honoured_as_v1_did(folder: Path) -> None:
    (folder / ".gitignore").write_text("tool.sh\n")
    assert "tool.sh" not in copied(read(folder))
    (folder / ".amlignore").write_text("notes/\n")
    assert copied(read(folder)).keys() == {"ic.yml", "score.py", "tool.sh"}


def test_named_models_do_not_touch_the_locks_of_the_project_around(folder: Path) -> None:
    (folder / "edgepack.yaml").write_text("name: around\nmodels: [other]\ninference_config: ic.yml\n")
    recipe = read(folder, inference_config=None, workspace=folder / "work")
    assert (recipe.name, recipe.script) == ("m", None)
    assert recipe.lock_folder == folder / "work" / "locks" / "m"
    assert read_recipe(folder, BuildOptions()).lock_folder == folder


@pytest.mark.parametrize("options", [{"platforms": ()}, {"image": ""}, {"base": ""}])
def test_an_empty_option_is_not_a_missing_one(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read(folder, **options)


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"python": "x"}, "environment.python must be a mapping"),
        ({"docker": "x"}, "environment.docker must be a mapping"),
        ({"python": {"condaDependencies": "x"}}, "condaDependencies must be a mapping"),
        ({"python": {"condaDependenciesFile": 5}}, "must be the name of a file"),
        ({"environmentVariables": {"A=B": "c"}}, "'A=B' cannot be the name"),
        ({"environmentVariables": {"": "c"}}, "'' cannot be the name"),
        ({"environmentVariables": {"A": {"b": 1}}}, "A must be a text or a number"),
        ({"environmentVariables": {"A": None}}, "A must be a text or a number"),
    ],
)
def test_odd_environments(environment: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_inference_config({"entryScript": "score.py", "environment": environment}, "ic")


def test_keys_are_texts_everywhere() -> None:
    with pytest.raises(InputError, match="key 1 is not a text"):
        parse_yaml("module:\n  desired: {1: 2}\n", "edgepack.yaml")
    assert parse_yaml("a: &x {b: 1}\nc: *x\n", "x") == {"a": {"b": 1}, "c": {"b": 1}}
