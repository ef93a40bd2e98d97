"""Folders as MLflow 0.8 to 2 wrote them: what is read of them, what serves them, and what they answer.

The descriptions have the keys of folders in public repositories; the models are of the scikit-learn of the tests.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from device_agent import model_script
from edgepack.errors import InputError
from edgepack.model_serving import Serving
from edgepack.models.mlflow_source import open_mlflow
from edgepack.models.registry import ModelRegistry
from edgepack.served_model import serving_of
from tests.fakes.command_line import Run, command_line

CONDA = """\
channels:
- defaults
- conda-forge
dependencies:
- python=3.7.7
- {conda}
- pip
- pip:
{pip}
name: mlflow-env
"""
V08 = f"""\
time_created: 2018-05-25T17:28:53.35
flavors:
  sklearn:
    sklearn_version: {sklearn.__version__}
    pickled_model: model.pkl
  python_function:
    loader_module: mlflow.sklearn
"""
V12 = f"""\
artifact_path: model
flavors:
  python_function:
    data: model.pkl
    env: conda.yaml
    loader_module: mlflow.sklearn
    python_version: 3.6.8
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: {sklearn.__version__}
run_id: 451060d166ea47a99cf699a83a77cc57
utc_time_created: '2019-05-19 18:43:53.714752'
"""
V110 = V12.replace("    data: model.pkl\n", "").replace(
    "mlflow.sklearn\n", "mlflow.sklearn\n    model_path: model.pkl\n"
)
V130 = f"""\
{V110.replace("    sklearn_version", "    code: null" + chr(10) + "    sklearn_version")}\
mlflow_version: 1.30.1
model_uuid: 4d622e7b02614d1eb71f44eeb927be4f
"""
EXACT = f"scikit-learn=={sklearn.__version__}"
ONE_FILE = {
    "conda.yaml": CONDA.format(conda=f"scikit-learn={sklearn.__version__}", pip="  - mlflow\n  - cloudpickle==1.5.0")
}
THREE_FILES = {
    "conda.yaml": CONDA.format(conda="pip<=23.0.1", pip=f"  - mlflow\n  - scikit-learn=={sklearn.__version__}"),
    "python_env.yaml": "python: 3.10.9\nbuild_dependencies:\n- pip==23.0.1\ndependencies:\n- -r requirements.txt\n",
    "requirements.txt": f"mlflow\ncloudpickle==2.2.1\nscikit-learn=={sklearn.__version__}\n",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    return command_line(capsys)


def folder_of(place: Path, text: str, files: dict[str, str]) -> Path:
    """A folder, with a model that scikit-learn can load."""
    place.mkdir()
    for name, content in {"MLmodel": text, **files}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(content)
    (place / "model.pkl").write_bytes(pickle.dumps(LogisticRegression().fit([[0.0], [9.0]], [3, 4])))
    return place


def serving_in(folder: Path, name: str, run: Run) -> Serving:
    """What serves the folder, once it was registered by the command."""
    assert run("model", "register", "-n", name, "--from-mlflow", str(folder)).code == 0
    registry = ModelRegistry(folder.parent / "workspace")
    serving = serving_of(registry.get(name), registry)
    assert serving is not None
    return serving


@pytest.mark.parametrize(
    ("text", "files", "more"),
    [
        (V08, {}, {EXACT}),
        (V12, ONE_FILE, {f"{EXACT}.*", "cloudpickle==1.5.0"}),  # as conda means it
        (V110, ONE_FILE, {f"{EXACT}.*", "cloudpickle==1.5.0"}),
        (V130, THREE_FILES, {EXACT, "cloudpickle==2.2.1"}),
    ],
    ids=["0.8", "1.2", "1.10", "1.30"],
)
def test_scikit_learn_is_served_as_ever(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, text: str, files: dict[str, str], more: set[str]
) -> None:
    folder = folder_of(tmp_path / "model", text, files)
    serving = serving_in(folder, "old", run)
    assert set(serving.requests.requirements) == {"joblib", "numpy", "pandas"} | more
    record = ModelRegistry(tmp_path / "workspace").get("old")
    assert (record.framework, record.framework_version) == ("ScikitLearn", sklearn.__version__)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps(serving.told))
    model_script.init()
    assert model_script.run('{"data": [[0], [9]]}') == [3, 4]
    assert model_script.run('{"dataframe_split": {"columns": ["a"], "data": [[9]]}}') == {"predictions": [4]}


KERAS = """\
artifact_path: model
flavors:
  keras:
    data: data
    keras_module: keras
    keras_version: 2.3.0
  python_function:
    data: data
    env: conda.yaml
    loader_module: mlflow.keras
    python_version: 3.6.9
