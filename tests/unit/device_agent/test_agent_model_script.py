"""The built-in server of scikit-learn models, in this process."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from device_agent import BadInput, model_script


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, model: Any, inputs: list[dict[str, Any]]) -> None:
    joblib.dump(model, folder / "m.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps({"loader": "joblib", "path": "m.joblib", "inputs": inputs}))
    model_script.init()


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


def test_what_is_no_model_is_said_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"dict, which has no predict\(\)"):
        serve(tmp_path, monkeypatch, {}, [])
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(RuntimeError, match="is not there"):
        model_script.init()
    monkeypatch.delenv("EDGEPACK_SERVED_MODEL")
    with pytest.raises(RuntimeError, match="is not set"):
        model_script.init()
