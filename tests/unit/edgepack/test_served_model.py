"""Which module of the agent serves a model without a script, with which packages."""

import json
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from edgepack.errors import InputError
from edgepack.models.record import ModelFile, ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.project import Recipe
from edgepack.resolve.package_requests import PackageRequests
from edgepack.served_model import served
from tests.unit.edgepack.test_plan import RECIPE, model

BARE = replace(RECIPE, script=None)
MLMODEL = 'flavors: {flavors}\nsignature: {{inputs: \'[{{"name": "a", "type": "double"}}]\'}}\nmlflow_version: 2.19.0\n'


def recipe_for(folder: Path, files: dict[str, str], framework: str | None = None) -> Recipe:
    source = folder / "m"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    return registered(folder, source, framework)


def registered(folder: Path, source: Path, framework: str | None = None, version: str | None = None) -> Recipe:
    registry = ModelRegistry(folder / "workspace")
    record = registry.register(RegisterRequest("m", source, framework=framework, framework_version=version))
    return served(BARE, [record], registry)


def test_a_sklearn_file_gets_the_version_that_wrote_it(tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1]), tmp_path / "iris.joblib")
    recipe = registered(tmp_path, tmp_path / "iris.joblib", "ScikitLearn")
    assert recipe.entry_module == "device_agent.model_script"
    assert {f"scikit-learn=={sklearn.__version__}", "joblib", "numpy"} <= set(recipe.requests.requirements)
    told = json.loads(recipe.variables["EDGEPACK_SERVED_MODEL"])
    assert told == {"loader": "joblib", "path": "iris.joblib", "inputs": []}
    said = registered(tmp_path, tmp_path / "iris.joblib", "ScikitLearn", "1.2.1")
    assert "scikit-learn==1.2.1" in said.requests.requirements


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.pkl": "", "b.pkl": ""}, "exactly one file"),
        ({"a.txt": ""}, "it holds none"),
        ({"a.pkl": "no pickle"}, "--model-framework-version"),
    ],
)
def test_what_cannot_be_served(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe_for(tmp_path, files, "ScikitLearn")
    assert said in str(caught.value)


def test_an_mlflow_folder_of_scikit_learn_needs_no_mlflow(tmp_path: Path) -> None:
    text = MLMODEL.format(flavors="{sklearn: {pickled_model: model.pkl, sklearn_version: 1.5.1}}")
    files = {"MLmodel": text, "model.pkl": "", "requirements.txt": "mlflow==2.19.0\nscikit-learn==1.5.1\n"}
    recipe = recipe_for(tmp_path, files)
    assert set(recipe.requests.requirements) == {"scikit-learn==1.5.1", "joblib", "numpy", "pandas"}
    told = json.loads(recipe.variables["EDGEPACK_SERVED_MODEL"])
    assert told["path"] == "m/model.pkl"
    assert told["inputs"] == [{"name": "a", "type": "double", "required": True}]


def test_other_mlflow_folders_are_served_by_the_small_library(tmp_path: Path) -> None:
    files = {
        "MLmodel": MLMODEL.format(flavors="{python_function: {loader_module: x}}"),
        "conda.yaml": "dependencies: []",
    }
    recipe = recipe_for(tmp_path, files)
    assert "mlflow-skinny==2.19.0" in recipe.requests.requirements
    assert json.loads(recipe.variables["EDGEPACK_SERVED_MODEL"])["loader"] == "pyfunc"


def test_an_mlflow_folder_of_onnx_is_served_by_onnxruntime(tmp_path: Path) -> None:
    files = {
        "MLmodel": MLMODEL.format(flavors="{onnx: {data: model.onnx}}"),
        "model.onnx": "",
        "requirements.txt": "onnx==1",
    }
    recipe = recipe_for(tmp_path, files)
    assert recipe.entry_module == "device_agent.onnx_script"
    assert set(recipe.requests.requirements) == {"onnxruntime>=1.20", "numpy>=1.26"}


def test_a_named_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.pkl, which the model does not hold"):
        recipe_for(tmp_path, {"MLmodel": MLMODEL.format(flavors="{sklearn: {pickled_model: model.pkl}}")})


def test_a_flavor_that_names_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MLmodel: its flavor sklearn names no file, which must stand under"):
        recipe_for(tmp_path, {"MLmodel": MLMODEL.format(flavors="{sklearn: {sklearn_version: 1.5.1}}")})


@pytest.mark.parametrize("flavor", ["lightgbm", "xgboost"])
def test_params_tensors_and_method_are_told(tmp_path: Path, flavor: str) -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]
    params = [{"name": "n", "type": "long", "default": 3, "shape": None}]
    signature = f"signature: {{inputs: '{json.dumps(inputs)}', params: '{json.dumps(params)}'}}\n"
    flavors = f"flavors: {{{flavor}: {{}}, python_function: {{loader_module: mlflow.{flavor}}}}}\n"
    told = json.loads(recipe_for(tmp_path, {"MLmodel": flavors + signature}).variables["EDGEPACK_SERVED_MODEL"])
    assert told == {
        "loader": "pyfunc",
        "path": "m",
        "inputs": [],
        "tensors": [{"name": None, "dtype": "float32", "shape": [-1, 2]}],
        "params": [{"name": "n", "type": "long", "default": 3, "is_list": False}],
    }
    sklearn = "flavors: {sklearn: {pickled_model: m.pkl}, python_function: {predict_fn: predict_proba}}\n"
    recipe = recipe_for(tmp_path / "other", {"MLmodel": sklearn, "m.pkl": ""})
    assert json.loads(recipe.variables["EDGEPACK_SERVED_MODEL"])["method"] == "predict_proba"


