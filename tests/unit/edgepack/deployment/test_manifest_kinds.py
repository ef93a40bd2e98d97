"""Layers, templates and wrappers; what createOptions say to the engine; secrets; registries; ends of routes."""

import copy
import json
from typing import Any

import pytest

from edgepack.deployment.manifest import ModuleSpec, RegistryCredentials, deployment_manifest
from edgepack.deployment.secret_words import is_secret
from edgepack.deployment.validate import Verdict, check

GOOD = deployment_manifest([ModuleSpec("scorer", "registry.example/x", "sha256:" + "a" * 64, desired={"t": 1})])
DESIRED = GOOD["modulesContent"]["$edgeAgent"]["properties.desired"]
SCORER = DESIRED["modules"]["scorer"]


def rules(verdict: Verdict) -> list[str]:
    return sorted(problem.rule for problem in verdict.problems)


def layer(**twins: dict[str, Any]) -> dict[str, Any]:
    return {"modulesContent": {name.replace("edge", "$edge"): twin for name, twin in twins.items()}}


def template(change: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(GOOD) | {"$schema-template": "4.0.0"}
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"] |= change
    return document


@pytest.mark.parametrize("key", ["modulesContent", "moduleContent"])
def test_wrappers(key: str) -> None:
    wrapped: dict[str, Any] = {
        "content": {key: GOOD["modulesContent"]},
        "id": "x",
        "priority": 1,
        "targetCondition": "*",
    }
    verdict = check(wrapped)
    assert verdict.kind == "deployment"
    assert rules(verdict) == (["old-spelling"] if key == "moduleContent" else [])
    broken = copy.deepcopy(wrapped)
    broken["content"][key]["$edgeHub"]["properties.desired"]["schemaVersion"] = "9"
    pointers = [problem.pointer for problem in check(broken).problems if problem.severity == "error"]
    assert pointers == [f"/content/{key}/$edgeHub/properties.desired/schemaVersion"]


def test_a_layer_lacks_nothing_that_is_below() -> None:
    verdict = check(
        layer(
            edgeAgent={
                "properties.desired.modules.filter": SCORER,
                "properties.desired.modules.scorer.settings.image": "x:1",
            },
            edgeHub={"properties.desired.routes.up": "FROM /messages/* INTO $upstream"},
            other={"properties.desired.speed": 1},
        )
    )
    assert verdict == ("layer", ())
    assert check(layer(other={"properties.desired": {"speed": 1}})) == ("layer", ())


def test_a_layer_is_checked_as_strictly() -> None:
    verdict = check(
        layer(
            edgeAgent={
                "properties.desired.modules.a": {"type": "docker"},
                "properties.desired.modules.b": {**SCORER, "status": "on"},
                "properties.desired..c": 1,
            },
            edgeHub={
                "properties.desired.routes.up": {"route": "FROM /messages/modules/x/* INTO $upstream", "priority": 12}
            },
            other={"properties.desired": {}, "properties.desired.speed": [None]},
        )
    )
    found = {(problem.pointer, problem.rule, problem.severity) for problem in verdict.problems}
    agent, hub = "/modulesContent/$edgeAgent", "/modulesContent/$edgeHub"
    assert found == {
        (f"{agent}/properties.desired.modules.a", "module", "error"),
        (f"{agent}/properties.desired.modules.a", "restart-policy-missing", "warning"),
        (f"{agent}/properties.desired.modules.b/status", "module-value", "error"),
        (f"{agent}/properties.desired..c", "layer-key", "error"),
        (f"{hub}/properties.desired.routes.up/priority", "route-priority", "error"),
        (f"{hub}/properties.desired.routes.up/route", "route-module-of-base", "warning"),
        ("/modulesContent/other/properties.desired", "layer-key", "error"),
        ("/modulesContent/other/properties.desired.speed/0", "twin-value", "error"),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"image": "${MODULES.scorer}", "createOptions": {"HostConfig": {"Binds": ["${DATA}:/data"]}}}},
        {"settings": {"image": "${MODULES.scorer.arm64v8}", "createOptions": {}}},
        {"settings": {"image": "${MODULEDIR<../scorer>.debug}"}},
        {"settings": {"image": "$CONTAINER_REGISTRY_SERVER/scorer:$VERSION_TAG"}},
        {"restartPolicy": "${POLICY}", "status": "$STATUS", "version": "${VERSION}"},
        {"env": {"LEVEL": {"value": "${LEVEL}"}, "$NAME_OF": {"value": 1}}},
    ],
)
def test_templates(change: dict[str, Any]) -> None:
    assert check(template(change)) == ("template", ())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"settings": {"image": "x/${MODULES.scorer}"}}, ["template-placeholder"]),
        ({"settings": {"image": "${MODULES.}"}}, ["template-placeholder"]),
        (
            {"settings": {"image": "${MODULES.a", "createOptions": {"HostConfig": []}}},
            ["create-options-shape", "template-placeholder"],
        ),
        ({"status": "on"}, ["module-value"]),
        ({"settings": {"image": "x:1", "createOptions": '{"Env": ["=x"]}'}}, ["create-options-env"]),
    ],
)
def test_templates_are_checked(change: dict[str, Any], found: list[str]) -> None:
    assert rules(check(template(change))) == found


