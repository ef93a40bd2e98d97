"""MLflow folders as they are written by MLflow 1 to 3, and what a pickle says of itself."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from edgepack.errors import InputError
from edgepack.models.file_facts import read_pickle_facts
from edgepack.models.mlflow import framework_of, parse_mlmodel
from edgepack.models.mlflow_source import open_mlflow
from edgepack.models.pickle_facts import PickleFacts, pickle_facts
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest

COLUMNS = '[{"name": "a", "type": "double"}, {"name": "b", "type": "string", "required": false}]'
TEXT = f"""\
flavors:
  python_function: {{loader_module: mlflow.sklearn, model_path: model.pkl, python_version: 3.11.7}}
  sklearn: {{pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.9.1}}
mlflow_version: 3.17.2
run_id: 6dd91e21
saved_input_example_info: {{artifact_path: input_example.json, pandas_orient: split, type: dataframe}}
signature:
  inputs: '{COLUMNS}'
"""


def test_what_a_description_says() -> None:
    model = parse_mlmodel(TEXT, "MLmodel")
    assert [(each.name, each.type, each.required) for each in model.signature.columns] == [
        ("a", "double", True),
        ("b", "string", False),
    ]
    assert framework_of(model) == ("ScikitLearn", "1.9.1")
    assert model.properties == {"mlflow.flavor": "sklearn", "mlflow.version": "3.17.2", "mlflow.run_id": "6dd91e21"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", "must have a mapping `flavors`"),
        ("flavors: {crate: {model: crate.bin}}\n", "has the flavors crate"),
        ("flavors: {sklearn: {}}\nsignature: {inputs: '[{'}\n", "is not JSON"),
        ("flavors: {sklearn: {}}\nsignature: {inputs: '[1]'}\n", "list of columns or tensors"),
    ],
)
def test_what_is_no_description(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_mlmodel(text, "MLmodel")
    assert said in str(caught.value)


def test_the_example_becomes_a_request(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(TEXT)
    (tmp_path / "input_example.json").write_text('{"columns": ["a", "b"], "data": [[1.0, "x"]]}')
    with open_mlflow(str(tmp_path)) as found:
        assert found.sample_input is not None
        request = json.loads(found.sample_input.read_text())
    assert request == {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"]]}}


@pytest.mark.parametrize(
    ("flavor", "example", "expected"),
    [
        ("sklearn", '{"inputs": [[NaN, 1.0]]}', {"inputs": [[None, 1.0]]}),
        ("sklearn", '{"inputs": [[Infinity]]}', None),
        ("onnx", '{"inputs": {"x": [[1.0]]}}', {"x": [[1.0]]}),
        ("onnx", '{"inputs": {"x": [[NaN]]}}', None),
    ],
)
def test_an_example_with_missing_values_becomes_json(
    tmp_path: Path, flavor: str, example: str, expected: object
) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors: {{{flavor}: {{}}}}\n")
    (tmp_path / "serving_input_example.json").write_text(example)
    with open_mlflow(str(tmp_path)) as found:
        request = found.sample_input and json.loads(found.sample_input.read_text(), parse_constant=pytest.fail)
    assert request == expected


def test_a_folder_without_a_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MLmodel"), open_mlflow(str(tmp_path)):
        pass


def _lzma_alone(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_ALONE)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, zlib.compress, bz2.compress, lzma.compress, _lzma_alone])
def test_a_pickle_says_what_wrote_it(protocol: int, packed: object) -> None:
    model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    assert callable(packed)
    facts = pickle_facts(packed(pickle.dumps(model, protocol=protocol)))
    assert (facts.version, facts.has_column_names) == (sklearn.__version__, False)
    file = io.BytesIO()
    joblib.dump(model, file)
    assert pickle_facts(packed(file.getvalue())).version == sklearn.__version__


def test_other_bytes_say_nothing() -> None:
    assert pickle_facts(b"\x78 no zlib") == pickle_facts(b"") == pickle_facts(b"\x1f\x8b")


def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"a": [0.0, 1.0]}), [0, 1])
    facts = PickleFacts(sklearn.__version__, has_column_names=True)
    for name, compress in (("plain.joblib", 0), ("small.joblib", 3)):
        joblib.dump(model, tmp_path / name, compress=compress)
        assert read_pickle_facts(tmp_path / name) == facts
    (tmp_path / "empty.pkl").touch()
    assert read_pickle_facts(tmp_path / "empty.pkl") == PickleFacts()


def test_only_one_pickled_file_is_told_of(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "workspace")
    (tmp_path / "two").mkdir()
    for name in ("a.pkl", "b.pkl"):
        joblib.dump(LogisticRegression(), tmp_path / "two" / name)
    record = registry.register(RegisterRequest("two", tmp_path / "two", framework="ScikitLearn"))
    assert (record.framework_version, record.properties) == (None, {})
    record = registry.register(RegisterRequest("one", tmp_path / "two/a.pkl", framework="Custom"))
    assert (record.framework_version, record.properties) == (None, {})
    own = {"sklearn.column_names": "true"}
    asked = RegisterRequest(
        "one", tmp_path / "two/a.pkl", properties=own, framework="ScikitLearn", framework_version="1"
    )
    record = registry.register(asked)
    assert (record.framework_version, record.properties) == ("1", own)
