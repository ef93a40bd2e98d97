"""Scripts decorated by the real inference-schema package: conversion, and errors that are the caller's."""

from pathlib import Path

import httpx
import pytest

from tests.integration.device_agent.agent_under_test import served

pytest.importorskip("inference_schema", reason="inference-schema is not installed")

SCRIPT = """
import datetime
import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

NESTED = {"at": StandardPythonParameterType(datetime.time(1, 2))}

def init(): pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0]])))
@input_schema("day", StandardPythonParameterType(datetime.date(2024, 1, 1)), optional=True)
@input_schema("nested", StandardPythonParameterType(NESTED), optional=True)
@output_schema(NumpyParameterType(np.array([1.0])))
def run(data, day=None, nested=None, request_headers=None):
    if day is not None and day.year == 1999:
        raise ValueError("the script's own")
    return [type(data).__name__, data.dtype.name, data.sum(), day, nested and nested["at"], request_headers["X-Own"]]
"""


def test_schema_functions_get_converted_arguments(tmp_path: Path) -> None:
    with served(tmp_path, SCRIPT) as agent, httpx.Client(base_url=agent.url, headers={"x-own": "1"}) as client:
        agent.wait_log("run() is called with the members of a JSON object: data, day, nested")
        answer = client.post("/score", json={"data": [[1, 2]], "ignored": 1})
        assert answer.json() == ["ndarray", "float64", 3.0, None, None, "1"]
        answer = client.post("/score", json={"data": [[1, 2], [3, 4]], "day": "2024-05-06", "nested": {"at": "03:04"}})
        assert answer.json() == ["ndarray", "float64", 10.0, "2024-05-06", "03:04:00", "1"]
        query = client.get("/score", params={"data": "[[1, 2]]", "day": "2024-05-06"})
        assert query.json()[2:4] == [3.0, "2024-05-06"]
        assert client.options("/score").status_code == 200
        for value, reason in (
            ({}, "A value is not provided for the 'data' parameter."),
            ({"data": [1, 2]}, "The value of the 'data' parameter is not valid: Invalid input array"),
            ({"data": [["x", 2]]}, "The value of the 'data' parameter is not valid: could not convert string"),
            ({"data": {"a": 1}}, "The value of the 'data' parameter is not valid: Invalid input format"),
            ({"data": [[1, 2]], "day": "06.05.2024"}, "The value of the 'day' parameter is not valid"),
            ({"data": [[1, 2]], "nested": {"at": "x"}}, "The value of the 'nested' parameter is not valid"),
            ([1], "POST body should be a JSON dictionary."),
        ):
            answer = client.post("/score", json=value)
            assert (answer.status_code, answer.headers["x-ms-run-function-failed"]) == (400, "False"), value
            assert answer.json()["message"].startswith(reason)
        failed = client.post("/score", json={"data": [[1, 2]], "day": "1999-01-01"})
        assert (failed.status_code, failed.headers["x-ms-run-function-failed"]) == (500, "True")
        agent.wait_log("ValueError: the script's own")
        assert client.post("/score", content=b"{}").status_code == 415
        assert client.post("/score", headers={"content-type": "application/json"}).status_code == 400


def test_an_async_schema_function_is_awaited(tmp_path: Path) -> None:
    source = SCRIPT.replace("def run(", "async def run(")
    with served(tmp_path, source) as agent, httpx.Client(base_url=agent.url, headers={"x-own": "1"}) as client:
        assert client.post("/score", json={"data": [[1, 2]]}).json()[2] == 3.0
        assert client.post("/score", json={"data": 5}).status_code == 400
        assert client.post("/score", json={"data": [[1, 2]], "day": "1999-01-01"}).status_code == 500


def test_data_frames(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    source = """
import pandas as pd
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
def init(): pass
@input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]})))
def run(data):
    return [data["a"].sum(), data["b"].tolist(), data.iloc[0].to_dict()]
"""
    with served(tmp_path, source) as agent, httpx.Client(base_url=agent.url) as client:
        answer = client.post("/score", json={"data": [{"a": 1, "b": "y"}, {"a": 2.5, "b": "z"}]})
        assert answer.json() == [3.5, ["y", "z"], {"a": 1.0, "b": "y"}]
        assert client.post("/score", json={"data": [{"a": 1}]}).status_code == 400
        assert client.post("/score", json={"data": [{"a": "x", "b": "y"}]}).status_code == 400
        assert client.post("/score", json={"data": 3}).status_code == 400
