"""The service's description of itself: Swagger 2.0, OpenAPI 3.0 and 3.1, for generated clients and tools. Pure.

All three have the paths /, /score and /swagger.json below the prefix, the schemas ServiceInput, ServiceOutput and
ErrorResponse, and the header scheme Bearer, as clients of Azure ML services expect them. Versions 3 and 3.1 also
tell what Azure ML's do not: the members of the input that are required, and the statuses of errors.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from device_agent.scorer import JSON_TYPE, ScriptDescription

Document = dict[str, Any]

VERSIONS = ("2", "3", "3.1")
_ALIASES = {"2": "2", "2.0": "2", "3": "3", "3.0": "3", "3.1": "3.1"}
_FIRST_WORD = {"2": ("swagger", "2.0"), "3": ("openapi", "3.0.3"), "3.1": ("openapi", "3.1.0")}
_USER_FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}
_BEARER = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "The access key, if the service has one: Bearer KEY",
}
_ERROR_SCHEMA = {"type": "object", "properties": {"message": {"type": "string"}}}
_ERROR = "The request failed; the message says why."
_SCORE_ERRORS = {
    "400": "The input is not what the model takes.",
    "413": "The input is longer than the service accepts.",
    "415": "The input is not declared as JSON.",
    "431": "The headers, or a request id in them, are too long.",
    "500": "The scoring script failed, or its result cannot be sent.",
    "503": "The model is not ready, or too many requests are waiting.",
}
_HEALTHY = "The service is up; the body is the word Healthy."
_ASKED_VERSION = {
    "name": "version",
    "in": "query",
    "description": "The version of the description: 2 unless given.",
    "required": False,
}


def swagger_version(asked: str) -> str | None:
    """The one of VERSIONS that `asked` names, None when it names none."""
    return _ALIASES.get(asked)


def swagger_document(
    version: str,
    description: ScriptDescription,
    *,
    service_name: str,
    service_version: str,
    path_prefix: str,
    has_keys: bool = False,
) -> Document | None:
    """The document of `version` (one of VERSIONS), or None when it cannot describe the script.

    `has_keys` says whether requests need an access key; without one the key is optional.
    """
    if version not in description.swagger_versions:
        return None
    first_word, number = _FIRST_WORD[version]
    information = {
        "title": service_name,
        "description": f"The machine learning service {service_name}",
        "version": service_version,
    }
    security: list[Mapping[str, Any]] = [{"Bearer": []}] if has_keys else [{"Bearer": []}, {}]
    make = _swagger_2 if version == "2" else _openapi_3
    prefix = f"/{path_prefix.strip('/')}" if path_prefix.strip("/") else ""
    return {first_word: number, "info": information, **make(description, prefix, security)}


def swagger_error(asked: str, supported: Iterable[str]) -> str:
    """The text of the answer 404 to the version `asked`, when those in `supported` are to be had."""
    listed = ", ".join(sorted(supported))
    if swagger_version(asked) is None:
        return f"Swagger version [{asked}] is not valid. Supported versions: [{listed}]."
    return f"Swagger version [{asked}] is not supported for the scoring script. Supported swagger versions: [{listed}]."


def user_file_names(version: str) -> tuple[str, ...]:
    """Files in the app root that are served instead of the document of `version`; the first that exists wins."""
    return _USER_FILES[version]


def _swagger_2(description: ScriptDescription, prefix: str, security: list[Mapping[str, Any]]) -> Document:
    def answers(text: str, schema: Document) -> Document:
        return {
            "200": {"description": text, "schema": schema},
            "default": {"description": _ERROR, "schema": {"$ref": "#/definitions/ErrorResponse"}},
        }

    health = _health(answers(_HEALTHY, {"type": "string"}))
    health["produces"] = ["text/html", JSON_TYPE]
    body = {
        "name": "serviceInputPayload",
        "in": "body",
        "description": "The input of the model.",
        "schema": {"$ref": "#/definitions/ServiceInput"},
    }
    run = _run(answers("The result of the model.", {"$ref": "#/definitions/ServiceOutput"}))
    run |= {"security": security, "parameters": [body]}
    own = _own(answers("The description.", {"type": "object"}))
    own["parameters"] = [_ASKED_VERSION | {"type": "string", "enum": sorted(_ALIASES)}]
    paths = {f"{prefix}/": {"get": health}, f"{prefix}/score": {"post": run}, f"{prefix}/swagger.json": {"get": own}}
    return {
        "schemes": ["https", "http"],
        "consumes": [JSON_TYPE],
        "produces": [JSON_TYPE],
        "securityDefinitions": {"Bearer": _BEARER},
        "paths": paths,
        "definitions": {
            "ServiceInput": dict(description.input_schema),
            "ServiceOutput": dict(description.output_schema),
            "ErrorResponse": _ERROR_SCHEMA,
        },
    }


def _openapi_3(description: ScriptDescription, prefix: str, security: list[Mapping[str, Any]]) -> Document:
    error_content = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    output_content = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/ServiceOutput"}}}
    if description.raw_http:
        output_content["*/*"] = {"schema": {}}

    def answers(text: str, content: Document, errors: Mapping[str, str] | None = None) -> Document:
        failures = {**(errors or {}), "default": _ERROR}
        found = {status: {"description": reason, "content": error_content} for status, reason in failures.items()}
        return {"200": {"description": text, "content": content}} | found

    health = _health(answers(_HEALTHY, {"text/html": {"schema": {"type": "string", "example": "Healthy"}}}))
    health["security"] = []
    run = _run(answers("The result of the model.", output_content, _SCORE_ERRORS))
    run |= {"security": security, "requestBody": _request_body(description)}
    own = _own(answers("The description.", {JSON_TYPE: {"schema": {"type": "object"}}}))
    own |= {"parameters": [_ASKED_VERSION | {"schema": {"type": "string", "enum": sorted(_ALIASES)}}]}
    return {
        "security": security,
        "paths": {
            f"{prefix}/": {"get": health},
            f"{prefix}/score": {"post": run},
            f"{prefix}/swagger.json": {"get": own},
        },
        "components": {
            "schemas": {
                "ServiceInput": dict(description.input_schema),
                "ServiceOutput": dict(description.output_schema),
                "ErrorResponse": _ERROR_SCHEMA,
            },
            "securitySchemes": {"Bearer": _BEARER},
        },
    }


def _health(responses: Document) -> Document:
    return {
        "operationId": "ServiceHealthCheck",
        "description": "Tells whether the service is up",
        "responses": responses,
    }


def _run(responses: Document) -> Document:
    return {
        "operationId": "RunMLService",
        "description": "Run the model on the input and get its result",
        "responses": responses,
    }


def _own(responses: Document) -> Document:
    return {"operationId": "GetSwaggerSpec", "description": "Get this description", "responses": responses}


def _request_body(description: ScriptDescription) -> Document:
    schema: Document = {"$ref": "#/components/schemas/ServiceInput"}
    required = list(description.required_inputs)
    if required:
        schema = {"allOf": [schema], "required": required}
    content = {JSON_TYPE: {"schema": schema}}
    if description.raw_http:
        content["*/*"] = {"schema": {}}
    return {"description": "The input of the model.", "content": content, **({"required": True} if required else {})}
