"""Run with the Python of the peer `mlflow`: writes MLflow folders to the folder ARGV[1], and to answers.json there what
MLflow's own scoring server answers to requests: [model, request, status, answer].
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.pyfunc.scoring_server import invocations
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
FOLDER = Path(sys.argv[1])
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
TABLE = pd.DataFrame(X, columns=list("abc"))


class Summing(mlflow.pyfunc.PythonModel):
    """Tells what it was given."""

    def predict(self, context, model_input, params=None):
        table = isinstance(model_input, pd.DataFrame)
        given = {"columns": list(model_input.columns)} if table else {"dtype": str(model_input.dtype)}
        total = float(np.nansum(np.asarray(model_input, dtype=float)))
        return [{"sum": total, **given, "params": {name: str(value) for name, value in (params or {}).items()}}]


class Named(mlflow.pyfunc.PythonModel):
    """Takes arrays by name."""

    def predict(self, context, model_input, params=None):
        return {name: array.sum(axis=tuple(range(1, array.ndim))) for name, array in model_input.items()}


class Hinted(mlflow.pyfunc.PythonModel):
    """Says by type hints what it takes."""

    def predict(self, model_input: list[str], params=None) -> list[str]:
        return [text.upper() for text in model_input]


class Series(mlflow.pyfunc.PythonModel):
    """Answers a series; has no signature."""

    def predict(self, context, model_input, params=None):
        return pd.Series(np.asarray(model_input, dtype=float).sum(axis=1), name="sum")


def save():
    """All folders."""
    binary = infer_signature(TABLE, Y)
    rows = infer_signature(X, Y)
    fitted = LogisticRegression().fit(TABLE, Y)
    mlflow.sklearn.save_model(fitted, FOLDER / "columns", signature=binary, input_example=TABLE.head(2))
    plain = LogisticRegression().fit(X, Y)
    mlflow.sklearn.save_model(
        plain, FOLDER / "rows", signature=rows, serialization_format="cloudpickle", pip_requirements=[]
    )
    mlflow.sklearn.save_model(
        plain, FOLDER / "chances", signature=rows, pyfunc_predict_fn="predict_proba", pip_requirements=[]
    )
    deviating, fitted = infer_signature(X, Y, params={"return_std": False}), BayesianRidge().fit(X, Y)
    mlflow.sklearn.save_model(fitted, FOLDER / "deviating", signature=deviating, pip_requirements=[])
    moods = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad", "very good"], [1, 0, 1])
    mlflow.sklearn.save_model(moods, FOLDER / "texts", pip_requirements=[])
    trees = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(TABLE, Y)
    mlflow.lightgbm.save_model(trees, FOLDER / "trees", signature=binary, input_example=TABLE.head(2))
    mlflow.sklearn.save_model(plain, FOLDER / "bare", pip_requirements=[])
    mlflow.lightgbm.save_model(trees, FOLDER / "bare_trees", pip_requirements=[])
    save_as_mlflow_1("old_trees", trees)
    params = {"factor": 2.0, "n": 3, "names": ["a", "b"], "flag": True, "text": "x", "deep": {"x": 1}}
    save_python("params", Summing(), signature=infer_signature(TABLE, [1.0], params=params))
    save_python("cube", Summing(), signature=infer_signature(np.zeros((2, 2, 3), dtype="float32"), [1.0]))
    arrays = {"a": np.zeros((2, 2)), "b": np.zeros(2, dtype="int64")}
    save_python("named", Named(), signature=infer_signature(arrays))
    save_python("typed", Summing(), signature=infer_signature(pd.DataFrame([TYPES]), [1.0]))
    save_python("hinted", Hinted(), input_example=["a"])
    save_python("unsigned", Series())


def save_as_mlflow_1(name, trees):
    """A folder with the keys and files of MLflow 1.10."""
    (FOLDER / name).mkdir()
    trees.booster_.save_model(FOLDER / name / "model.lgb")
    function = {
        "data": "model.lgb",
        "env": "conda.yaml",
        "loader_module": "mlflow.lightgbm",
        "python_version": "3.11.2",
    }
    flavors = {"lightgbm": {"data": "model.lgb", "lgb_version": lightgbm.__version__}, "python_function": function}
    (FOLDER / name / "MLmodel").write_text(json.dumps({"artifact_path": "model", "flavors": flavors}))
    pip = ["mlflow", f"lightgbm=={lightgbm.__version__}"]
    environment = {
        "channels": ["defaults"],
        "dependencies": ["python=3.11.2", "pip", {"pip": pip}],
        "name": "mlflow-env",
    }
    (FOLDER / name / "conda.yaml").write_text(json.dumps(environment))


def save_python(name, model, **options):
    """A folder that is in no image, and so without the packages, which take MLflow seconds to find out."""
    mlflow.pyfunc.save_model(FOLDER / name, python_model=model, pip_requirements=[], **options)


DATA = [[0.1, 0.2, 0.3], [-1.5, 0.5, 0.25]]
RECORDS = [dict(zip("abc", row, strict=True)) for row in DATA]
SPLIT = {"dataframe_split": {"columns": ["c", "b", "a"], "data": [row[::-1] for row in DATA]}}
MISSING = {"dataframe_split": {"columns": list("abc"), "data": [[0.1, None, 0.3]]}}
BY_NAME = [SPLIT, MISSING, {"dataframe_records": RECORDS}, {"inputs": TABLE.head(3).to_dict("list")}]
BY_NAME += [{"instances": RECORDS}, {"inputs": [[0.1, 0.2]]}, {"inputs": [[0.1, "x", 0.3]]}, {"dataframe_records": 1}]
EXTRA = [{**row, "id": "x"} for row in RECORDS]
BY_NAME += [
    {"dataframe_records": EXTRA},
    {"instances": EXTRA},
    {"inputs": {**TABLE.head(3).to_dict("list"), "id": ["x"] * 3}},
]
BY_NAME += [{"dataframe_split": {"columns": list("abcd"), "data": [[0.1, 0.2, 0.3, None]]}}]
BY_NAME += [
    {"dataframe_records": [{"a": float("nan"), "b": 1, "c": 2}]},
    {"dataframe_records": [{"a": "7", "b": " 1.5 ", "c": True}]},
]
TYPES = {"flag": True, "n": 3, "x": 1.5}
TYPED = [{"flag": 1, "n": "7", "x": "2.5"}, {"flag": 0.0, "n": True, "x": False}, {"flag": True, "n": "7.5", "x": 1}]
TYPED += [
    {"flag": True, "n": 1, "x": ""},
    {"flag": True, "n": 1, "x": float("nan")},
    {**TYPES, "more": 1},
    {"flag": True, "n": 1},
]
BY_PLACE = [{"inputs": DATA}, {"instances": DATA}, {"dataframe_records": RECORDS}, MISSING, {"inputs": [[0.1, 0.2]]}]
PARAMS = [{"factor": 3}, {"n": 7, "names": ["z"], "flag": False, "text": None}, {"deep": {"x": 2}}, {"deep": {"y": 2}}]
PARAMS += [{"n": "a"}, {"n": 1.5}, {"names": "a"}, {"flag": 1}, [1], {}, None]
UNFIT = [
    {"inputs": [["x", 1, 2]]},
    {"inputs": [["x", "y", "z"]]},
    {"inputs": [[1.0, 2.0]]},
    {"instances": [[{}, 1, 2]]},
]
UNFIT += [{"dataframe_split": {"columns": list("abc"), "data": [["x", 1, 2]]}}]
UNFIT += [{"dataframe_records": [{"a": 1, "b": 2}]}, {"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}]}]
CUBE = [[[1.0, 2, 3], [4, 5, 6.5]]]
REQUESTS = {
    "columns": BY_NAME,
    "trees": BY_NAME,
    "rows": BY_PLACE,
    "chances": BY_PLACE,
    "deviating": BY_PLACE,
    "bare": [{"inputs": DATA}, SPLIT, MISSING, *UNFIT],
    "bare_trees": [{"inputs": DATA}, *UNFIT],
    "old_trees": [{"inputs": DATA}, SPLIT],
    "params": [{**SPLIT, "params": params} for params in PARAMS],
    "cube": [
        {"inputs": CUBE},
        {"instances": CUBE},
        {"inputs": [[1, 2]]},
        {"dataframe_split": {"columns": ["x"], "data": [[[1.0, 2, 3, 4, 5, 6.5]]]}},
    ],
    "named": [
        {"inputs": {"a": [[1, 2], [3, 4.5]], "b": [5, 6]}},
        {"instances": [{"a": [1, 2], "b": 5}, {"a": [3, 4.5], "b": 6}]},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[[1, 2], 5]]}},
        {"inputs": {"a": [[1, 2]]}},
        {"inputs": {"a": [[1, 2]], "b": [5], "c": "x"}},
        {"instances": [{"a": [1, 2], "b": 5, "c": 1}, {"a": [1, 2], "b": 5}]},
        {"dataframe_records": [{"a": [1, 2], "b": 5, "c": "x"}]},
    ],
    "typed": [{"dataframe_records": [row]} for row in TYPED]
    + [{"inputs": {k: [v] for k, v in row.items()}} for row in TYPED],
    "texts": [{"inputs": ["good", "very bad"]}, {"instances": ["bad"]}],
    "hinted": [{"inputs": ["a", "b"]}, {"inputs": [1]}, {"instances": ["a"]}],
    "unsigned": [{"inputs": DATA}, {"instances": DATA}, SPLIT],
}


def answers():
    """What MLflow's server answers to each request."""
    for name, requests in REQUESTS.items():
        model = mlflow.pyfunc.load_model(str(FOLDER / name))
        for request in requests:
            try:
                body = json.dumps(request)
                reply = invocations(body, "application/json", model, model.metadata.get_input_schema())
            except MlflowException as error:
                yield name, request, error.get_http_status_code(), None
            else:
                yield name, request, reply.status, json.loads(reply.response)


if __name__ == "__main__":
    mlflow.set_tracking_uri(f"sqlite:///{FOLDER}/runs.db")
    save()
    (FOLDER / "answers.json").write_text(json.dumps(list(answers())))
