"""Projects for models of the user's own: what they are taken for, what is written, and that it is scored."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
import sklearn
import yaml
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from edgepack.errors import InputError
from edgepack.models.registry import ModelRegistry
from edgepack.project import BuildOptions, Recipe, project_document, recipe_of
from edgepack.scaffold import write_model_project, write_project
from edgepack.served_model import served

MLMODEL = "flavors: {python_function: {loader_module: x}}\nmlflow_version: 2.19.0\n"
X, Y = np.array([[0.0], [1.0]]), [3, 4]


def onnx_file(path: Path) -> None:
    """A model that doubles its input `x`."""
    value = [helper.make_tensor_value_info(name, TensorProto.INT64, [None, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def sklearn_file(path: Path, x: Any = X) -> None:
    joblib.dump(LogisticRegression().fit(x, Y), path)


def mlflow_folder(path: Path) -> None:
    path.mkdir()
    (path / "MLmodel").write_text(MLMODEL)
    (path / "requirements.txt").write_text("mlflow==2.19.0\nxgboost==2.1.0\n--extra-index-url https://example.com/\n")


def some_file(path: Path) -> None:
    path.write_bytes(b"weights")


def some_folder(path: Path) -> None:
    path.mkdir()
    (path / "a.bin").write_bytes(b"weights")


def other_pickle(path: Path) -> None:
    joblib.dump({"a": 1}, path)


MAKERS: dict[str, Callable[[Path], None]] = {
    "double.onnx": onnx_file,
    "iris.joblib": sklearn_file,
    "artifacts": mlflow_folder,
    "weights.bin": some_file,
    "folder": some_folder,
    "other.pkl": other_pickle,
}


def made(tmp_path: Path, name: str, *, with_script: bool = False, framework: str | None = None) -> tuple[Path, Any]:
    MAKERS[name](tmp_path / name)
    folder = tmp_path / "scorer"
    found = write_model_project(folder, str(tmp_path / name), None, framework=framework, with_script=with_script)
    return folder, found


def recipe_in(folder: Path) -> Recipe:
    """The recipe as `edgepack build` in the project has it."""
    options = BuildOptions(workspace=folder / ".edgepack")
    document, problems = project_document(folder, options)
    recipe = recipe_of(document, folder, options, problems)
    registry = ModelRegistry(folder / ".edgepack")
    return served(recipe, [registry.get(model.name, model.version) for model in recipe.models], registry)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("double.onnx", "device_agent.onnx_script"),
        ("iris.joblib", "device_agent.model_script"),
        ("artifacts", "device_agent.model_script"),
    ],
)
def test_a_model_that_needs_no_script_gets_none(tmp_path: Path, name: str, module: str) -> None:
    folder, found = made(tmp_path, name)
    assert (found.model, found.has_script) == ("scorer:1", False)
    assert {path.name for path in folder.iterdir()} == {"edgepack.yaml", ".gitignore", ".edgepack"}
    assert recipe_in(folder).entry_module == module


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("double.onnx", {"onnxruntime>=1.20", "numpy>=1.26"}),
        ("iris.joblib", {f"scikit-learn=={sklearn.__version__}", "joblib", "numpy"}),
        ("artifacts", {"mlflow-skinny==2.19.0", "xgboost==2.1.0", "pandas<3", "numpy"}),
    ],
)
def test_a_script_where_one_is_asked_for_has_the_same_packages(tmp_path: Path, name: str, packages: set[str]) -> None:
    folder, found = made(tmp_path, name, with_script=True)
    assert found.has_script
    recipe = recipe_in(folder)
    assert recipe.script is not None
    assert set(recipe.requests.requirements) == packages
    if name == "artifacts":
        assert recipe.requests.options == ("--extra-index-url", "https://example.com/")


@pytest.mark.parametrize("name", ["weights.bin", "folder", "other.pkl"])
def test_any_other_model_gets_a_script_that_opens_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = made(tmp_path, name)
    assert found.has_script
    assert recipe_in(folder).script is not None
    answer = score(folder, found.model, (folder / "sample-request.json").read_text(), monkeypatch)
    expected = {"weights.bin": 7, "folder": ["a.bin"], "other.pkl": "dict"}[name]
    assert answer == {"model": expected, "received": {"text": "hello"}}


def test_the_script_for_onnx_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, found = made(tmp_path, "double.onnx", with_script=True)
    assert score(folder, found.model, '{"x": [[1, 2]]}', monkeypatch) == {"y": [[2, 4]]}
    assert score(folder, found.model, "[[1, 2]]", monkeypatch) == {"y": [[2, 4]]}


@pytest.mark.parametrize("named", [False, True])
def test_the_script_for_scikit_learn_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    sklearn_file(tmp_path / "a 'b'.pkl", pd.DataFrame({"a": [0.0, 1.0]}) if named else X)
    found = write_model_project(tmp_path / "s", str(tmp_path / "a 'b'.pkl"), tmp_path / "workspace", with_script=True)
    assert found.model == "s:1"
    registry = ModelRegistry(tmp_path / "workspace")
    assert score(tmp_path / "s", found.model, '{"data": [[9], [-9]]}', monkeypatch, registry) == [4, 3]
    if named:
        assert score(tmp_path / "s", found.model, '{"data": [{"b": 1, "a": 9}]}', monkeypatch, registry) == [4]
        split = '{"dataframe_split": {"columns": ["b", "a"], "data": [[1, 9]]}}'
        assert score(tmp_path / "s", found.model, split, monkeypatch, registry) == [4]


def score(
    folder: Path, model: str | None, data: str, monkeypatch: pytest.MonkeyPatch, registry: ModelRegistry | None = None
) -> Any:
    """What the project's script answers, with the model laid out as in an image."""
    registry = registry or ModelRegistry(folder / ".edgepack")
    record = registry.get(str(model).partition(":")[0])
    if not (folder / "laid-out").exists():
        registry.download(record, folder / "laid-out")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder / "laid-out"))
    spec = importlib.util.spec_from_file_location("scaffolded_score", folder / "score.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.init()
    return json.loads(json.dumps(script.run(data)))


def test_the_framework_that_is_named_counts(tmp_path: Path) -> None:
    folder, found = made(tmp_path, "iris.joblib", framework="Custom")
    assert found.has_script
    assert ModelRegistry(folder / ".edgepack").get("scorer").framework == "Custom"


@pytest.mark.parametrize(
    ("name", "framework", "said"),
    [
        ("artifacts", "Onnx", "is an MLflow model, which names its framework: leave out --framework"),
        ("weights.bin", "Onnx", "exactly one file .onnx"),
        ("other.pkl", "ScikitLearn", "--model-framework-version"),
    ],
)
def test_what_cannot_be_served_leaves_nothing(tmp_path: Path, name: str, framework: str, said: str) -> None:
    MAKERS[name](tmp_path / name)
    workspace = tmp_path / "workspace"
    with pytest.raises(InputError) as caught:
        write_model_project(tmp_path / "scorer", str(tmp_path / name), workspace, framework=framework)
    assert said in str(caught.value)
    assert ModelRegistry(workspace).list() == ()
    assert {path.name for path in tmp_path.iterdir()} <= {name, "workspace"}


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"README.md": "# Hello"},
            r"README\.md: is a document, .* name the file of the model, or, if it is one, say so",
        ),
        ({"LICENSE": "MIT"}, "is a document"),
        ({"Train.PY": "fit()"}, "is source code"),
        ({"requirements.txt": "numpy"}, "is settings"),
        ({"rows.csv": "1,2"}, "is data"),
        ({".keep": "x"}, "is a hidden file"),
        ({"model.onnx": ""}, "is empty, from which no project can be made: name the file of the model$"),
        (
            {"m/a.py": "x", "m/b.md": "x", "m/c.h5": ""},
            r"is a folder without a model: a\.py is source code, b\.md is .*",
        ),
        ({f"m/{name}.py": "x" for name in "abcdefg"}, r"e\.py is source code and 2 more, from which"),
        ({"model.pt": POINTER}, r"model\.pt: is a pointer of Git LFS, .* `git lfs pull`"),
        ({"m/MLmodel": MLMODEL, "m/model.pkl": POINTER}, r"model\.pkl: is a pointer of Git LFS"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    source = tmp_path / next(iter(files)).split("/")[0]
    with pytest.raises(InputError, match=said):
        write_model_project(tmp_path / "scorer", str(source), tmp_path / "workspace")
    assert {path.name for path in tmp_path.iterdir()} <= {source.name, "workspace"}


@pytest.mark.parametrize(
    "name", ["model.h5", "net.keras", "net.pt", "net.tflite", "trees.txt", "trees.json", "weights"]
)
def test_what_may_be_a_model_gets_a_script(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    some_file(tmp_path / name)
    found = write_model_project(tmp_path / "scorer", str(tmp_path / name), None)
    answer = score(tmp_path / "scorer", found.model, "1", monkeypatch)
    assert answer == {"model": 7, "received": 1}


def test_what_is_said_to_be_a_model_is_one(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("a: 1")
    found = write_model_project(tmp_path / "scorer", str(tmp_path / "rules.yaml"), None, framework="Custom")
    assert (found.model, found.has_script) == ("scorer:1", True)
    for text, said in (("", "is empty"), (POINTER, "is a pointer of Git LFS")):  # in any case
        (tmp_path / "rules.yaml").write_text(text)
        with pytest.raises(InputError, match=said):
            write_model_project(tmp_path / "other", str(tmp_path / "rules.yaml"), None, framework="Custom")


def test_files_beside_the_model_do_not_matter(tmp_path: Path) -> None:
    some_folder(tmp_path / "model")
    for name in ("README.md", "vocabulary.csv", "__init__.py"):
        (tmp_path / "model" / name).touch()
    assert write_model_project(tmp_path / "scorer", str(tmp_path / "model"), None).model == "scorer:1"


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    some_file(tmp_path / "weights.bin")
    with pytest.raises(InputError, match=r"did you mean .*weights\.bin"):
        write_model_project(tmp_path / "scorer", str(tmp_path / "weigths.bin"), None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(InputError, match="is not empty"):
        write_model_project(tmp_path / "full", str(tmp_path / "weights.bin"), None)


@pytest.mark.parametrize("folder", ["2026", "no"])
def test_names_that_yaml_takes_for_something_else(tmp_path: Path, folder: str) -> None:
    some_file(tmp_path / "weights.bin")
    write_model_project(tmp_path / folder, str(tmp_path / "weights.bin"), None)
    document = yaml.safe_load((tmp_path / folder / "edgepack.yaml").read_text())
    assert (document["name"], document["models"]) == (f"module-{folder}", [f"module-{folder}"])
    write_project(tmp_path / "b" / folder, "blank", tmp_path / "workspace")
    assert yaml.safe_load((tmp_path / "b" / folder / "edgepack.yaml").read_text())["name"] == f"module-{folder}"
    assert list((tmp_path / "b").iterdir()) == [tmp_path / "b" / folder]


def test_the_script_calls_what_the_model_says(tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    flavors = "{sklearn: {pickled_model: m.pkl}, python_function: {predict_fn: predict_proba}}"
    (artifacts / "MLmodel").write_text(f"flavors: {flavors}\nmlflow_version: 2.9.1\n")
    (artifacts / "requirements.txt").write_text("scikit-learn==1.5.1\n")
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), artifacts / "m.pkl")
    write_model_project(tmp_path / "project", str(artifacts), None, with_script=True)
    script = (tmp_path / "project" / "score.py").read_text()
    assert "model.predict_proba(" in script
    assert "model.predict(" not in script


def test_a_project_that_cannot_take_its_place_leaves_no_model(tmp_path: Path) -> None:
    sklearn_file(tmp_path / "iris.joblib")
    folder, workspace = tmp_path / "project", tmp_path / "workspace"
    folder.symlink_to(tmp_path / "nowhere")  # does not exist, and cannot be replaced by a folder
    with pytest.raises(OSError, match="project"):
        write_model_project(folder, str(tmp_path / "iris.joblib"), workspace)
    assert not ModelRegistry(workspace).list()
    assert list(tmp_path.glob(".*.part")) == []
