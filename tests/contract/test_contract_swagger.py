"""The API description (section 5.8): its versions, its content, and files of the user's own that win."""

import json
from typing import Any

import pytest

from tests.contract.cases import Answer, Case, check, get, message, send
from tests.contract.servers import Servers, Setup

MIXED = Setup("schema_members.py")
PLAIN = Setup("schema_plain.py")
UNDECORATED = Setup()
PREFIXED = Setup(
    environment=(("SERVICE_NAME", "Own name"), ("SERVICE_VERSION", "2.5"), ("SERVICE_PATH_PREFIX", "/a/b/"))
)
OBJECT = {"type": "object", "example": {}}
ERROR = {"type": "object", "properties": {"message": {"type": "string"}}}
ARRAY = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "number", "format": "double"}},
    "format": "numpy.ndarray",
}
PLAIN_INPUT = {"type": "object", "properties": {"data": ARRAY}, "example": {"data": [[1.5, 2.0]]}}
PLAIN_OUTPUT = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "number", "format": "double"}},
    "example": {"total": 3.5},
}
MIXED_INPUT = {
    "type": "object",
    "properties": {
        "data": {"type": "array", "items": {"type": "string"}},
        "limit": {"type": "integer", "format": "int64"},
        "request_headers": {},
    },
    "example": {"data": [1, "mixed"], "limit": 1, "request_headers": ""},
}
MIXED_OUTPUT = {
    "type": "object",
    "required": ["seen"],
    "properties": {"seen": {"type": "integer", "format": "int64"}},
    "example": {"seen": 1},
}
VERSIONS = (
    ("", "swagger", "2.0"),
    ("?version=2", "swagger", "2.0"),
    ("?version=2.0", "swagger", "2.0"),
    ("?version=3", "openapi", "3.0.3"),
    ("?version=3.0", "openapi", "3.0.3"),
    ("?version=3.1", "openapi", "3.1.0"),
)
DESCRIBED = (
    ("undecorated", UNDECORATED, VERSIONS, OBJECT, OBJECT),
    ("schema", PLAIN, VERSIONS, PLAIN_INPUT, PLAIN_OUTPUT),
    ("mixed types", MIXED, VERSIONS[3:], MIXED_INPUT, MIXED_OUTPUT),
)


def _fetch(servers: Servers, kind: str, setup: Setup, query: str) -> dict[str, Any]:
    reply = send(servers.ready(kind, setup), get(f"/swagger.json{query}"))
    assert (reply.status, reply.value("content-type")) == (200, "application/json"), reply
    assert reply.value("x-ms-run-function-failed") == "False"
    document = json.loads(reply.body)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("setup", "versions", "taken", "given"), [row[1:] for row in DESCRIBED], ids=[row[0] for row in DESCRIBED]
)
def test_versions(
    servers: Servers,
    kind: str,
    setup: Setup,
    versions: tuple[tuple[str, str, str], ...],
    taken: object,
    given: object,
) -> None:
    for query, key, version in versions:
        document = _fetch(servers, kind, setup, query)
        assert document[key] == version
        schemas = document["definitions"] if key == "swagger" else document["components"]["schemas"]
        assert schemas == {"ServiceInput": taken, "ServiceOutput": given, "ErrorResponse": ERROR}


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return found.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("query", [row[0] for row in VERSIONS])
def test_content(servers: Servers, kind: str, query: str) -> None:
    document = _fetch(servers, kind, UNDECORATED, query)
    assert (document["info"]["title"], document["info"]["version"]) == ("ML service", "1.0")
    operations = {
        (path, method): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        ("/", "get"): "ServiceHealthCheck",
        ("/score", "post"): "RunMLService",
        ("/swagger.json", "get"): "GetSwaggerSpec",
    }
    assert _references(document["paths"]["/score"]) == {"ServiceInput", "ServiceOutput", "ErrorResponse"}
    if "swagger" in document:
        scheme = document["securityDefinitions"]["Bearer"]
        assert (document["consumes"], document["produces"]) == (["application/json"], ["application/json"])
    else:
        scheme = document["components"]["securitySchemes"]["Bearer"]
    assert {name: scheme[name] for name in ("type", "name", "in")} == {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
    }


