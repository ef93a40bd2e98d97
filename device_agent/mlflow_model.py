"""A model of `mlflow.pyfunc`: loaded, and asked as MLflow's scoring server asks it. MLflow is imported when needed."""

from pathlib import Path
from typing import Any

from device_agent.errors import BadInput
from device_agent.table_request import FormRequest

_BAD_REQUEST = 400


def load_pyfunc(path: Path) -> Any:
    """The model in the folder `path`."""
    from mlflow.pyfunc import load_model

    return load_model(str(path))


def input_as_mlflow_reads_it(model: Any, request: FormRequest, *, is_hint: bool) -> Any:
    """What MLflow's server makes of a request where the signature is neither plain columns nor tensors.

    Raises:
        BadInput: MLflow cannot read it so, or a model with type hints (`is_hint`) is not asked by `inputs`.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.proto_json_utils import dataframe_from_parsed_json, parse_tf_serving_input

    form, value = request.form, request.value
    if form == "data":  # as v1 asks: rows, or objects by column
        is_records = not is_hint and bool(value) and isinstance(value, list) and isinstance(value[0], dict)
        form = "dataframe_records" if is_records else "inputs"
    if is_hint:
        if form != "inputs":
            raise BadInput("The model says by type hints what it takes: ask it with inputs.")
        return value
    schema = model.metadata.get_input_schema()
    try:
        if form.startswith("dataframe_"):
            return dataframe_from_parsed_json(value, pandas_orient=form.removeprefix("dataframe_"), schema=schema)
        return parse_tf_serving_input({form: value}, schema=schema)
    except MlflowException as error:
        raise BadInput(error.message) from None


def predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    """The predictions; `params` None: the model takes none.

    Raises:
        BadInput: MLflow says that the input is at fault.
    """
    from mlflow.exceptions import MlflowException

    try:
        return model.predict(data) if params is None else model.predict(data, params=params)
    except MlflowException as error:
        if error.get_http_status_code() == _BAD_REQUEST:
            raise BadInput(error.message) from None
        raise
