"""A required and an optional member, and the headers."""

from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("data", StandardPythonParameterType([1, "mixed"]))
@input_schema("limit", StandardPythonParameterType(1), optional=True)
@output_schema(StandardPythonParameterType({"seen": 1}))
def run(data, limit=7, request_headers=None):
    if data == ["raise"]:
        raise ValueError("mine")
    return [data, limit, request_headers.get("X-Own")]
