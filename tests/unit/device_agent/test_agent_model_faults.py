"""Whose fault a failed prediction is, by real estimators that are asked through the built-in server."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_array

from device_agent import BadInput, model_script
from device_agent.model_faults import refusal_of_input

X, Y = np.array([[0.0, 1], [9.0, 2], [1.0, 1]]), [3, 4, 3]
NAMED = pd.DataFrame(X, columns=["a", "b"])
MIXED = pd.DataFrame({"size": [1.0, 9, 2], "colour": ["red", "blue", "red"]})


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    joblib.dump(model, folder / "m.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    monkeypatch.setenv("EDGEPACK_SERVED_MODEL", json.dumps({"loader": "joblib", "path": "m.joblib", "inputs": []}))
    model_script.init()


class Careful(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of the user's own that lets scikit-learn check what it gets."""

    def fit(self, x: Any, y: Any = None) -> "Careful":
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> Any:
        """Check it."""
        return check_array(x)


class Broken(Careful):
    """One that has a fault of its own: numpy raises a ValueError within it."""

    def transform(self, x: Any) -> Any:
        """Fail."""
        return np.asarray(x).reshape(7, 11)


class Unlucky(Careful):
    """One that raises a ValueError itself."""

    def transform(self, x: Any) -> Any:
        """Fail."""
        raise ValueError("Input X contains NaN")


class Narrow(Careful):
    """One that loses a column."""

    def transform(self, x: Any) -> Any:
        """All but the first."""
        return x[:, 1:]


def halved(x: Any) -> Any:
    """A function of a FunctionTransformer."""
    return np.asarray(x) @ np.zeros((5, 1))


def encoded() -> Any:
    encoder = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    return make_pipeline(encoder, LogisticRegression()).fit(MIXED, Y)


@pytest.mark.parametrize(
    ("model", "request_body", "said"),
    [
        (
            LogisticRegression().fit(X, Y),
            {"data": [["much", 1]]},
            "could not convert string to float: 'much'. .* 2 val",
        ),
        (LogisticRegression().fit(X, Y), {"data": [["much", "more"]]}, r"The model does not take this input: .*string"),
        (LogisticRegression().fit(X, Y), {"data": [[{"deep": 1}, 1]]}, "does not take this input: .*'dict'"),
        (LogisticRegression().fit(X, Y), {"data": [[10**400, 1]]}, "does not take this input: int too large"),
        (LogisticRegression().fit(X, Y), {"data": [["nan", 1]]}, "does not take this input: Input X contains NaN"),
        (RandomForestClassifier(n_estimators=2, n_jobs=2).fit(X, Y), {"instances": [["x", 1]]}, "string to float: 'x'"),
        (make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y), {"data": [["x", 1]]}, "to float: 'x'"),
        (LogisticRegression().fit(NAMED, Y), {"data": [{"a": "x", "b": 1}]}, "to float: 'x'.* columns 'a', 'b'"),
        (LogisticRegression().fit(NAMED, Y), {"data": [{"a": 1}]}, "Column 'b' is missing"),
        (LogisticRegression().fit(NAMED, Y), {"data": [[1, 2, 3]]}, "A row has 3 values"),
        (make_pipeline(Careful(), LinearRegression()).fit(X, Y), {"data": [["x", 1]]}, "string to float: 'x'"),
        (make_pipeline(Careful(), LinearRegression()).fit(X, Y), {"data": [[1]]}, "1 features, but .* expecting 2"),
        (encoded(), {"data": [{"size": 1, "colour": "green"}]}, "unknown categories .*green"),
        (encoded(), {"data": [{"size": "big", "colour": "red"}]}, "not take this input: .*big"),
    ],
)
def test_what_the_estimator_refuses_is_the_callers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any, request_body: dict[str, Any], said: str
) -> None:
    serve(tmp_path, monkeypatch, model)
    with pytest.raises(BadInput, match=said) as caught:
        model_script.run(json.dumps(request_body))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("transformer", "said"),
    [(Broken(), "reshape"), (Unlucky(), "contains NaN"), (FunctionTransformer(halved), "matmul")],
)
def test_a_fault_of_the_models_own_code_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transformer: Any, said: str
) -> None:
    fitted = make_pipeline(Careful(), LinearRegression()).fit(X, Y)
    fitted.steps[0] = ("own", transformer)
    serve(tmp_path, monkeypatch, fitted)
    with pytest.raises(ValueError, match=said) as caught:
        model_script.run('{"data": [[1, null]]}')
    assert not isinstance(caught.value, BadInput)


def union_of(transformer: Any) -> Any:
    """A model that runs the transformer with joblib, here in threads; in processes: an integration test."""
    fitted = make_pipeline(make_union(Careful(), Careful(), n_jobs=2), LinearRegression())
    with joblib.parallel_config("threading"):
        fitted.fit(X, Y)
    fitted.steps[0][1].transformer_list[0] = ("own", transformer)
    return fitted


class Quoting(Careful):
    """One whose message looks as if scikit-learn had raised it."""

    def transform(self, x: Any) -> Any:
        """Fail."""
        raise ValueError(f'tried:\n  File "{check_array.__code__.co_filename}", line 1, in check_array\n')


class Nesting(Careful):
    """One that runs another with joblib."""

    def transform(self, x: Any) -> Any:
        """As the other."""
        return make_union(Unlucky(), Careful(), n_jobs=2).fit(X).transform(x)


