"""The built-in server of scikit-learn models, in this process."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from device_agent import BadInput, model_script
from device_agent.result_json import encode_result


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, model: Any, inputs: list[dict[str, Any]], **more: Any) -> None:
    joblib.dump(model, folder / "m.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    told = {"loader": "joblib", "path": "m.joblib", "inputs": inputs, **more}
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps(told))
    model_script.init()


def param(name: str, kind: str, default: object) -> dict[str, object]:
    return {"name": name, "type": kind, "default": default, "is_list": False}


def test_rows_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, LogisticRegression().fit(np.array([[0.0, 1], [9.0, 1]]), [3, 4]), [])
    assert model_script.run('{"data": [[0, 1], [9, 1]]}') == [3, 4]
    assert model_script.run('{"instances": [[9, 1]]}') == {"predictions": [4]}
    chances = model_script.run('{"data": [[9, 1]], "method": "predict_proba"}')
    assert sum(chances[0]) == pytest.approx(1)
    with pytest.raises(BadInput, match="rows of 2 values"):
        model_script.run('{"data": [[1]]}')


def test_columns_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"a": [0.0, 9], "b": [1.0, 1]}), [3, 4])
    serve(tmp_path, monkeypatch, model, [{"name": name, "type": "double", "required": True} for name in "ab"])
    assert model_script.run('{"dataframe_records": [{"b": 1, "a": 9}]}') == {"predictions": [4]}
    serve(tmp_path, monkeypatch, model, [])  # the model itself knows its columns
    assert model_script.run('{"data": [{"b": 1, "a": 9}]}') == [4]


def test_columns_beside_those_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"a": [0.0, 9], "b": [1.0, 1]}), [3, 4])
    request = '{"dataframe_records": [{"id": "x", "b": 1, "a": 9}]}'
    serve(tmp_path, monkeypatch, model, [{"name": name, "type": "double", "required": True} for name in "ab"])
    assert model_script.run(request) == {"predictions": [4]}
    serve(tmp_path, monkeypatch, model, [])  # scikit-learn itself takes no others
    with pytest.raises(BadInput, match="Unknown column 'id'"):
        model_script.run(request)


def test_parameters_are_those_that_predict_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = BayesianRidge().fit(np.array([[0.0], [1], [2]]), [0, 1, 2])
    params = [param("return_std", "boolean", default=True), param("n", "long", 1)]
    serve(tmp_path, monkeypatch, model, [], params=params)
    assert model_script.run('{"inputs": [[1]]}') == {"predictions": [pytest.approx(1)]}
    answer = model_script.run('{"inputs": [[1]], "params": {"return_std": true}}')
    mean, deviation = json.loads(encode_result(answer))["predictions"]
    assert mean == [pytest.approx(1)]
    assert len(deviation) == 1
    with pytest.raises(BadInput) as caught:
        model_script.run('{"inputs": [[1, 2]], "params": {"return_std": 1, "n": 2}}')
    assert str(caught.value) == (
        "Expected rows of 1 values, found shape [1, 2]. Parameter 'return_std': expected boolean, found 1. "
        "Unknown parameter 'n'. The model takes: 'return_std' boolean."
    )
    pipeline = make_pipeline(StandardScaler(), BayesianRidge()).fit(np.array([[0.0], [1], [2]]), [0, 1, 2])
    serve(tmp_path, monkeypatch, pipeline, [])  # and without a signature
    assert len(model_script.run('{"inputs": [[1]], "params": {"return_std": true}}')["predictions"]) == 2
    with pytest.raises(BadInput, match=r"Unknown parameter 'x'\. The model takes: 'return_std' any"):
        model_script.run('{"inputs": [[1]], "params": {"x": true}}')


def test_tensors_and_the_method_of_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LogisticRegression().fit(np.array([[0.0, 1], [9.0, 1]]), [3, 4])
    tensors = [{"name": None, "dtype": "float64", "shape": [-1, 2]}]
    serve(tmp_path, monkeypatch, model, [], tensors=tensors, method="predict_proba")
    expected = model.predict_proba(np.array([[9.0, 1]])).tolist()
    assert model_script.run('{"inputs": [[9, 1]]}') == {"predictions": expected}
    assert model_script.run('{"dataframe_records": [{"x": 9, "y": 1}]}') == {"predictions": expected}
    assert model_script.run('{"data": [[9, 1]], "method": "predict"}') == [4]
    with pytest.raises(BadInput, match=r"found shape \[1\]. The model expects: float64 \[any, 2\]"):
        model_script.run('{"inputs": [1]}')


@pytest.mark.parametrize("inputs", [[], [{"name": "a", "type": "double", "required": True}]], ids=["rows", "columns"])
def test_missing_values_are_the_models_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[dict[str, Any]]
) -> None:
    x = pd.DataFrame({"a": [0.0, 1, np.nan]}) if inputs else np.array([[0.0], [1], [np.nan]])
    serve(tmp_path, monkeypatch, DecisionTreeClassifier().fit(x, [0, 1, 2]), inputs)
    assert model_script.run('{"inputs": [[null], [1]]}') == {"predictions": [2, 1]}
    assert model_script.run('{"inputs": [[NaN], [1]]}') == {"predictions": [2, 1]}
    serve(tmp_path, monkeypatch, LogisticRegression().fit(x[:2], [0, 1]), inputs)
    for missing in ("null", "NaN"):
        with pytest.raises(BadInput, match="The model takes no null: Input X contains NaN"):
            model_script.run(f'{{"inputs": [[{missing}]]}}')


def test_times_are_what_the_model_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = pd.DataFrame({"t": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    model = make_pipeline(FunctionTransformer(_days), LogisticRegression()).fit(x, [0, 1])
    serve(tmp_path, monkeypatch, model, [{"name": "t", "type": "datetime", "required": True}])
    assert model_script.run('{"dataframe_records": [{"t": "2026-01-02T00:00:00Z"}]}') == {"predictions": [1]}


def _days(frame: Any) -> Any:
    return frame.apply(lambda column: column.dt.day)


def test_series_are_answered_as_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, FunctionPredictor(), [])
    assert model_script.run('{"inputs": [[1], [2]]}') == {"predictions": [{"sum": 1}, {"sum": 2}]}


class FunctionPredictor:
    """Answers a series."""

    def predict(self, rows: Any) -> Any:
        return pd.Series(rows.sum(axis=1), name="sum")


def test_what_is_no_model_is_said_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"dict, which has no predict\(\)"):
        serve(tmp_path, monkeypatch, {}, [])
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(RuntimeError, match="is not there"):
        model_script.init()
    monkeypatch.delenv("EDGEPACK_SERVED_MODEL")
    with pytest.raises(RuntimeError, match="is not set"):
        model_script.init()


def test_whole_numbers_are_not_rounded_beside_missing_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    echo = FunctionTransformer(np.asarray, validate=False).fit(pd.DataFrame({"n": [1.0]}))
    serve(tmp_path, monkeypatch, echo, [{"name": "n", "type": "long", "required": False}], method="transform")
    with pytest.raises(BadInput, match="Column 'n': whole numbers beyond 9007199254740992"):
        model_script.run('{"data": [[9007199254740993], [null]]}')
    with pytest.raises(BadInput, match="Column 'n': whole numbers beyond 9007199254740992"):
        model_script.run('{"data": [[9007199254740993], [NaN]]}')
    (first,), (missing,) = json.loads(encode_result(model_script.run('{"data": [[9007199254740992], [null]]}')))
    assert (first, missing) == (2**53, None)
