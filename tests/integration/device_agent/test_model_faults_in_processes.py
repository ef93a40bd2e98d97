"""Whose fault a failed prediction is where joblib ran the estimator in a process: its traceback comes as a text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.validation import check_array

from device_agent import BadInput, model_script


class Own(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of the user's own, with a fault."""

    def fit(self, x: Any, y: Any = None) -> "Own":
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> Any:
        """Check it; fail for large numbers."""
        checked = check_array(x, dtype=float)
        if checked.max() > 50:
            raise ValueError("Input X contains NaN")
        return checked


@pytest.fixture
def _no_process_is_left() -> Iterator[None]:
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.usefixtures("_no_process_is_left")
def test_faults_in_processes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_pipeline(make_union(Own(), Own(), n_jobs=2), LinearRegression()).fit([[1, 2], [3, 4]], [1, 2])
    joblib.dump(model, tmp_path / "m.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps({"loader": "joblib", "path": "m.joblib", "inputs": []}))
    model_script.init()
    assert model_script.run('{"data": [[1, 2]]}') == pytest.approx([1])
    with pytest.raises(BadInput, match="string to float: 'x'"):
        model_script.run('{"data": [["x", 2]]}')
    with pytest.raises(ValueError, match="contains NaN") as caught:
        model_script.run('{"data": [[99, 2]]}')
    assert not isinstance(caught.value, BadInput)
    assert type(caught.value.__cause__).__name__ == "_RemoteTraceback"