def test_what_the_file_says_is_kept_when_it_is_registered(tmp_path: Path) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"a": [0.0, 1.0]}), [0, 1])
    joblib.dump(model, tmp_path / "iris.joblib")
    registry = ModelRegistry(tmp_path / "workspace")
    record = registry.register(RegisterRequest("m", tmp_path / "iris.joblib", framework="ScikitLearn"))
    assert (record.framework_version, record.properties) == (sklearn.__version__, {"sklearn.column_names": "true"})
    asked = served(BARE, [record], registry).requests
    former = replace(record, framework_version=None, properties={})  # as registered before facts were kept
    assert served(BARE, [former], registry).requests == asked
    assert "pandas" in asked.requirements
    registry.file_path(record.files[0]).unlink()
    assert served(BARE, [record], registry).requests == asked  # the file is not read again


def test_packages_of_an_environment_without_a_script_come_along(tmp_path: Path) -> None:
    files = {"MLmodel": "flavors: {python_function: {}}\n", "conda.yaml": "dependencies: [{pip: [mlflow==2.19.0]}]"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    registry = ModelRegistry(tmp_path / "workspace")
    record = registry.register(RegisterRequest("m", tmp_path))
    asking = replace(BARE, requests=PackageRequests(("tabulate==0.9.0",)))
    assert {"tabulate==0.9.0", "mlflow-skinny==2.19.0"} <= set(served(asking, [record], registry).requests.requirements)
    assert served(BARE, [record], registry).environment_file == f"model m:1, {tmp_path.name}/conda.yaml"


def onnx(name: str = "iris", *files: str) -> ModelRecord:
    found = [ModelFile(path, 10, "a" * 64) for path in files or ("m/model.onnx", "m/model.onnx.data")]
    return model(name, 1, *found, framework="Onnx")


def test_which_of_several_onnx_files_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exactly one file \.onnx; it holds a\.onnx, b\.onnx"):
        served(BARE, [onnx("iris", "a.onnx", "b.onnx")], ModelRegistry(tmp_path))


def test_an_onnx_file_is_served_by_onnxruntime(tmp_path: Path) -> None:
    recipe = served(BARE, [onnx()], ModelRegistry(tmp_path))
    assert recipe.entry_module == "device_agent.onnx_script"
    assert set(recipe.requests.requirements) == {"onnxruntime>=1.20", "numpy>=1.26"}
    assert "EDGEPACK_SERVED_MODEL" not in recipe.variables
    assert served(recipe, [], ModelRegistry(tmp_path)) is recipe


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        ([], "here: no model"),
        ([model()], "here: iris:1 (no framework)"),
        ([onnx(), onnx("b")], "here: iris:1 (Onnx), b:1 (Onnx)"),
    ],
)
def test_models_that_need_a_script(tmp_path: Path, models: list[ModelRecord], shown: str) -> None:
    with pytest.raises(InputError, match="no entry script") as caught:
        served(BARE, models, ModelRegistry(tmp_path))
    assert shown in str(caught.value)


def test_a_script_wins(tmp_path: Path) -> None:
    assert served(RECIPE, [], ModelRegistry(tmp_path)) is RECIPE