@pytest.mark.parametrize(
    ("transformer", "said"),
    [
        (Unlucky(), "contains NaN"),
        (Broken(), "reshape"),
        (FunctionTransformer(halved), "matmul"),
        (Quoting(), "tried"),
        (Nesting(), "contains NaN"),
    ],
)
def test_a_fault_of_code_that_joblib_ran_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transformer: Any, said: str
) -> None:
    serve(tmp_path, monkeypatch, union_of(transformer))
    with joblib.parallel_config("threading"), pytest.raises(ValueError, match=said) as caught:
        model_script.run('{"data": [[1, 2]]}')
    assert not isinstance(caught.value, BadInput)


def test_what_the_estimator_refuses_in_joblib_is_the_callers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path, monkeypatch, union_of(Careful()))
    with joblib.parallel_config("threading"), pytest.raises(BadInput, match="string to float: 'x'"):
        model_script.run('{"data": [["x", 2]]}')


@pytest.mark.parametrize("fitted_on", [X, NAMED], ids=["by place", "by name"])
def test_columns_that_the_model_itself_loses_are_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted_on: Any
) -> None:
    fitted = make_pipeline(StandardScaler(), Careful(), LinearRegression()).fit(fitted_on, Y)
    fitted.steps[1] = ("own", Narrow())
    serve(tmp_path, monkeypatch, fitted)
    with pytest.raises(ValueError, match="X has 1 features") as caught:
        model_script.run('{"data": [[1, 2]]}')
    assert not isinstance(caught.value, BadInput)


def test_a_model_that_was_not_trained_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, LogisticRegression())
    with pytest.raises(ValueError, match="not fitted yet") as caught:
        model_script.run('{"data": [[1, 2]]}')
    assert not isinstance(caught.value, BadInput)


def test_texts_and_numbers_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([["red", 1], ["blue", 2], ["red", 2]], dtype=object)
    serve(tmp_path, monkeypatch, make_pipeline(OneHotEncoder(), LogisticRegression()).fit(rows, Y))
    assert model_script.run('{"data": [["blue", 2], ["red", 1]]}') == [4, 3]
    with pytest.raises(BadInput, match="unknown categories"):
        model_script.run('{"data": [["blue", "2"]]}')


def test_a_table_is_one_to_a_model_that_says_nothing_of_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path, monkeypatch, Naming())
    assert model_script.run('{"dataframe_records": [{"b": 1, "a": 9}]}') == {"predictions": [["b", "a"]]}
    serve(tmp_path, monkeypatch, LogisticRegression().fit(X, Y))  # trained on an array, it knows no names
    assert model_script.run('{"dataframe_records": [{"b": 9, "a": 2}]}') == {"predictions": [4]}


class Naming:
    """Tells the names of its columns."""

    def predict(self, table: Any) -> Any:
        """The names, once."""
        return [list(table.columns)]


WIDTH = (
    "[23:24:13] /workspace/src/learner.cc:1289: Check failed: learner_model_param_.num_feature >= "
    "p_fmat->Info().num_col_ (2 vs. 3) : Number of columns does not match number of features in booster.\nStack trace:"
)
DATA_WIDTH = "The number of features in data (3) is not the same as it was in training data (2).\nYou can set .."
CATEGORY = "[1:2:3] /c.h:29: Found a category not in the training set for the 1th (0-based) column: `w`\nStack trace:"


@pytest.mark.parametrize(
    ("name", "text", "fits", "said"),
    [
        ("LightGBMError", DATA_WIDTH, False, DATA_WIDTH.partition("\n")[0]),
        ("LightGBMError", DATA_WIDTH, True, None),
        ("XGBoostError", WIDTH, False, WIDTH.partition("\n")[0]),
        ("XGBoostError", WIDTH, True, None),
        ("XGBoostError", CATEGORY, True, CATEGORY.partition("\n")[0]),
        ("XGBoostError", "[1:2:3] /d.cc:1: Check failed: valid: Input data contains `inf` or", True, "contains `inf`"),
        ("XGBoostError", "[1:2:3] /device.cu:1: Memory allocation error on worker 0: bad allocation", False, None),
        ("XGBoostError", "[1:2:3] /gbtree.h:130: Check failed: end <= 2 (9 vs. 2) : Out of range for", False, None),
        ("LightGBMError", "std::bad_alloc", False, None),
        ("LightGBMError", "[CUDA] out of memory /src/cuda.cu 79", False, None),
    ],
)
def test_errors_of_native_code_count_by_their_text(name: str, text: str, fits: bool, said: str | None) -> None:
    """The texts are those of LightGBM 4.7 and XGBoost 3.2, which are not of this environment."""
    package = "lightgbm.basic" if name == "LightGBMError" else "xgboost.core"
    kind = type(name, (Exception if name == "LightGBMError" else ValueError,), {})
    there: dict[str, Any] = {"__name__": package, "kind": kind, "text": text}
    exec("def check():\n    raise kind(text)", there)  # noqa: S102 - as if raised in that module
    told = refusal_of_input(_error_of(there["check"]), fits=fits)
    assert told is None if said is None else said in (told or "")
    assert "Stack" not in (told or "")


def test_long_refusals_are_cut() -> None:
    error = _error_of(lambda: OneHotEncoder().fit([["a"]]).transform([[letter * 90] for letter in "bcdefgh"]))
    said = refusal_of_input(error, fits=False)
    assert said is not None
    assert said.startswith("Found unknown categories")
    assert said.endswith("..")


def _error_of(call: Any) -> Exception:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - returned
        return error
    raise AssertionError("nothing was raised")
