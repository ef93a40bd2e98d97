"""The service's description: valid documents of three versions, with the shape that clients of Azure ML expect."""

import json
from typing import Any

import pytest

from device_agent.scorer import ScriptDescription
from device_agent.swagger import VERSIONS, swagger_document, swagger_error, swagger_version, user_file_names

OFFICIAL = {"2": "SWAGGER_20", "3": "OPENAPI_30", "3.1": "OPENAPI_31"}

PLAIN = ScriptDescription()
RAW = ScriptDescription(wants_headers=True, raw_http=True)
SCHEMA = ScriptDescription(
    swagger_versions=("2", "3", "3.1"),
    input_schema={
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": {"type": "number", "format": "double"}, "format": "numpy.ndarray"},
            "limit": {"type": "integer", "format": "int64"},
        },
        "example": {"data": [1.5], "limit": 3},
    },
    output_schema={"type": "array", "items": {"type": "string"}, "example": ["a"]},
    required_inputs=("data",),
)


def _document(version: str, description: ScriptDescription, **given: Any) -> dict[str, Any]:
    names = {"service_name": "My service", "service_version": "1.2", "path_prefix": ""} | given
    document = swagger_document(version, description, **names)
    assert document is not None
    return document


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("description", [PLAIN, RAW, SCHEMA], ids=["plain", "raw", "schema"])
@pytest.mark.parametrize("given", [{}, {"has_keys": True, "path_prefix": "/a/b/"}], ids=["bare", "keys and prefix"])
def test_documents_are_valid(version: str, description: ScriptDescription, given: dict[str, Any]) -> None:
    document = _document(version, description, **given)
    import jsonschema  # takes seconds: where it is used, so that other processes of a parallel run do without
    from schemathesis.specs.openapi import definitions

    jsonschema.validate(document, getattr(definitions, OFFICIAL[version]))
    assert json.loads(json.dumps(document)) == document
    _resolve(document, document)


def _resolve(part: Any, document: dict[str, Any]) -> None:
    """Every reference of the document points at something."""
    if isinstance(part, dict):
        if "$ref" in part:
            target: Any = document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
        for value in part.values():
            _resolve(value, document)
    elif isinstance(part, list):
        for value in part:
            _resolve(value, document)


@pytest.mark.parametrize(
    ("version", "first", "number"), [("2", "swagger", "2.0"), ("3", "openapi", "3.0.3"), ("3.1", "openapi", "3.1.0")]
)
def test_names_that_clients_know(version: str, first: str, number: str) -> None:
    document = _document(version, SCHEMA)
    assert next(iter(document.items())) == (first, number)
    assert (document["info"]["title"], document["info"]["version"]) == ("My service", "1.2")
    operations = {
        (path, method): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert operations == {
        ("/", "get"): "ServiceHealthCheck",
        ("/score", "post"): "RunMLService",
        ("/swagger.json", "get"): "GetSwaggerSpec",
    }
    schemas = document["definitions"] if version == "2" else document["components"]["schemas"]
    assert schemas.keys() == {"ServiceInput", "ServiceOutput", "ErrorResponse"}
    assert (schemas["ServiceInput"], schemas["ServiceOutput"]) == (SCHEMA.input_schema, SCHEMA.output_schema)
    schemes = document["securityDefinitions"] if version == "2" else document["components"]["securitySchemes"]
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["name"], schemes["Bearer"]["in"]) == (
        "apiKey",
        "Authorization",
        "header",
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("prefix", "start"), [("", "/"), ("/", "/"), ("a", "/a/"), ("/a/b/", "/a/b/")])
def test_paths_lie_below_the_prefix(version: str, prefix: str, start: str) -> None:
    paths = _document(version, PLAIN, path_prefix=prefix)["paths"]
    assert list(paths) == [start, f"{start}score", f"{start}swagger.json"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_is_optional_unless_the_service_has_one(version: str) -> None:
    def security(has_keys: bool) -> Any:
        return _document(version, PLAIN, has_keys=has_keys)["paths"]["/score"]["post"]["security"]

    assert security(False) == [{"Bearer": []}, {}]
    assert security(True) == [{"Bearer": []}]


@pytest.mark.parametrize("version", ["3", "3.1"])
def test_version_3_tells_of_errors_and_required_members(version: str) -> None:
    post = _document(version, SCHEMA)["paths"]["/score"]["post"]
    assert post["responses"].keys() == {"200", "400", "413", "415", "431", "500", "503", "default"}
    assert post["requestBody"]["required"] is True
    (content,) = post["requestBody"]["content"].values()
    assert content["schema"] == {"allOf": [{"$ref": "#/components/schemas/ServiceInput"}], "required": ["data"]}
    raw = _document(version, RAW)["paths"]["/score"]["post"]
    assert raw["requestBody"]["content"]["*/*"] == raw["responses"]["200"]["content"]["*/*"] == {"schema": {}}
    assert "required" not in raw["requestBody"]


def test_a_version_that_cannot_describe_the_script_has_no_document() -> None:
    description = ScriptDescription(swagger_versions=("3", "3.1"))
    given: dict[str, Any] = {"service_name": "x", "service_version": "1", "path_prefix": ""}
    assert swagger_document("2", description, **given) is None
    assert swagger_document("3", description, **given) is not None


@pytest.mark.parametrize(
    ("asked", "version"),
    [("2", "2"), ("2.0", "2"), ("3", "3"), ("3.0", "3"), ("3.1", "3.1"), ("9", None), ("", None), ("3.0.3", None)],
)
def test_names_of_versions(asked: str, version: str | None) -> None:
    assert swagger_version(asked) == version


def test_texts_of_what_is_not_to_be_had() -> None:
    assert swagger_error("9", ("3.1", "2", "3")) == (
        "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."
    )
    assert swagger_error("2", ("3", "3.1")) == (
        "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
    )


def test_files_of_the_author_in_the_order_of_precedence() -> None:
    assert [user_file_names(version) for version in VERSIONS] == [
        ("swagger.json", "swagger2.json"),
        ("swagger3.json",),
        ("swagger3.1.json",),
    ]
