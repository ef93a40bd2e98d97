"""The JSON Schema (draft-07) of a deployment manifest, made from the tables of the rules: for editors. Pure.

It takes complete manifests, layers, wrappers and templates. What a schema cannot say (routes, createOptions as text,
what holds between parts) is left to the rules.
"""

import re
from typing import Any

from edgepack.deployment.agent_rules import CREDENTIAL_NAME, MAX_MODULES
from edgepack.deployment.engine_keys import CREATE_BODY, Many, Shape
from edgepack.deployment.hub_rules import MAX_INT32, MAX_PRIORITY, ROUTE_NAME
from edgepack.deployment.module_rules import (
    ENV_NAME,
    MAX_NAME_CHARACTERS,
    MAX_UINT32,
    MAX_VALUE_BYTES,
    NAME,
    PULL_POLICIES,
    RESTART_POLICIES,
    STATUSES,
)
from edgepack.deployment.problem import DESIRED
from edgepack.deployment.route_parser import MAX_BYTES

DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXT = {"type": "string"}
_PLACEHOLDER = {"type": "string", "pattern": r"\$\{?[A-Za-z_]"}
_WORDS: dict[str, Any] = {
    "text": _TEXT,
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "any": {},
    "texts": {"type": "array", "items": _TEXT},
    "command": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
}


def manifest_schema() -> dict[str, Any]:
    """The schema as a document."""
    return {
        "$schema": DRAFT,
        "title": "IoT Edge deployment manifest",
        "description": "A complete manifest, a layer, a template, or one of them under `content`.",
        "type": "object",
        "anyOf": [{"required": ["modulesContent"]}, {"required": ["moduleContent"]}, {"required": ["content"]}],
        "properties": {
            "modulesContent": _ref("modulesContent"),
            "moduleContent": _ref("modulesContent") | {"deprecated": True},
            "content": {"type": "object", "properties": {"modulesContent": _ref("modulesContent")}},
            "$schema-template": _described("What makes it a template: the version of its form.", _TEXT),
        },
        "definitions": {
            "modulesContent": _modules_content(),
            "agent": _agent(),
            "hub": _hub(),
            "module": _module(),
            "systemModule": _module(is_system=True),
            "edgeAgent": _edge_agent(),
            "settings": _settings(),
            "env": _env(),
            "route": _route(),
            "createOptions": _of_shape(CREATE_BODY),
        },
    }


def _modules_content() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "$edgeAgent": _twin(_ref("agent"), {rf"^{re.escape(DESIRED)}\.modules\.{NAME.pattern}$": _ref("module")}),
            "$edgeHub": _twin(_ref("hub"), {rf"^{re.escape(DESIRED)}\.routes\.{ROUTE_NAME.pattern}$": _ref("route")}),
        },
        "additionalProperties": _twin({"type": "object"}, {rf"^{re.escape(DESIRED)}\.": {}}),
    }


def _twin(desired: dict[str, Any], dotted: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {DESIRED: desired}, "patternProperties": dotted, "minProperties": 1}


def _agent() -> dict[str, Any]:
    credentials = _object({"address": {"type": "string", "pattern": r"^\S+$"}, "username": _TEXT, "password": _TEXT})
    settings = {
        "minDockerVersion": _TEXT,
        "loggingOptions": _TEXT,
        "registryCredentials": {
            "type": "object",
            "patternProperties": {f"^{CREDENTIAL_NAME.pattern}$": credentials},
            "additionalProperties": False,
        },
    }
    return _object(
        {
            "schemaVersion": _described("1.0, or 1.1 for startupOrder and imagePullPolicy.", _version("1.0", "1.1")),
            "runtime": _object({"type": {"const": "docker"}, "settings": _object(settings, required=())}),
            "systemModules": _object({"edgeAgent": _ref("edgeAgent"), "edgeHub": _ref("systemModule")}),
            "modules": {
                "type": "object",
                "maxProperties": MAX_MODULES,
                "propertyNames": {"pattern": f"^{NAME.pattern}$", "maxLength": MAX_NAME_CHARACTERS},
                "additionalProperties": _ref("module"),
            },
        }
    )


