"""One required member without mixed types: every version of the API description fits."""

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
@output_schema(StandardPythonParameterType({"total": 3.5}))
def run(data):
    return {"total": data.sum()}