"""
PYTHON_MODEL = """\
flavors:
  python_function:
    artifacts: {}
    cloudpickle_version: 1.6.0
    code: code
    env: {{ENV}}
    loader_module: mlflow.pyfunc.model
    python_model: python_model.pkl
    python_version: 3.8.10
"""
PIP = "  - {mlflow}\n  - cloudpickle==1.6.0"


@pytest.mark.parametrize(
    ("asked", "written_by", "library"),
    [
        ("mlflow", None, {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow==1.2.0", None, {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow==1.10.*", None, {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow", "1.30.1", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow==2.15.1", "2.15.1", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow==2.16.2", "2.16.2", {"mlflow-skinny==2.16.2", "numpy", "pandas<3"}),
        ("mlflow", "3.17.2", {"mlflow-skinny==3.17.2", "numpy", "pandas"}),
        ("mlflow>=2.1", "2.1.0", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow<3,>=2.1", "2.3.2", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow~=1.30", "1.30.1", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow<2,>=1.30", None, {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow<3,>=2.1", None, {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow<3,>=2.16", "2.20.0", {"mlflow-skinny<3,>=2.16", "numpy", "pandas<3"}),
        ("mlflow>=3.1", "2.1.0", {"mlflow-skinny>=3.1", "numpy", "pandas<3"}),
        ("mlflow", "main", {"mlflow-skinny<3,>=2.22", "numpy<2", "pandas<3"}),
        ("mlflow>=3.1", "3.17.2", {"mlflow-skinny>=3.1", "numpy", "pandas"}),
    ],
)
def test_other_flavors_get_a_library_that_loads_them(
    tmp_path: Path, run: Run, asked: str, written_by: str | None, library: set[str]
) -> None:
    text = PYTHON_MODEL.replace("{{ENV}}", "mlflow_env.yml") + (f"mlflow_version: {written_by}\n" if written_by else "")
    files = {"mlflow_env.yml": CONDA.format(conda="pip", pip=PIP.format(mlflow=asked)), "code/helper.py": "x = 1\n"}
    serving = serving_in(folder_of(tmp_path / "model", text, files), "python", run)
    assert serving.told == {"loader": "pyfunc", "path": "model", "inputs": []}
    assert set(serving.requests.requirements) == {"cloudpickle==1.6.0"} | library
    assert serving.source == "model python:1, model/mlflow_env.yml"


def test_what_the_folder_asks_for_is_left_as_it_is(tmp_path: Path, run: Run) -> None:
    files = {
        "conda.yaml": CONDA.format(conda="numpy=1.19.5", pip="  - keras==2.3.0\n  - tensorflow==1.14.0\n  - mlflow")
    }
    asked = serving_in(folder_of(tmp_path / "model", KERAS, files), "keras", run).requests.requirements
    assert {"numpy==1.19.5.*", "keras==2.3.0", "pandas<3"} <= set(asked)
    assert any(each.startswith("tensorflow") for each in asked)


@pytest.mark.parametrize("env", ["mlflow_env.yml", "{conda: mlflow_env.yml, virtualenv: python_env.yaml}"])
def test_an_environment_that_is_not_there(tmp_path: Path, run: Run, env: str) -> None:
    folder = folder_of(tmp_path / "model", PYTHON_MODEL.replace("{{ENV}}", env), {})
    with pytest.raises(InputError, match=r"names its packages in mlflow_env\.yml, .*register the whole folder"):
        serving_in(folder, "m", run)


SPLIT = {"columns": ["a"], "data": [[1]]}


@pytest.mark.parametrize(
    ("info", "example", "request_body"),
    [
        ("{type: ndarray, format: tf-serving}", {"inputs": [[1.5]]}, {"inputs": [[1.5]]}),
        ("{type: dataframe, pandas_orient: split}", SPLIT, {"dataframe_split": SPLIT}),
    ],
)
def test_examples_become_requests(tmp_path: Path, info: str, example: Any, request_body: Any) -> None:
    info = info.replace("{", "{artifact_path: input_example.json, ")
    text = f"{V110}saved_input_example_info: {info}\n"
    folder = folder_of(tmp_path / "model", text, {"input_example.json": json.dumps(example), **ONE_FILE})
    with open_mlflow(str(folder)) as found:
        assert found.sample_input is not None
        assert json.loads(found.sample_input.read_text()) == request_body
