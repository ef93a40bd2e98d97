"""The built-in entry module for a scikit-learn or MLflow model without a script (EDGEPACK_ENTRY_MODULE names it).

EDGEPACK_SERVED_MODEL, which the build sets, says in JSON what is served: `loader` (joblib, skops or pyfunc), `path`
(of the file, or for pyfunc of the folder, below AZUREML_MODEL_DIR), `trusted` (types that skops may load), and of the
signature `inputs` (name, type, required of each column) or `tensors` (name, dtype, shape), `params` (name, type,
default, is_list), `method` (if not predict), `is_hint` (made of type hints). `table_request` has the forms of a
request. What is asked as v1 did is answered with the predictions, what is asked in a form of MLflow with
`{"predictions": ..}`. `"method": "predict_proba"` asks a classifier for probabilities.
"""

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from device_agent.array_input import ModelInput
from device_agent.errors import BadInput
from device_agent.mlflow_model import input_as_mlflow_reads_it, load_pyfunc, predict
from device_agent.model_faults import refusal_of_input
from device_agent.request_params import Param, params_of, with_defaults
from device_agent.table_request import Column, FormRequest, Table, read_request, table_of
from device_agent.tensor_request import tensors_of
from device_agent.text_request import has_vectorizer, is_texts, takes_texts, texts_of

_NUMPY = {
    "double": "float64",
    "float": "float32",
    "integer": "int32",
    "long": "int64",
    "boolean": "bool",
    "datetime": "datetime64[ns]",
}
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class _Loaded:
    """The model, and what its signature or itself says of its inputs: `columns`, `tensors`, texts or nothing.

    `is_signed`: the columns are those of a signature.
    """

    model: Any
    is_pyfunc: bool
    columns: tuple[Column, ...]
    tensors: tuple[ModelInput, ...]
    params: tuple[Param, ...]
    method: str
    is_hint: bool
    is_signed: bool
    takes_texts: bool


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
    method = served.get("method") or "predict"
    if not callable(getattr(model, method, None)):
        raise RuntimeError(
            f"{path} holds a {type(model).__name__}, which has no {method}(): write an entry script for it"
        )
    _loaded = _loaded_model(model, served, method)
    inputs = _loaded.tensors or [column.name for column in _loaded.columns]
    otherwise = "texts" if _loaded.takes_texts else "as they come"
    print(f"Serving {path}; inputs: {', '.join(map(str, inputs)) or otherwise}")


def run(data: str) -> Any:
    """Score one request. Raises BadInput when `data` does not fit the model."""
    if _loaded is None:
        raise RuntimeError("init() has not been called")
    request = read_request(data, _loaded.method)
    found: list[Any] = []
    problems = []
    for part in (_input_of, _params_of):
        try:
            found.append(part(request, _loaded))
        except BadInput as error:
            problems.append(str(error))
    if problems:
        raise BadInput(" ".join(problems))
    answer = _plain(_answer(request, _loaded, *found))
    return {"predictions": answer} if request.is_mlflow else answer


def _loaded_model(model: Any, served: Mapping[str, Any], method: str) -> _Loaded:
    columns = [Column(each["name"], each["type"], each["required"]) for each in served["inputs"]]
    tensors = tuple(
        ModelInput(
            each["name"] or "",
            "string" if each["dtype"] == "str" else each["dtype"],
            tuple(None if size == -1 else size for size in each["shape"]),
        )
        for each in served.get("tensors", ())
    )
    params = tuple(
        Param(each["name"], each["type"], each["default"], each["is_list"]) for each in served.get("params", ())
    )
    is_pyfunc = served["loader"] == "pyfunc"
    if not columns and not tensors and not is_pyfunc:
        columns = [Column(str(name), "any") for name in getattr(model, "feature_names_in_", ())]
    return _Loaded(
        model,
        is_pyfunc,
        tuple(columns),
        tensors,
        params,
        method,
        is_hint=bool(served.get("is_hint")),
        is_signed=bool(served["inputs"]),
        takes_texts=not is_pyfunc and takes_texts(model),
    )


def _input_of(request: FormRequest, loaded: _Loaded) -> Any:
    if loaded.tensors:
        return tensors_of(request, loaded.tensors)
    if loaded.is_pyfunc and not loaded.columns:
        return input_as_mlflow_reads_it(loaded.model, request, is_hint=loaded.is_hint)
    is_known = bool(loaded.columns) or hasattr(loaded.model, "n_features_in_")
    if loaded.takes_texts or (is_texts(request) and not loaded.is_pyfunc and not is_known):
        return np.array(texts_of(request, loaded.columns, takes_more=loaded.is_signed), dtype=object)
    return _table_of(request, loaded)


def _table_of(request: FormRequest, loaded: _Loaded) -> Any:
    table = table_of(request, loaded.columns, takes_more=loaded.is_signed)
    width = getattr(loaded.model, "n_features_in_", None)
    takes_table = bool(loaded.columns) or (width is None and find_spec("pandas") is not None)
    if table.columns is None or not takes_table:  # it was trained on an array
        return _array_of(table.rows, width)
    import pandas as pd

    _refuse_rounded(table)
    frame = pd.DataFrame(table.rows, columns=list(table.columns))
    kinds = {column.name: _NUMPY[column.kind] for column in loaded.columns if column.kind in _NUMPY}
    whole = {name: kind for name, kind in kinds.items() if kind[0] in "fd" or not frame[name].isna().any()}
    frame = frame.astype(whole)
    if loaded.is_pyfunc:  # as MLflow does it; scikit-learn wants all columns, and knows missing values
        return frame.drop(columns=list(table.left_out))
    return frame


