"""The schema names a parameter that run() does not have."""

from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema


def init():
    pass


@input_schema("other", StandardPythonParameterType("x"))
def run(data):
    return data
