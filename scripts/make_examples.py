"""Makes the small models of the example projects in templates/projects; run it after a change here, and commit them.

    .venv/bin/python scripts/make_examples.py

onnx: a two-layer network for scikit-learn's 8 x 8 digits, input `pixels` (float32, [N, 64], 0 to 16), outputs
`digit` (int64, [N]) and `probability` (float32, [N, 10]). sklearn: logistic regression on iris, saved with joblib.
"""

import json
from pathlib import Path

import joblib
import numpy as np
import onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PROJECTS = Path(__file__).parent.parent / "templates" / "projects"


def make_digits() -> None:
    """Train the network and write it as an ONNX file that old runtimes read too."""
    pixels, digits = load_digits(return_X_y=True)
    network = MLPClassifier((32,), max_iter=400, random_state=0).fit(pixels / 16.0, digits)
    weights = {
        name: numpy_helper.from_array(value.astype(np.float32), name)
        for name, value in {
            "scale": np.array(16.0),
            "w1": network.coefs_[0],
            "b1": network.intercepts_[0],
            "w2": network.coefs_[1],
            "b2": network.intercepts_[1],
        }.items()
    }
    nodes = [
        helper.make_node("Div", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probability"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 64])],
        [
            helper.make_tensor_value_info("digit", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 10]),
        ],
        list(weights.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    folder = PROJECTS / "onnx"
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "digits.onnx").write_bytes(model.SerializeToString())
    write_sample(folder, {"data": pixels[:2].astype(int).tolist()})


def make_iris() -> None:
    """Fit the pipeline and save it with joblib; the conda file pins the version that made it."""
    features, species = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, species)
    folder = PROJECTS / "sklearn"
    (folder / "model").mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model" / "iris.joblib")
    write_sample(folder, {"data": features[[0, 50, 100]].tolist()})
    (folder / "conda.yml").write_text(
        "name: scoring\nchannels:\n- conda-forge\ndependencies:\n- python=3.11\n"
        f"# the model was saved with this version and should be loaded with it\n- scikit-learn={sklearn.__version__}\n"
        "- numpy\n- joblib\n- pip:\n  - azureml-defaults\n"
    )


def write_sample(folder: Path, request: object) -> None:
    """Write the sample request of a project."""
    (folder / "sample-request.json").write_text(json.dumps(request) + "\n")


if __name__ == "__main__":
    make_digits()
    make_iris()
