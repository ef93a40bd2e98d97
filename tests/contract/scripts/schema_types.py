"""Every parameter type of inference-schema in one function; each parameter may be left out."""

import datetime

import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

FRAME = pd.DataFrame({"a": [1.5], "b": ["x"]})
NESTED = {
    "array": NumpyParameterType(np.array([[1.0, 2.0]])),
    "day": StandardPythonParameterType("x"),
    "list": StandardPythonParameterType([1]),
}


def init():
    pass


def shown(value):
    """A JSON value that shows types."""
    if isinstance(value, np.ndarray):
        return [type(value).__name__, value.dtype.name, value.tolist()]
    if isinstance(value, pd.DataFrame):
        return [type(value).__name__, list(map(str, value.columns)), value.values.tolist()]
    if isinstance(value, dict):
        return ["dict", {name: shown(part) for name, part in value.items()}]
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    if isinstance(value, datetime.date | datetime.time):
        return [type(value).__name__, value.isoformat()]
    return [type(value).__name__, value]


@input_schema("numpy_float", NumpyParameterType(np.array([[1.5, 2.0]])), optional=True)
@input_schema("numpy_int", NumpyParameterType(np.array([1, 2])), optional=True)
@input_schema("numpy_any_shape", NumpyParameterType(np.array([[1.5]]), enforce_shape=False), optional=True)
@input_schema("numpy_any_type", NumpyParameterType(np.array([1.5]), enforce_column_type=False), optional=True)
@input_schema("numpy_as_is", NumpyParameterType(np.array([1.5])), convert_to_provided_type=False, optional=True)
@input_schema("frame", PandasParameterType(FRAME), optional=True)
@input_schema("frame_split", PandasParameterType(FRAME, orient="split"), optional=True)
@input_schema("frame_index", PandasParameterType(FRAME, orient="index"), optional=True)
@input_schema("frame_columns", PandasParameterType(FRAME, orient="columns"), optional=True)
@input_schema("frame_values", PandasParameterType(FRAME, orient="values"), optional=True)
@input_schema("frame_any_type", PandasParameterType(FRAME, enforce_column_type=False), optional=True)
@input_schema("frame_any_shape", PandasParameterType(FRAME, enforce_shape=False), optional=True)
@input_schema("text", StandardPythonParameterType("x"), optional=True)
@input_schema("whole", StandardPythonParameterType(1), optional=True)
@input_schema("real", StandardPythonParameterType(1.5), optional=True)
@input_schema("truth", StandardPythonParameterType(True), optional=True)
@input_schema("sequence", StandardPythonParameterType([1, 2]), optional=True)
@input_schema("mapping", StandardPythonParameterType({"a": 1}), optional=True)
@input_schema("moment", StandardPythonParameterType(datetime.datetime(2024, 1, 2, 3, 4, 5)), optional=True)
@input_schema("clock", StandardPythonParameterType(datetime.time(1, 2, 3)), optional=True)
@input_schema("day", StandardPythonParameterType(datetime.date(2024, 1, 2)), optional=True)
@input_schema("binary", StandardPythonParameterType(b"x"), optional=True)
@input_schema("nested", StandardPythonParameterType(NESTED), optional=True)
@output_schema(StandardPythonParameterType("never enforced"))
def run(
    numpy_float=None,
    numpy_int=None,
    numpy_any_shape=None,
    numpy_any_type=None,
    numpy_as_is=None,
    frame=None,
    frame_split=None,
    frame_index=None,
    frame_columns=None,
    frame_values=None,
    frame_any_type=None,
    frame_any_shape=None,
    text=None,
    whole=None,
    real=None,
    truth=None,
    sequence=None,
    mapping=None,
    moment=None,
    clock=None,
    day=None,
    binary=None,
    nested=None,
):
    return [[name, *shown(value)] for name, value in locals().items() if value is not None]
