"""Real models through the agent: the built-in ONNX scorer, and a scikit-learn script in the classic Azure shape."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression

from tests.integration.device_agent.agent_under_test import agent_process, served

CLASSIC = """
import json, os, joblib, numpy

def init():
    global model
    model_path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model/sklearn_regression_model.pkl")
    model = joblib.load(model_path)

def run(raw_data):
    data = json.loads(raw_data)["data"]
    data = numpy.array(data)
    result = model.predict(data)
    return result.tolist()
"""


def _save_model(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> None:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def _tensor(name: str, kind: int, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _serve_model(folder: Path) -> Any:
    return agent_process(
        folder,
        EDGEPACK_ENTRY_MODULE="device_agent.onnx_script",
        AZUREML_MODEL_DIR="models",
        AML_APP_ROOT=str(folder),
    )


def test_an_onnx_model_is_served_without_a_script(tmp_path: Path) -> None:
    _save_model(
        tmp_path / "models" / "deep" / "sum.onnx",
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Log", ["sum"], ["log"])],
        [_tensor("a", TensorProto.FLOAT, "N", 2), _tensor("b", TensorProto.FLOAT, "N", 2)],
        [_tensor("sum", TensorProto.FLOAT, "N", 2), _tensor("log", TensorProto.FLOAT, "N", 2)],
    )
    with _serve_model(tmp_path) as agent:
        agent.wait_ready()
        answer = agent.post({"a": [[1, 2]], "b": [[0, -2.5]]})
        assert answer.json() == {"sum": [[1.0, -0.5]], "log": [[0.0, None]]}
        wrong = agent.post({"a": [[1, 2]], "b": [[1, 2], [3, 4]], "c": 1})
        assert wrong.status_code == 400
        assert "Unknown input 'c'. Dimension N is 1 in 'a' and 2 in 'b'." in wrong.json()["message"]
        for body in (b"", b"[[1, 2]]", b'{"a": [[NaN, 1]], "b": [[1, 1]]}', b"[" * 100_000, b"null", b"\xff"):
            answer = agent.post(body)
            assert answer.status_code == 400, body
            assert answer.headers["x-ms-run-function-failed"] == "False"
        agent.wait_log("azmlinfsrv.print - Serving models/deep/sum.onnx; inputs: 'a' float32 [N, 2]")


_KINDS = {
    TensorProto.FLOAT16: [1.5, -2.0],
    TensorProto.FLOAT: [1.5, -2.0],
    TensorProto.DOUBLE: [0.1, 1e300],
    TensorProto.INT8: [-128, 127],
    TensorProto.INT16: [-32768, 32767],
    TensorProto.INT32: [-(2**31), 2**31 - 1],
    TensorProto.INT64: [-(2**63), 2**63 - 1],
    TensorProto.UINT8: [0, 255],
    TensorProto.UINT16: [0, 65535],
    TensorProto.UINT32: [0, 2**32 - 1],
    TensorProto.UINT64: [0, 2**64 - 1],
    TensorProto.BOOL: [True, False],
    TensorProto.STRING: ["é", ""],
}


def test_every_tensor_type_passes_unchanged(tmp_path: Path) -> None:
    names = {kind: f"v{kind}" for kind in _KINDS}
    _save_model(
        tmp_path / "models" / "all.onnx",
        [helper.make_node("Identity", [name], [f"out_{name}"]) for name in names.values()],
        [_tensor(name, kind, "N") for kind, name in names.items()],
        [_tensor(f"out_{name}", kind, "N") for kind, name in names.items()],
    )
    with _serve_model(tmp_path) as agent:
        agent.wait_ready()
        answer = agent.post({name: _KINDS[kind] for kind, name in names.items()})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {f"out_{name}": _KINDS[kind] for kind, name in names.items()}


def test_maps_of_converted_classifiers_become_objects(tmp_path: Path) -> None:
    zip_map = helper.make_node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"])
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("p", helper.make_sequence_type_proto(kind))
    _save_model(tmp_path / "models" / "m.onnx", [zip_map], [_tensor("x", TensorProto.FLOAT, "N", 2)], [output])
    with _serve_model(tmp_path) as agent:
        agent.wait_ready()
        assert agent.post([[0.25, 0.75], [1, 0]]).json() == {"p": [{"no": 0.25, "yes": 0.75}, {"no": 1.0, "yes": 0.0}]}


def test_a_shape_that_only_the_runtime_can_judge_is_bad_input_too(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    _save_model(
        tmp_path / "models" / "m.onnx",
        [node],
        [_tensor("x", TensorProto.FLOAT, 2, 2)],
        [_tensor("y", TensorProto.FLOAT, 2, 2)],
    )
    with _serve_model(tmp_path) as agent:
        agent.wait_ready()
        assert agent.post([[1, 2], [3, 4]]).json() == {"y": [[1.0, 2.0], [3.0, 4.0]]}
        assert agent.post([[1, 2]]).status_code == 400


@pytest.mark.parametrize(
    ("files", "told"),
    [((), "found 0"), (("a.onnx", "b/c.onnx"), "found 2: a.onnx, b/c.onnx"), (("a.onnx",), "a.onnx failed")],
)
def test_without_exactly_one_good_model_the_agent_ends_with_3(
    tmp_path: Path, files: tuple[str, ...], told: str
) -> None:
    (tmp_path / "models").mkdir()
    for name in files:
        (tmp_path / "models" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_bytes(b"no model")
    with _serve_model(tmp_path) as agent:
        assert agent.exit_code() == 3
        assert told in agent.log


def test_a_scikit_learn_script_in_the_classic_shape(tmp_path: Path) -> None:
    features = np.arange(20, dtype=float).reshape(10, 2) ** 2
    model = LinearRegression().fit(features, features.sum(axis=1))
    versioned = tmp_path / "azureml-models" / "regression" / "1"
    (versioned / "model").mkdir(parents=True)
    joblib.dump(model, versioned / "model" / "sklearn_regression_model.pkl")
    with served(tmp_path, CLASSIC, AZUREML_MODEL_DIR="azureml-models/regression/1") as agent:
        answer = agent.post({"data": [[1, 2], [3, 4]]}, **{"content-type": "application/json"})
        np.testing.assert_allclose(answer.json(), [3.0, 7.0])
        assert agent.post({"wrong": 1}).status_code == 500
        agent.wait_log("KeyError: 'data'")


def test_a_script_that_asks_the_sdk_for_its_model(tmp_path: Path) -> None:
    source = """
from azureml.core.model import Model
def init():
    global text
    text = open(Model.get_model_path("words")).read()
def run(data): return text
"""
    folder = tmp_path / "azureml-models" / "words" / "3"
    folder.mkdir(parents=True)
    (folder / "words.txt").write_text("from version 3")
    with served(tmp_path, source) as agent:
        assert agent.post(b"").json() == "from version 3"
