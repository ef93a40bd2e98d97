"""`InferenceConfig`: what it refuses, and that what it says is read as v1 meant it."""

from pathlib import Path
from typing import Any

import pytest

from edgepack.azureml.core import Environment
from edgepack.azureml.core.environment import CondaDependencies
from edgepack.azureml.core.model import InferenceConfig
from edgepack.azureml.exceptions import UserErrorException, WebserviceException
from edgepack.inference_config import read_inference_config


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("score.py").write_text("x = 1\n")
    Path("src/inner").mkdir(parents=True)
    Path("src/inner/score.py").write_text("x = 1\n")
    Path("src/myenv.yml").write_text("dependencies: []\n")
    Path("bad.py").write_text("def init(:\n")
    for name in ("class.py", "a-b.py", "score.txt"):
        Path(name).write_text("x = 1\n")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"entry_script": "other.py"}, "does not exist"),
        ({"entry_script": "score.txt"}, "must be a Python file"),
        ({"entry_script": "class.py"}, "cannot be the name of a module"),
        ({"entry_script": "a-b.py"}, "cannot be the name of a module"),
        ({"entry_script": ""}, "entry_script is required"),
        ({"entry_script": "score.py", "source_directory": "nowhere"}, "source directory 'nowhere' does not exist"),
        ({"entry_script": "score.py", "source_directory": "src"}, "does not exist"),
        ({"entry_script": "score.py", "runtime": "r"}, "runtime 'r' is not known"),
        ({"entry_script": "score.py", "cuda_version": "11.0"}, "cuda_version '11.0'"),
        ({"entry_script": "score.py", "conda_file": "myenv.yml"}, "conda file .* does not exist"),
        ({"entry_script": "score.py", "extra_docker_file_steps": "steps"}, "docker file steps .* does not exist"),
        ({"entry_script": "score.py", "environment": "myenv"}, "must be an Environment, not str"),
    ],
)
def test_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(WebserviceException, match=text):
        InferenceConfig(**given)


def test_paths_may_be_objects() -> None:
    made = InferenceConfig(Path("inner/score.py"), conda_file=Path("myenv.yml"), source_directory=Path("src"))
    assert (
        made.document() == InferenceConfig("inner/score.py", conda_file="myenv.yml", source_directory="src").document()
    )


def test_a_syntax_error_is_the_users() -> None:
    with pytest.raises(UserErrorException, match=r"bad\.py is not valid Python: .*line 1"):
        InferenceConfig("bad.py")


@pytest.mark.parametrize(
    "other",
    [
        {"runtime": "python"},
        {"conda_file": "score.py"},
        {"extra_docker_file_steps": "score.py"},
        {"enable_gpu": True},
        {"cuda_version": "10.0"},
        {"base_image": "x"},
    ],
)
def test_an_environment_excludes_the_older_arguments(other: dict[str, Any]) -> None:
    with pytest.raises(WebserviceException, match=f"environment cannot be given together with {next(iter(other))}"):
        InferenceConfig("score.py", environment=Environment("myenv"), **other)


def test_all_problems_are_told_together() -> None:
    with pytest.raises(WebserviceException) as caught:
        InferenceConfig("other.txt", runtime="r", conda_file="x.yml")
    assert len(str(caught.value).splitlines()) == 4


def test_the_older_arguments_are_read_as_the_file_is() -> None:
    config = InferenceConfig("inner/score.py", runtime="Python", conda_file="myenv.yml", source_directory="src")
    document = config.document()
    assert document == {
        "entryScript": "inner/score.py",
        "sourceDirectory": str(Path("src").resolve()),
        "runtime": "python",
        "condaFile": "myenv.yml",
    }
    found = read_inference_config(document, "x")
    assert (found.entry_script, found.conda_file) == ("inner/score.py", "myenv.yml")


def test_an_environment_is_read_as_v1_meant_it() -> None:
    environment = Environment("myenv")
    environment.environment_variables["A"] = "1"
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["joblib"])
    found = read_inference_config(InferenceConfig("score.py", environment=environment).document(), "x")
    assert found.environment_variables == {"A": "1"}, "the example is no variable"
    assert found.conda == environment.python.conda_dependencies.as_dict()
    assert found.notes == (), "the usual base image is no choice of the user's"
    environment.docker.base_image = "mine:1"
    environment.python.conda_dependencies_file = "src/myenv.yml"
    found = read_inference_config(InferenceConfig("score.py", environment=environment).document(), "x")
    assert found.conda_file == str(Path("src/myenv.yml").absolute())
    assert "mine:1 is not used" in found.notes[0]
