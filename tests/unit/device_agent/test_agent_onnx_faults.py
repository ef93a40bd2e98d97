"""Whose fault a failed run is, by real ONNX models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from device_agent import BadInput, onnx_script

FLOAT, TEXT = TensorProto.FLOAT, TensorProto.STRING
Inputs = dict[str, tuple[int, list[int | None]]]
PAIR: Inputs = {"age": (FLOAT, [None, 1]), "income": (FLOAT, [None, 1])}


def serve(
    folder: Path, monkeypatch: pytest.MonkeyPatch, node: Any, inputs: Inputs, constants: dict[str, Any] | None = None
) -> None:
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        initializer=[numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    onnx_script.init()


def refusal(document: object) -> str:
    with pytest.raises(BadInput) as caught:
        onnx_script.run(json.dumps(document))
    return str(caught.value)


@pytest.mark.parametrize(
    "node", [helper.make_node("Concat", list(PAIR), ["y"], axis=1), helper.make_node("Add", list(PAIR), ["y"])]
)
def test_different_numbers_of_rows_are_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: Any) -> None:
    serve(tmp_path, monkeypatch, node, PAIR)
    assert onnx_script.run('{"age": [[1], [2]], "income": [[3], [4]]}')
    said = refusal({"age": [[1], [2]], "income": [[3], [4], [5]]})
    assert f"The model's {node.op_type} does not take the input: " in said
    assert ". The inputs have different numbers of rows: 'age' has 2, 'income' has 3. The model expects: 'age' " in said
    assert "onnxruntime_src" not in said


@pytest.mark.parametrize(
    ("node", "kind", "value", "said"),
    [
        (
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            FLOAT,
            [[1, 2]],
            "MatMul does not take the input: MatMul dimension",
        ),
        (helper.make_node("Reshape", ["x", "s"], ["y"]), FLOAT, [[1, 2, 3]], "Reshape does not .* cannot be reshaped"),
        (helper.make_node("Cast", ["x"], ["y"], to=FLOAT), TEXT, [["much"]], "Cast does not take the input: stod"),
        (
            helper.make_node("OneHotEncoder", ["x"], ["y"], domain="ai.onnx.ml", cats_strings=["red"], zeros=0),
            TEXT,
            [["blue"]],
            "OneHotEncoder does not take the input: Unknown Category",
        ),
    ],
)
def test_open_sizes_and_values_are_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: Any, kind: int, value: object, said: str
) -> None:
    constants = {"w": np.zeros((3, 1), dtype=np.float32), "s": np.array([-1, 2])}
    taken = {name: each for name, each in constants.items() if name in node.input}
    serve(tmp_path, monkeypatch, node, {"x": (kind, [None, None])}, taken)
    with pytest.raises(BadInput, match=said):
        onnx_script.run(json.dumps(value))


def test_shapes_that_a_model_leaves_no_choice_of_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    serve(tmp_path, monkeypatch, node, {"x": (FLOAT, [3]), "s": (TensorProto.INT64, [2])})
    assert onnx_script.run('{"x": [1, 2, 3], "s": [3, 1]}') == {"y": [[1], [2], [3]]}
    with pytest.raises(Exception, match="cannot be reshaped") as caught:
        onnx_script.run('{"x": [1, 2, 3], "s": [2, 2]}')
    assert not isinstance(caught.value, BadInput)


def test_lack_of_memory_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = helper.make_node("Expand", ["x", "s"], ["y"])
    serve(tmp_path, monkeypatch, node, {"x": (FLOAT, [None]), "s": (TensorProto.INT64, [None])})
    with pytest.raises(Exception, match="Failed to allocate memory") as caught:
        onnx_script.run(json.dumps({"x": [1], "s": [2**50]}))
    assert not isinstance(caught.value, BadInput)
