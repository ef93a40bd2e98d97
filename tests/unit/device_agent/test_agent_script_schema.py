"""What a decorated script says about itself: schemas in plain JSON, whatever the samples hold."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from device_agent import entry_script
from device_agent.scorer import ScriptDescription, ScriptSource

pytest.importorskip("inference_schema", reason="inference-schema is not installed")

IMPORTS = """
import datetime
import numpy as np
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as Plain

class Own(AbstractParameterType):
    def __init__(self, example, versions=("2.0", "3.0", "3.1")):
        super().__init__(example)
        self.example, self.versions = example, versions
    def deserialize_input(self, input_data): return input_data
    def input_to_swagger(self): return {"type": "object", "example": self.example}
    def supported_versions(self): return list(self.versions)

def init(): pass
"""


@pytest.fixture(autouse=True)
def _unchanged_interpreter() -> Iterator[None]:
    """Scripts change the import path and the module table, and the package keeps what was decorated."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] not in ("numpy", "pandas"):  # numpy cannot be imported twice
            del sys.modules[name]


def _describe(folder: Path, source: str) -> ScriptDescription:
    (folder / "score.py").write_text(IMPORTS + source)
    return entry_script.load_script(ScriptSource(str(folder), "score.py")).description


def test_schemas_of_every_kind_of_sample(tmp_path: Path) -> None:
    source = """
@input_schema("data", NumpyParameterType(np.array([[1.5, float("nan")]])))
@input_schema("frame", PandasParameterType(pd.DataFrame({"a": [1], "at": [pd.Timestamp("2024-01-01")], "s": ["x"]})))
@input_schema("day", Plain(datetime.date(2024, 5, 1)))
@output_schema(NumpyParameterType(np.array([1, 2])))
def run(data, frame, day=None): return 1
"""
    description = _describe(tmp_path, source)
    assert json.loads(json.dumps(description.input_schema, allow_nan=False)) == description.input_schema
    assert description.input_schema["properties"]["data"] == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number", "format": "double"}},
        "format": "numpy.ndarray",
    }
    assert description.required_inputs == ("data", "frame")
    assert description.input_schema["example"]["data"] == [[1.5, None]]
    assert description.input_schema["example"]["day"] == "2024-05-01"
    assert description.output_schema["example"] == [1, 2]
    assert description.swagger_versions == ("2", "3", "3.1")
    assert ScriptDescription(**json.loads(json.dumps(asdict(description)))) == description


def test_values_of_numpy_and_time_in_an_example_are_made_plain(tmp_path: Path) -> None:
    example = "{'n': np.int64(3), 'a': np.array([1.0, np.inf]), 't': datetime.datetime(2024, 5, 1), 1: (1, 2)}"
    description = _describe(tmp_path, f"@input_schema('data', Own({example}))\ndef run(data): return 1\n")
    assert description.input_schema["example"]["data"] == {
        "n": 3,
        "a": [1.0, None],
        "t": "2024-05-01T00:00:00",
        1: [1, 2],
    }


def test_versions_are_those_that_all_decorators_support(tmp_path: Path) -> None:
    source = "@input_schema('data', Own(1, ['3.0', '3.1']))\n@output_schema(Own(1))\ndef run(data): return 1\n"
    assert _describe(tmp_path, source).swagger_versions == ("3", "3.1")


def test_what_is_not_decorated_is_any_object(tmp_path: Path) -> None:
    description = _describe(tmp_path, "def run(data): return 1\n")
    assert description == ScriptDescription()
    assert description.input_schema == {"type": "object", "example": {}}
    described = _describe(tmp_path, "@output_schema(Plain(['x']))\ndef run(data): return 1\n")
    assert described.input_schema == {"type": "object"}
    assert described.output_schema["type"] == "array"


def test_an_example_that_cannot_be_written_is_a_warning_not_a_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = "@input_schema('data', Own({1, 2}))\ndef run(data, request_headers=None): return 1\n"
    with caplog.at_level(logging.WARNING):
        description = _describe(tmp_path, source)
    assert description == ScriptDescription(wants_headers=True)
    (message,) = caplog.messages
    assert "does not tell what run() takes: NotSerialisable" in message
    assert "is of type set" in message
