"""Projects read as recipes: everything found, and everything that is wrong, at once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import InputError
from edgepack.oci.platform import AMD64, ARM64
from edgepack.project import BuildOptions, Recipe, script_location
from tests.fakes.build_world import read_recipe

SCRIPT = "import numpy\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "My Project"
    (folder / "source").mkdir(parents=True)
    (folder / "source/score.py").write_text(SCRIPT)
    (folder / "score.py").write_text(SCRIPT)
    (folder / "env.yml").write_text("dependencies:\n- pip:\n  - azureml-defaults\n  - six\n")
    monkeypatch.chdir(tmp_path)
    return folder


CONFIG: dict[str, Any] = {"entryScript": "score.py", "sourceDirectory": "source", "condaFile": "env.yml"}


def read(folder: Path, document: dict[str, Any] | str | None = None, **options: Any) -> Recipe:
    if document is not None:
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / "edgepack.yaml").write_text(text)
    return read_recipe(folder, BuildOptions(**options))


def problems(folder: Path, document: dict[str, Any] | str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, document, **options)
    return str(caught.value)


def with_script(**more: Any) -> dict[str, Any]:
    return {"models": ["m"], "inference_config": {**CONFIG, **more}}


def test_a_whole_project(folder: Path) -> None:
    document = {
        "name": "iris",
        "models": ["iris:2", "labels"],
        "inference_config": CONFIG,
        "platforms": ["linux/arm64"],
        "base": "debian:trixie",
        "image": "registry.example.com:5000/team/iris:1.0",
        "module": {"name": "Iris", "env": {"A": 1}, "desired": {"x": 2}},
        "routes": {"up": "FROM /messages/* INTO $upstream"},
    }
    recipe = read(folder, document)
    assert (recipe.name, recipe.base, recipe.platforms) == ("iris", "debian:trixie", (ARM64,))
    assert [str(model) for model in recipe.models] == ["iris:2", "labels"]
    assert str(recipe.image) == "registry.example.com:5000/team/iris:1.0"
    assert recipe.module.name == "Iris"
    assert recipe.requests.requirements == ("numpy", "six")
    assert recipe.lock_folder == folder
    assert recipe.script is not None
    assert script_location(recipe.script, "var/app") == (
        "var/app/source",
        {"AZUREML_SOURCE_DIRECTORY": "source", "AZUREML_ENTRY_SCRIPT": "source/score.py"},
    )


def test_defaults(folder: Path) -> None:
    recipe = read(folder, {"models": ["M.x"], "inference_config": {"entryScript": "score.py"}})
    assert (recipe.name, str(recipe.image), recipe.module.name) == ("m-x", "m-x:latest", "m-x")
    assert recipe.platforms == (AMD64, ARM64)
    assert recipe.base == "debian:bookworm"
    assert recipe.script is not None
    assert recipe.script.files == (("score.py", folder / "score.py", False),)
    assert script_location(recipe.script, "var/app") == ("var/app", {"AZUREML_ENTRY_SCRIPT": "score.py"})
    assert recipe.requests.requirements == ("numpy",)


def test_a_model_alone(folder: Path) -> None:
    recipe = read(folder, {"models": ["m"]})
    assert recipe.script is None
    assert recipe.requests.requirements == ()


def test_options_win(folder: Path) -> None:
    (folder / "other.yml").write_text("entryScript: score.py\n")
    document = {**with_script(), "platforms": ["linux/amd64"], "base": "debian:bookworm", "image": "a"}
    recipe = read(
        folder,
        document,
        models=("n:3",),
        inference_config=folder / "other.yml",
        platforms=("linux/arm64",),
        image="b:2",
        base="debian:trixie",
    )
    assert [str(model) for model in recipe.models] == ["n:3"]
    assert (recipe.platforms, str(recipe.image), recipe.base) == ((ARM64,), "b:2", "debian:trixie")
    assert recipe.script is not None
    assert recipe.script.source_name is None


def test_nothing_to_build(folder: Path) -> None:
    with pytest.raises(InputError, match="edgepack init"):
        read(folder)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"model": ["m"]}, "key `model` is not known; did you mean `models`?"),
        ({"xyz": 1}, "key `xyz` is not known; known are name, models"),
        ({"models": "m"}, "`models` must be a list, not 'm'"),
        ({"models": ["m"], "base": 5}, "`base` must be a text"),
        ({"models": ["m"], "module": {"createOptions": {}}}, "did you mean `create_options`?"),
        ({"models": ["m"], "module": {"env": {"A": [1]}}}, "module.env.A must be a text, number or boolean"),
        ({"models": ["m:0"]}, "m:0"),
        (
            {"models": ["m"], "platforms": ["linux/riscv64"]},
            "platform 'linux/riscv64' is not known; known are linux/amd64",
        ),
        ({"models": ["m"], "platforms": [["x"], 5]}, "platform '5' is not known"),
        ({"models": ["m"], "base": "debian:buster"}, "base 'debian:buster' is not known"),
        ({"models": ["m"], "image": "UPPER"}, "'UPPER' is no image name"),
        ({"models": ["m"], "image": "a@sha256:0"}, "is no image name"),
        ({"models": ["m"], "name": "My Name"}, "name 'My Name' must be lower-case"),
        (
            {"models": ["m"], "inference_config": "nowhere.yml"},
            "nowhere.yml: the inference configuration cannot be read",
        ),
        ({"models": ["m"], "inference_config": {"entryscript": "x"}}, "did you mean `entryScript`?"),
        ({"models": ["m"], "inference_config": {"entryScript": 5}}, "`entryScript` must be a str"),
        (with_script(entryScript="nowhere.py"), "entryScript 'nowhere.py' is not there"),
        (with_script(sourceDirectory="nowhere"), "sourceDirectory 'nowhere' is not there"),
        (with_script(condaFile="nowhere.yml"), "condaFile 'nowhere.yml' is not there"),
        (with_script(runtime="spark-py"), "runtime 'spark-py' cannot run on a device"),
        (with_script(extraDockerfileSteps="steps"), "nothing is run or copied at build time"),
        (with_script(entryScript="../score.py"), "entryScript '../score.py' lies outside of the source directory"),
        ("- a", "must be a mapping with keys"),
        ("a: [", "not YAML"),
        ("a: 2020-99-99", "not YAML"),
        ("\x00", "not YAML"),
    ],
)
def test_one_problem(folder: Path, document: dict[str, Any] | str, expected: str) -> None:
    assert expected in problems(folder, document)


def test_all_problems_at_once(folder: Path) -> None:
    (folder / "source/score.py").write_text("def init(): pass\n")
    (folder / "env.yml").write_text("dependencies: [numpy=1a, 'a b c d']\n")
    document = {
        **with_script(),
        "modles": [],
        "routes": 5,
        "models": ["m:x"],
        "platforms": ["linux/s390x"],
        "base": "oci:",
        "image": "A B",
    }
    text = problems(folder, document)
    for part in (
        "`modles`",
        "`routes` must be a mapping",
        "m:x",
        "linux/s390x",
        "`oci:`",
        "A B",
        "no run() function",
        "numpy=1a",
        "a b c d",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def init():\n    pass\n", "score.py: the script has no run() function"),
        ("def run(data):\n  return (\n", "score.py: line 2, column 10:"),
        ("def init(): pass\ndef run(): pass\n", "run() needs a parameter"),
        ("", "score.py: the script has no init() function"),
    ],
)
def test_a_script_that_cannot_be_served(folder: Path, script: str, expected: str) -> None:
    (folder / "source/score.py").write_text(script)
    assert expected in problems(folder, with_script())


def test_a_script_that_is_no_text(folder: Path) -> None:
    (folder / "source/score.py").write_bytes(b"\xff\xfe")
    assert "score.py: cannot be read as UTF-8 text" in problems(folder, with_script())


def test_a_script_that_is_no_module(folder: Path) -> None:
    (folder / "source/my-score.py").write_text(SCRIPT)
    assert "whose name is an identifier" in problems(folder, with_script(entryScript="my-score.py"))


def names(recipe: Recipe) -> list[str]:
    assert recipe.script is not None
    return [name for name, *_ in recipe.script.files]


def test_what_is_copied_of_a_source_folder(folder: Path) -> None:
    source = folder / "source"
    for name in (
        "util/__init__.py",
        "util/deep/labels.txt",
        ".env",
        "util/.env",
        ".git/config",
        ".venv/bin/python",
        "__pycache__/x.pyc",
        "x.pyc",
        "node_modules/x.js",
        ".edgepack/cache/x",
        "pylock.linux-arm64.toml",
        "dist/image/oci-layout",
        "dist/build.json",
        "out/oci-layout",
        "several/deployment.json",
        "several/filter/image/oci-layout",
        ".hidden",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    assert names(read(folder, with_script())) == [".hidden", "score.py", "util/__init__.py", "util/deep/labels.txt"]


def test_links_inside_the_source_folder(folder: Path) -> None:
    source = folder / "source"
    (source / "real").mkdir()
    (source / "real/file.txt").write_text("x")
    (source / "file.txt").symlink_to("real/file.txt")
    (source / "linked").symlink_to("real")
    found = names(read(folder, with_script()))
    assert found == ["file.txt", "linked/file.txt", "real/file.txt", "score.py"]


@pytest.mark.parametrize("target", ["../score.py", "/etc", "nowhere", "loop", "."])
def test_links_that_cannot_be_copied(folder: Path, target: str) -> None:
    (folder / "source/loop").symlink_to(target)
    assert f"{folder}/source/loop: " in problems(folder, with_script())


def test_a_pipe_in_the_source_folder(folder: Path) -> None:
    os.mkfifo(folder / "source/pipe")
    assert "neither a file nor a folder" in problems(folder, with_script())


def test_variables_and_notes_of_a_configuration(folder: Path) -> None:
    environment = {
        "python": {"condaDependencies": {"dependencies": [{"pip": ["six"]}]}},
        "environmentVariables": {"A": "1", "EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
        "docker": {"baseImage": "registry.example.com/base"},
    }
    recipe = read(
        folder, {"models": ["m"], "inference_config": {"entryScript": "score.py", "environment": environment}}
    )
    assert recipe.variables == {"A": "1"}
    assert recipe.requests.requirements == ("six",)
    assert any("base image registry.example.com/base is not used" in text for text in recipe.unheeded)


def test_a_default_session_is_warned_about(folder: Path) -> None:
    (folder / "source/score.py").write_text(
        "import onnxruntime\ndef init():\n    onnxruntime.InferenceSession('x')\ndef run(data): pass\n"
    )
    (warning,) = read(folder, with_script()).warnings
    assert "score.py: line 3" in warning