def _hub() -> dict[str, Any]:
    seconds = {"type": "integer", "minimum": -1, "maximum": MAX_INT32}
    limits = _object({"maxSizeBytes": {"type": "integer", "minimum": 1}})
    keeping = {
        "timeToLiveSecs": _described("How long messages are kept that cannot be delivered; -1: for ever.", seconds),
        "storeLimits": limits,
    }
    return _object(
        {
            "schemaVersion": _version("1.0", "1.1", "1.2", "1.3"),
            "routes": {
                "type": "object",
                "propertyNames": {"pattern": f"^{ROUTE_NAME.pattern}$"},
                "additionalProperties": _ref("route"),
            },
            "storeAndForwardConfiguration": _object(keeping, required=("timeToLiveSecs",)),
            "mqttBroker": {"type": "object", "deprecated": True},
            "integrity": {"type": "object"},
        },
        required=("schemaVersion", "routes"),
    )


def _module(*, is_system: bool = False) -> dict[str, Any]:
    members: dict[str, Any] = {
        "type": {"const": "docker"},
        "status": {"enum": list(STATUSES)},
        "settings": _ref("settings"),
        "restartPolicy": {"enum": list(RESTART_POLICIES)},
        "imagePullPolicy": {"enum": list(PULL_POLICIES)},
        "startupOrder": {"type": "integer", "minimum": 0, "maximum": MAX_UINT32},
        "env": _ref("env"),
    }
    return _object(members if is_system else {"version": _TEXT, **members}, required=("type", "status", "settings"))


def _edge_agent() -> dict[str, Any]:
    policy = {"enum": list(PULL_POLICIES)}
    members = {"type": {"const": "docker"}, "settings": _ref("settings"), "env": _ref("env"), "imagePullPolicy": policy}
    return _object(members, required=("type", "settings"))


def _settings() -> dict[str, Any]:
    piece = {"type": "string", "maxLength": MAX_VALUE_BYTES, "contentMediaType": "application/json"}
    return {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": _described("By digest, or with a tag that does not move.", {"type": "string", "minLength": 1}),
            "createOptions": _described(
                "JSON as text; an object in templates only.", {"anyOf": [piece, _ref("createOptions")]}
            ),
            "digest": _TEXT,
        },
        "patternProperties": {"^createOptions[0-9]{2}$": piece},
        "additionalProperties": False,
    }


def _env() -> dict[str, Any]:
    value = {"anyOf": [{"type": "string", "maxLength": MAX_VALUE_BYTES}, {"type": ["number", "boolean"]}]}
    names = {"pattern": f"^{ENV_NAME.pattern}$"}
    return {"type": "object", "propertyNames": names, "additionalProperties": _object({"value": value})}


def _route() -> dict[str, Any]:
    text = _described("FROM path [WHERE condition] INTO sink", {"type": "string", "maxLength": MAX_BYTES})
    priority = _described("0 is first.", {"type": "integer", "minimum": 0, "maximum": MAX_PRIORITY})
    seconds = _described("0: the general one.", {"type": "integer", "minimum": 0, "maximum": MAX_UINT32})
    members = {"route": text, "priority": priority, "timeToLiveSecs": seconds}
    return {"anyOf": [text, _object(members, required=("route",))]}


def _of_shape(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, str):
        found: dict[str, Any] = _WORDS[shape]
        return found
    if isinstance(shape, Many):
        inner = _of_shape(shape.of)
        return {"type": "object", "additionalProperties": inner} if shape.by_name else {"type": "array", "items": inner}
    members = {key: {"anyOf": [_of_shape(value), {"type": "null"}, _PLACEHOLDER]} for key, value in shape.items()}
    return {"type": "object", "properties": members}


def _object(members: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(members if required is None else required),
        "additionalProperties": False,
    }


def _version(*known: str) -> dict[str, Any]:
    return {"type": "string", "anyOf": [{"enum": list(known)}, {"pattern": r"^1\.[0-9]+(\.[0-9]+)?$"}, _PLACEHOLDER]}


def _described(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, **schema}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}
