"""Which module of the agent serves a model without a script, with which packages."""

import json
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from edgepack.errors import InputError
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.project import Recipe
from edgepack.served_model import served
from tests.unit.edgepack.test_plan import RECIPE

BARE = replace(RECIPE, script=None)
MLMODEL = 'flavors: {flavors}\nsignature: {{inputs: \'[{{"name": "a", "type": "double"}}]\'}}\nmlflow_version: 2.9.1\n'


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
    files = {"MLmodel": text, "model.pkl": "", "requirements.txt": "mlflow==2.9.1\nscikit-learn==1.5.1\n"}
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
    assert "mlflow-skinny==2.9.1" in recipe.requests.requirements
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


def test_a_script_wins(tmp_path: Path) -> None:
    assert served(RECIPE, [], ModelRegistry(tmp_path)) is RECIPE