def test_the_name_of_a_file_tells_a_template_too() -> None:
    assert check(GOOD, is_template=True).kind == "template"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (
            {
                "HostConfig": {
                    "PortBindings": {"80/tcp": [{"HostPort": "1-2"}], "5-6": None},
                    "Binds": ["v:/a:ro", "/b:/c"],
                }
            },
            [],
        ),
        ({"HostConfig": {"Binds": ["C:\\data:C:\\data", "c:/x:/y"], "Devices": [], "Memory": 1, "Init": True}}, []),
        ({"Env": ["A=1", "B", "C="], "Cmd": "x", "Entrypoint": ["x"], "Labels": {"a": "b"}, "Volumes": {"/a": {}}}, []),
        ({"NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["x"]}}}, "ExposedPorts": {"1/udp": {}}}, []),
        ({"HostConfig": {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/v"}]}}, []),
        ({"HostConfig": []}, ["create-options-shape"]),
        ({"HostConfig": {"PortBindings": {"80/tcp": {"HostPort": "1"}}}}, ["create-options-shape"]),
        ({"HostConfig": {"PortBindings": {"80/tcp": ["1"]}}}, ["create-options-shape"]),
        ({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 8080}]}}}, ["create-options-kind"]),
        ({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "70000"}], "0": []}}}, ["create-options-port"] * 2),
        ({"ExposedPorts": {"80/http": {}}}, ["create-options-port"]),
        ({"HostConfig": {"Privileged": "true", "Memory": True}}, ["create-options-kind"] * 2),
        ({"HostConfig": {"Binds": "a:/b"}}, ["create-options-shape"]),
        ({"HostConfig": {"Binds": [1, {}]}}, ["create-options-kind", "create-options-shape"]),
        ({"HostConfig": {"Binds": ["data", "a:b", "../x:/y"]}}, ["create-options-mount"] * 3),
        ({"HostConfig": {"Mounts": [{"Type": "dir", "Target": "/x"}, {"Type": "bind"}]}}, ["create-options-mount"] * 2),
        (
            {"hostconfig": {}, "Priviledged": True, "Env": {}},
            ["create-options-key-case", "create-options-shape", "create-options-unknown-key"],
        ),
        ({"Cmd": ["--password", "x"], "Labels": {"api.key": "x", "a": "--secret y"}}, ["plain-secret"] * 3),
        ({"Env": ["API_KEY=abc", "X=Endpoint;SharedAccessKey=aaaaaaaaaaaaaaaaaaaaaaaa"]}, ["plain-secret"] * 2),
    ],
)
def test_createoptions(options: dict[str, Any], found: list[str]) -> None:
    document = copy.deepcopy(GOOD)
    settings = {"image": "registry.example/x:1", "createOptions": json.dumps(options)}
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["scorer"]["settings"] = settings
    assert rules(check(document)) == found


def test_an_unknown_key_names_the_nearest_or_its_place() -> None:
    options = {"Binds": [], "HostConfig": {"PortBinding": {}, "Env": [], "qqqq": 1}}
    document = template({"settings": {"image": "registry.example/x:1", "createOptions": options}})
    told = {problem.pointer.rpartition("/")[2]: problem.message for problem in check(document).problems}
    assert "the engine reads it in HostConfig: move it there" in told["Binds"]
    assert "did you mean 'PortBindings'?" in told["PortBinding"]
    assert "the engine reads it in createOptions itself" in told["Env"]
    assert told["qqqq"].endswith("remove it")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "hunter2", True),
        ("apiKey", "abc", True),
        ("CONNECTION_STRING", "x", True),
        ("url", "postgres://user:pass@host/db", True),
        ("x", "HostName=h;SharedAccessKey=MDEyMzQ1Njc4OTAxMjM0NTY3ODk=", True),
        ("x", "-----BEGIN RSA PRIVATE KEY-----", True),
        ("DB_PASSWORD", "", False),
        ("DB_PASSWORD", "${DB_PASSWORD}", False),
        ("DB_PASSWORD_FILE", "x", False),
        ("PASSWORD", "/run/secrets/p", False),
        ("usePassword", "true", False),
        ("url", "https://host/path@x", False),
        ("keys", "a", False),
        ("passwords", 3, False),
    ],
)
def test_secrets(name: str, value: object, secret: bool) -> None:
    assert is_secret(name, value) is secret


@pytest.mark.parametrize(
    ("image", "address", "found"),
    [
        ("team.azurecr.io/a:1", None, ["missing-credentials"]),
        ("team.azurecr.io/a:1", "team.azurecr.io", []),
        ("team.azurecr.io/a:1", "https://TEAM.azurecr.io/", []),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1", None, ["missing-credentials"]),
        ("registry.example/a:1", None, []),
        ("localhost:5000/a:1", None, []),
        ("a:1", "other.example", []),
    ],
)
def test_registries(image: str, address: str | None, found: list[str]) -> None:
    given = {} if address is None else {"mine": RegistryCredentials(address, "u", "p")}
    document = copy.deepcopy(
        deployment_manifest([ModuleSpec("m", "r.example/x", "sha256:" + "a" * 64)], credentials=given)
    )
    document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["m"]["settings"]["image"] = image
    assert [rule for rule in rules(check(document)) if rule != "plain-credentials"] == found