def _array_of(rows: list[list[Any]], width: int | None) -> Any:
    try:
        array = np.array(rows)
    except ValueError as error:
        raise BadInput(f"The rows are no table: {error}.") from None
    if width is not None and array.shape[1:] != (width,):
        raise BadInput(f"Expected rows of {width} values, found shape {list(array.shape)}.")
    if array.dtype.kind == "U" and not all(isinstance(value, str) for row in rows for value in row):
        return np.array(rows, dtype=object)  # else numpy writes the numbers beside texts as texts
    return array


def _refuse_rounded(table: Table) -> None:
    """Beside missing values, pandas keeps whole numbers as floats, which hold them exactly up to 2**53."""
    large = [
        name
        for name, values in zip(table.columns or (), zip(*table.rows, strict=True), strict=False)
        if any(value is None or value != value for value in values)
        and any(isinstance(value, int) and abs(value) > 2**53 for value in values)
    ]
    if large:
        listing = ", ".join(map(repr, large))
        raise BadInput(f"Column {listing}: whole numbers beyond {2**53} cannot be kept exactly beside a missing value.")


def _params_of(request: FormRequest, loaded: _Loaded) -> dict[str, Any] | None:
    """The parameters for the model; None: it takes none.

    MLflow's server ignores those of scikit-learn models: here the method gets what it takes, and the rest is refused.
    """
    if loaded.is_pyfunc:
        given = params_of(request.params, loaded.params)
        return with_defaults(given, loaded.params) if loaded.params else None
    names = sorted(_keywords(loaded.model, request.method)) if request.params else []
    taken = [param for param in loaded.params if param.name in names]
    return params_of(request.params, taken if loaded.params else [Param(name, "any") for name in names])


def _keywords(model: Any, method: str) -> set[str]:
    """The names of the parameters of a method besides its data; a pipeline's are those of its last step."""
    function = getattr(model, method, None)
    parameters = list(inspect.signature(function).parameters.values()) if callable(function) else []
    names = {each.name for each in parameters[1:] if each.kind in _KEYWORDS}
    steps = getattr(model, "steps", None)
    if steps and any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        names |= _keywords(steps[-1][1], method)
    return names


def _answer(request: FormRequest, loaded: _Loaded, data: Any, params: dict[str, Any] | None) -> Any:
    method = getattr(loaded.model, request.method, None)
    if not callable(method):
        raise BadInput(f"The model has no {request.method}.")
    asked = _unlike_its_columns(data) if not loaded.is_pyfunc and has_vectorizer(loaded.model) else data
    try:
        answer = predict(loaded.model, data, params) if loaded.is_pyfunc else method(asked, **(params or {}))
    except BadInput:
        raise
    except Exception as error:
        refusal = refusal_of_input(error, fits=_fits(data, loaded))
        if refusal is None:
            raise
        is_null = "NaN" in refusal and _has_missing(data)
        said = "The model takes no null" if is_null else "The model does not take this input"
        raise BadInput(f"{said}: {refusal.rstrip('.')}.{_expected(loaded.model)}") from None
    _refuse_other_count(answer, asked, loaded.model)
    return answer if asked is data else answer[: len(data)]


def _unlike_its_columns(data: Any) -> Any:
    """A table with one row more where it has as many as columns: so that its names, if scored, are too few."""
    shape: tuple[int, ...] = getattr(data, "shape", ())
    return data.iloc[[*range(shape[0]), -1]] if hasattr(data, "iloc") and len({*shape}) == 1 else data


def _refuse_other_count(answer: Any, data: Any, model: Any) -> None:
    """An estimator predicts row by row; one of texts that is given a table takes the names of its columns for texts."""
    rows, found = getattr(data, "shape", ())[:1], getattr(answer, "shape", ())[:1]
    if hasattr(model, "get_params") and rows and found and rows != found:
        raise RuntimeError(
            f"the model answered {found[0]} predictions to {rows[0]} rows: it does not take its input as a table; "
            "write an entry script for it"
        )


def _fits(data: Any, loaded: _Loaded) -> bool:
    """Whether the input has the columns that the signature names, or as many as the model itself knows of."""
    width = len(loaded.columns) or getattr(loaded.model, "n_features_in_", None)
    return width is not None and getattr(data, "shape", ())[1:] == (width,)


def _expected(model: Any) -> str:
    """What the model itself knows of its input, as a sentence to add."""
    names, width = getattr(model, "feature_names_in_", None), getattr(model, "n_features_in_", None)
    if names is not None:
        return f" The model expects columns {', '.join(map(repr, map(str, names)))}."
    return "" if width is None else f" The model expects rows of {width} values."


def _has_missing(data: Any) -> bool:
    values = np.asarray(data)
    return any(value is None for value in values.flat) or bool(np.any(values != values))


def _load_joblib(path: Path, _trusted: Sequence[str]) -> Any:
    import joblib

    return joblib.load(path)


def _load_skops(path: Path, trusted: Sequence[str]) -> Any:
    from skops.io import load

    return load(path, trusted=list(trusted))


_LOADERS: dict[str, Callable[[Path, Sequence[str]], Any]] = {
    "joblib": _load_joblib,
    "skops": _load_skops,
    "pyfunc": lambda path, _trusted: load_pyfunc(path),
}


def _plain(value: Any) -> Any:
    """A prediction as lists, objects and scalars; arrays within them are written where the answer becomes JSON."""
    if hasattr(value, "to_frame"):  # a series, as MLflow answers it
        value = value.to_frame()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    return value.tolist() if hasattr(value, "tolist") else value
