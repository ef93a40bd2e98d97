"""Real builds from the real index and mirror: reproducible, cached, and run without an engine."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from simulator.module_runner import run_module
from tests.e2e.conftest import free_port, run_edgepack

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

CONDA = """\
name: project_environment
channels:
- anaconda
dependencies:
- python=3.6.2
- scikit-learn
- pip:
  - azureml-defaults
  - joblib
"""

TRAIN = """\
import sys, joblib, numpy
from sklearn.linear_model import Ridge
x = numpy.arange(40, dtype=float).reshape(20, 2)
joblib.dump(Ridge(alpha=0.5).fit(x, x @ [2.0, -1.0] + 3), sys.argv[1])
"""

CLASSIC = """\
import os
import logging
import json
import numpy
import joblib

def init():
    global model
    path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model/ridge.pkl")
    model = joblib.load(path)
    logging.info("init is done")

def run(raw_data):
    logging.info("request received")
    data = json.loads(raw_data)["data"]
    data = numpy.array(data)
    result = model.predict(data)
    return result.tolist()
"""

TWO_MODELS = """\
import json
import os
from azureml.core.model import Model
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
import words

def init():
    global tables
    tables = [json.load(open(Model.get_model_path(name))) for name in ("first", "second")]

@input_schema("text", StandardPythonParameterType("a b"))
@output_schema(StandardPythonParameterType([1]))
def run(text):
    return [table.get(word) for word in words.split(text) for table in tables]
"""


def score(dist: Path, roots: Path, body: bytes) -> Any:
    """Run the built image of this machine's platform as a process and score one request."""
    with (
        (roots.parent / "module.log").open("wb") as log,
        run_module(dist / "image", roots, free_port(), log=log, ready_s=90) as module,
    ):
        request = urllib.request.Request(f"{module.url}/score", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())


def test_two_builds_on_empty_caches_have_one_digest(tmp_path: Path) -> None:
    digests = []
    for name in ("here", "there/deeper"):
        folder = tmp_path / name
        run_edgepack(tmp_path, "init", str(folder / "scorer"))
        digests.append(run_edgepack(folder / "scorer", "build")["digest"])
    assert digests[0] == digests[1]
    for image in (tmp_path / "here/scorer/dist/image", tmp_path / "there/deeper/scorer/dist/image"):
        run_edgepack(tmp_path, "verify", str(image))


def test_warm_rebuild_makes_nothing_and_an_edit_only_the_script(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scorer"
    run_edgepack(tmp_path, "init", str(folder), workspace=workspace)
    first = run_edgepack(folder, "build", workspace=workspace)
    again = run_edgepack(folder, "build", "--locked", "--offline", workspace=workspace)
    assert again["digest"] == first["digest"]
    assert all(layer["cached"] for layer in layers(again))
    (folder / "score.py").write_text((folder / "score.py").read_text() + "\n# edited\n")
    edited = run_edgepack(folder, "build", "--locked", "--offline", workspace=workspace)
    assert {layer["kind"] for layer in layers(edited) if not layer["cached"]} == {"script"}
    unchanged = {layer["digest"] for layer in layers(first)} & {layer["digest"] for layer in layers(edited)}
    assert {layer["kind"] for layer in layers(edited) if layer["digest"] not in unchanged} == {"script"}
    shutil.rmtree(folder)


def layers(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All layers of all platforms of a build."""
    return [layer for image in report["platforms"].values() for layer in image["layers"]]


def test_classic_azure_script_with_its_own_conda_file(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "model" / "ridge.pkl")], check=True)
    (tmp_path / "score.py").write_text(CLASSIC)
    (tmp_path / "myenv.yml").write_text(CONDA)
    (tmp_path / "ic.json").write_text('{"entryScript": "score.py", "runtime": "python", "condaFile": "myenv.yml"}')
    run_edgepack(tmp_path, "model", "register", "-n", "ridge", "-p", "model", workspace=workspace)
    run_edgepack(tmp_path, "build", "-m", "ridge", "--ic", "ic.json", workspace=workspace)
    answer = score(tmp_path / "dist", tmp_path / "roots", b'{"data": [[1, 2], [30, 4]]}')
    import joblib

    expected = joblib.load(tmp_path / "model" / "ridge.pkl").predict([[1, 2], [30, 4]]).tolist()
    assert answer == pytest.approx(expected, rel=1e-12)


def test_two_models_schema_decorators_and_a_source_folder(workspace: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "words.py").write_text("def split(text):\n    return text.split()\n")
    (source / "score.py").write_text(TWO_MODELS)
    for name, table in (("first", {"a": 1, "b": 2}), ("second", {"a": 10})):
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
        run_edgepack(tmp_path, "model", "register", "-n", name, "-p", f"{name}.json", workspace=workspace)
    (tmp_path / "ic.yml").write_text("entryScript: score.py\nsourceDirectory: source\nruntime: python\n")
    run_edgepack(tmp_path, "build", "-m", "first:1", "-m", "second", "--ic", "ic.yml", workspace=workspace)
    assert score(tmp_path / "dist", tmp_path / "roots", b'{"text": "a b"}') == [1, 10, 2, None]


def test_onnx_model_without_a_script(workspace: Path, tmp_path: Path) -> None:
    run_edgepack(tmp_path, "init", str(tmp_path / "example"))
    model = tmp_path / "example" / "model" / "digits.onnx"
    run_edgepack(
        tmp_path, "model", "register", "-n", "bare", "-p", str(model), "--model-framework", "Onnx", workspace=workspace
    )
    report = run_edgepack(tmp_path, "build", "-m", "bare", workspace=workspace)
    assert all(image["size_bytes"] < 75e6 for image in report["platforms"].values())  # type: ignore[attr-defined]
    pixels = json.loads((tmp_path / "example" / "sample-request.json").read_text())["data"]
    answer = score(tmp_path / "dist", tmp_path / "roots", json.dumps({"pixels": pixels}).encode())
    assert answer["digit"] == [0, 1]
