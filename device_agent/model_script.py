"""The built-in entry module for a scikit-learn or MLflow model without a script (EDGEPACK_ENTRY_MODULE names it).

EDGEPACK_SERVED_MODEL, which the build sets, says in JSON what is served: `loader` (joblib, skops or pyfunc), `path`
(of the file, or for pyfunc of the folder, below AZUREML_MODEL_DIR), `inputs` (name, type, required of each column) and
`trusted` (types that skops may load). `table_request` has the forms of a request. What is asked as v1 did is answered
with the list of predictions, what is asked in a form of MLflow with `{"predictions": [..]}`. `"method":
"predict_proba"` asks a classifier for probabilities.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_agent.errors import BadInput
from device_agent.table_request import Column, TableRequest, parse_request


@dataclass(frozen=True)
class _Loaded:
    model: Any
    signature: tuple[Column, ...]
    wants_frame: bool


_loaded: _Loaded | None = None


def init() -> None:
    """Load the model. Raises RuntimeError when the image does not say which, or it is no model."""
    global _loaded
    text = os.environ.get("EDGEPACK_SERVED_MODEL", "")
    if not text:
        raise RuntimeError(
            "EDGEPACK_SERVED_MODEL is not set: a build sets it for a model that is served without a script"
        )
    served = json.loads(text)
    path = Path(os.environ.get("AZUREML_MODEL_DIR", "")) / served["path"]
    if not path.exists():
        raise RuntimeError(f"{path} is not there: AZUREML_MODEL_DIR must be the folder that holds it")
    model = _LOADERS[served["loader"]](path, served.get("trusted") or ())
    if not callable(getattr(model, "predict", None)):
        raise RuntimeError(
            f"{path} holds a {type(model).__name__}, which has no predict(): write an entry script for it"
        )
    signature = tuple(Column(each["name"], each["type"], each["required"]) for each in served["inputs"])
    names = getattr(model, "feature_names_in_", None)
    if not signature and names is not None:
        signature = tuple(Column(str(name), "any") for name in names)
    _loaded = _Loaded(model, signature, served["loader"] == "pyfunc" or bool(signature))
    print(f"Serving {path}; columns: {', '.join(column.name for column in signature) or 'as they come'}")


def run(data: str) -> Any:
    """Score one request. Raises BadInput when `data` does not fit the model."""
    if _loaded is None:
        raise RuntimeError("init() has not been called")
    request = parse_request(data, _loaded.signature)
    method = getattr(_loaded.model, request.method, None)
    if not callable(method):
        raise BadInput(f"The model has no {request.method}.")
    answer = _plain(method(_table_of(request, _loaded)))
    return {"predictions": answer} if request.is_mlflow else answer


def _table_of(request: TableRequest, loaded: _Loaded) -> Any:
    if not loaded.wants_frame and request.columns is None:
        try:
            table = np.array(request.rows)
        except ValueError as error:
            raise BadInput(f"The rows are no table: {error}.") from None
        width = getattr(loaded.model, "n_features_in_", None)
        if width is not None and table.shape[1:] != (width,):
            raise BadInput(f"Expected rows of {width} values, found shape {list(table.shape)}.")
        return table
    import pandas as pd

    frame = pd.DataFrame(request.rows, columns=list(request.columns) if request.columns is not None else None)
    kinds = {column.name: _NUMPY[column.kind] for column in loaded.signature if column.kind in _NUMPY}
    absent = {name for name in kinds if frame[name].isna().any()}
    frame = frame.astype({name: kind for name, kind in kinds.items() if name not in absent})
    return frame if loaded.wants_frame else frame.to_numpy()


_NUMPY = {"double": "float64", "float": "float32", "integer": "int32", "long": "int64", "boolean": "bool"}


def _load_joblib(path: Path, _trusted: Sequence[str]) -> Any:
    import joblib

    return joblib.load(path)


def _load_skops(path: Path, trusted: Sequence[str]) -> Any:
    from skops.io import load

    return load(path, trusted=list(trusted))


def _load_pyfunc(path: Path, _trusted: Sequence[str]) -> Any:
    from mlflow.pyfunc import load_model

    return load_model(str(path))


_LOADERS: dict[str, Callable[[Path, Sequence[str]], Any]] = {
    "joblib": _load_joblib,
    "skops": _load_skops,
    "pyfunc": _load_pyfunc,
}


def _plain(value: Any) -> Any:
    """A prediction as lists, objects and scalars."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    return value.tolist() if hasattr(value, "tolist") else value
