"""Models of `mlflow.pyfunc` in this process, with a small package in MLflow's place that has the interface used.

tests/e2e/test_e2e_served_models.py asks the real library the same things.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from device_agent import BadInput, model_script

PACKAGE = {
    "__init__.py": "",
    "exceptions.py": """\
class MlflowException(Exception):
    def __init__(self, message, status=500):
        super().__init__(message)
        self.message, self.status = message, status

    def get_http_status_code(self):
        return self.status
""",
    "utils/__init__.py": "",
    "utils/proto_json_utils.py": """\
from mlflow.exceptions import MlflowException


def parse_tf_serving_input(document, schema=None):
    if document == {"inputs": "unreadable"}:
        raise MlflowException("cannot be read", 400)
    return ["tensors", document, schema]


def dataframe_from_parsed_json(value, pandas_orient, schema=None):
    return ["table", value, pandas_orient, schema]
""",
    "pyfunc.py": """\
from mlflow.exceptions import MlflowException


class Model:
    def __init__(self, path):
        self.path, self.metadata = path, self

    def get_input_schema(self):
        return "schema"

    def predict(self, data, params="none"):
        data = list(data.columns) if hasattr(data, "columns") else data
        if data == ["refused"]:
            raise MlflowException("does not fit", 400)
        if data == ["broken"]:
            raise MlflowException("is broken")
        return {"data": data, "params": params}


def load_model(path):
    return Model(path)
""",
}


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, **told: Any) -> None:
    """Start the agent's server on a model of the package."""
    for name, text in PACKAGE.items():
        path = folder / "packages" / "mlflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder / "packages")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    document = {"loader": "pyfunc", "path": "packages", "inputs": [], **told}
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps(document))
    model_script.init()


def ask(document: object) -> Any:
    """What the model was given, where it answers that."""
    answer = model_script.run(json.dumps(document))
    return answer.get("predictions", answer)


PARAMS = [
    {"name": "n", "type": "long", "default": 3, "is_list": False},
    {"name": "m", "type": "string", "default": "x", "is_list": False},
]
COLUMNS = [{"name": "a", "type": "double", "required": True}, {"name": "b", "type": "string", "required": False}]


def test_parameters_come_with_their_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, inputs=COLUMNS, params=PARAMS)
    assert ask({"inputs": {"a": [1]}, "params": {"n": 7}}) == {"data": ["a"], "params": {"n": 7, "m": "x"}}
    assert ask({"dataframe_records": [{"b": "y", "a": 1}]}) == {"data": ["a", "b"], "params": {"n": 3, "m": "x"}}
    with pytest.raises(BadInput, match=r"Unknown column 'c'\. Column 'a' .*Unknown parameter 'k'"):
        ask({"inputs": {"c": [1]}, "params": {"k": 7}})
    serve(tmp_path, monkeypatch, inputs=COLUMNS)
    assert ask({"inputs": {"a": [1]}})["params"] == "none"  # of a model without any, they are not spoken of
    with pytest.raises(BadInput, match="takes: no parameters"):
        ask({"inputs": {"a": [1]}, "params": {"n": 7}})


def test_inputs_that_mlflow_reads_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch)
    assert ask({"inputs": [1]})["data"] == ["tensors", {"inputs": [1]}, "schema"]
    assert ask({"instances": [1]})["data"] == ["tensors", {"instances": [1]}, "schema"]
    assert ask({"dataframe_records": [{"a": 1}]})["data"] == ["table", [{"a": 1}], "records", "schema"]
    assert ask({"data": [[1]]})["data"] == ["tensors", {"inputs": [[1]]}, "schema"]
    assert ask({"data": [{"a": 1}]})["data"] == ["table", [{"a": 1}], "records", "schema"]
    with pytest.raises(BadInput, match="cannot be read"):
        ask({"inputs": "unreadable"})


def test_type_hints_are_the_models_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, is_hint=True)
    assert ask({"inputs": ["a"]})["data"] == ask({"data": ["a"]})["data"] == ["a"]
    with pytest.raises(BadInput, match="ask it with inputs"):
        ask({"instances": ["a"]})


def test_whose_fault_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, is_hint=True)
    with pytest.raises(BadInput, match="does not fit"):
        ask({"inputs": ["refused"]})
    with pytest.raises(Exception, match="is broken") as caught:
        ask({"inputs": ["broken"]})
    assert not isinstance(caught.value, BadInput)
    with pytest.raises(BadInput, match="has no predict_proba"):
        ask({"inputs": ["a"], "method": "predict_proba"})