@pytest.mark.parametrize("query", ["", "?version=3"])
def test_name_version_and_prefix(servers: Servers, kind: str, query: str) -> None:
    """The prefix is in the description alone: the routes stay."""
    document = _fetch(servers, kind, PREFIXED, query)
    assert (document["info"]["title"], document["info"]["version"]) == ("Own name", "2.5")
    assert set(document["paths"]) == {"/a/b/", "/a/b/score", "/a/b/swagger.json"}
    assert send(servers.ready(kind, PREFIXED), get("/a/b/score")).status == 404


def _not_valid(version: str, supported: str) -> Answer:
    return message(404, f"Swagger version [{version}] is not valid. Supported versions: [{supported}].")


def _not_supported(version: str) -> Answer:
    text = f"Swagger version [{version}] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
    return message(404, text)


REFUSED = (
    Case("9", get("/swagger.json?version=9"), _not_valid("9", "2, 3, 3.1")),
    Case("empty", get("/swagger.json?version="), _not_valid("", "2, 3, 3.1")),
    Case("escaped", get("/swagger.json?version=%3C%22"), _not_valid('<"', "2, 3, 3.1")),
    Case("3.0.3", get("/swagger.json?version=3.0.3"), _not_valid("3.0.3", "2, 3, 3.1")),
    Case("the first counts", get("/swagger.json?version=9&version=2"), _not_valid("9", "2, 3, 3.1")),
    Case("mixed, none", get("/swagger.json"), _not_supported("2"), setup=MIXED),
    Case("mixed, 2", get("/swagger.json?version=2"), _not_supported("2"), setup=MIXED),
    Case("mixed, 2.0", get("/swagger.json?version=2.0"), _not_supported("2.0"), setup=MIXED),
    Case("mixed, 9", get("/swagger.json?version=9"), _not_valid("9", "3, 3.1"), setup=MIXED),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def _own(**files: str) -> Setup:
    texts = tuple((name, json.dumps({"of": name, "text": text})) for name, text in files.items())
    return Setup("schema_members.py", texts=texts)


BOTH_OF_2 = _own(**{"swagger.json": "\u00e9", "swagger2.json": "b"})
ALL_BUT_ONE = _own(**{"swagger2.json": "b", "swagger3.json": "c", "swagger3.1.json": "d"})
OWN_FILES = (
    (BOTH_OF_2, "", {"of": "swagger.json", "text": "\u00e9"}),
    (BOTH_OF_2, "?version=2.0", {"of": "swagger.json", "text": "\u00e9"}),
    (ALL_BUT_ONE, "", {"of": "swagger2.json", "text": "b"}),
    (ALL_BUT_ONE, "?version=3", {"of": "swagger3.json", "text": "c"}),
    (ALL_BUT_ONE, "?version=3.0", {"of": "swagger3.json", "text": "c"}),
    (ALL_BUT_ONE, "?version=3.1", {"of": "swagger3.1.json", "text": "d"}),
)


@pytest.mark.parametrize(
    ("setup", "query", "expected"), OWN_FILES, ids=[f"{row[2]['of']} {row[1]}" for row in OWN_FILES]
)
def test_own_files_win(servers: Servers, kind: str, setup: Setup, query: str, expected: object) -> None:
    """They also fill in for a version that the script's schema cannot be written in."""
    assert _fetch(servers, kind, setup, query) == expected


def test_without_a_file_the_description_is_made(servers: Servers, kind: str) -> None:
    assert _fetch(servers, kind, BOTH_OF_2, "?version=3")["openapi"] == "3.0.3"
