"""The agent keeps what its own API description says, whatever a generator of requests makes of it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS

from tests.integration.device_agent.agent_under_test import served

PLAIN_SCRIPT = "def init(): pass\ndef run(data): return {'length': len(data)}\n"
SCHEMA_SCRIPT = """
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as Plain
def init(): pass
@input_schema("data", Plain([[1.5, 2.5]]))
@input_schema("name", Plain("pump"), optional=True)
@output_schema(Plain([0.5]))
def run(data, name="x"): return [float(len(name))]
"""


@pytest.mark.parametrize("source", [PLAIN_SCRIPT, SCHEMA_SCRIPT], ids=["plain", "schema"])
@pytest.mark.parametrize("version", ["2", "3", "3.1"])
def test_every_generated_request_gets_an_answer_of_the_description(tmp_path: Path, source: str, version: str) -> None:
    with served(tmp_path, source) as agent:
        document = httpx.get(f"{agent.url}/swagger.json", params={"version": version}).json()
        document.pop("schemes", None)  # the public address is behind a proxy that speaks https
        schema: Any = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=agent.url)
        paths = set()
        for found in schema.get_all_operations():
            operation = found.ok()
            paths.add((operation.method.upper(), operation.path))

            @given(case=operation.as_strategy())
            @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            def keeps_the_description(case: Any) -> None:
                response = case.call()
                case.validate_response(response, checks=CHECKS.get_by_names(CHECK_NAMES))

            keeps_the_description()
        assert paths == {("GET", "/"), ("POST", "/score"), ("GET", "/swagger.json")}
        assert agent.post({"data": [[1.0, 2.0]]}, **{"content-type": "application/json"}).status_code == 200


CHECK_NAMES = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
