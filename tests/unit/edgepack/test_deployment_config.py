"""Deployment configuration files: v1's keys, defaults and checks, in JSON and YAML."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from edgepack.deployment_config import parse_deployment_config, read_deployment_config
from edgepack.deployment_targets import (
    AciDeployment,
    AcrCredentials,
    AksDeployment,
    AuthKeys,
    AutoScaler,
    ContainerResources,
    EdgeModule,
    IotDeployment,
    LivenessProbe,
    LocalDeployment,
)
from edgepack.errors import InputError

FORMS: list[tuple[dict[str, Any], Any]] = [
    ({"computeType": "LOCAL"}, LocalDeployment(None)),
    ({"computeType": "local", "port": 6789}, LocalDeployment(6789)),
    ({"computeType": "Local", "port": None}, LocalDeployment(None)),
    ({"computeType": "aci"}, AciDeployment()),
    (
        {
            "computeType": "ACI",
            "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1.0},
            "location": "westeurope",
            "authEnabled": True,
            "sslEnabled": True,
            "appInsightsEnabled": True,
            "sslCertificate": "cert.pem",
            "sslKey": "key.pem",
            "cname": "www.example.com",
            "dnsNameLabel": "scorer",
            "vaultBaseUrl": "https://vault.example.com",
            "keyName": "name",
            "keyVersion": "1",
            "vnetName": "net",
            "subnetName": "part",
            "keys": {"primaryKey": "one", "secondaryKey": "two"},
        },
        AciDeployment(
            ContainerResources(0.5, 1.0),
            "westeurope",
            True,
            True,
            True,
            "cert.pem",
            "key.pem",
            "www.example.com",
            "scorer",
            "https://vault.example.com",
            "name",
            "1",
            "net",
            "part",
            AuthKeys("one", "two"),
        ),
    ),
    ({"computeType": "aks"}, AksDeployment()),
    ({"computeType": "AksEndpoint"}, AksDeployment(is_endpoint=True)),
    (
        {"computeType": "aksendpoint", "versionName": "two", "trafficPercentile": 12.5},
        AksDeployment(is_endpoint=True, version_name="two", traffic_percentile=12.5),
    ),
    ({"computeType": "aks", "numReplicas": 3}, AksDeployment(AutoScaler(enabled=False), num_replicas=3)),
    (
        {"computeType": "aks", "tokenAuthEnabled": True},
        AksDeployment(auth_enabled=False, token_auth_enabled=True),
    ),
    (
        {
            "computeType": "aks",
            "autoScaler": {
                "autoscaleEnabled": True,
                "minReplicas": 2,
                "maxReplicas": 3,
                "refreshPeriodInSeconds": 5,
                "targetUtilization": 50,
            },
            "dataCollection": {"storageEnabled": True},
            "authEnabled": False,
            "containerResourceRequirements": {"cpu": 1, "memoryInGB": 2, "cpuLimit": 1.5, "memoryInGBLimit": 4},
            "appInsightsEnabled": True,
            "scoringTimeoutMs": 1000,
            "maxConcurrentRequestsPerContainer": 4,
            "maxQueueWaitMs": 0,
            "keys": {"primaryKey": "one"},
            "gpuCores": 1,
            "livenessProbeRequirements": {
                "periodSeconds": 1,
                "initialDelaySeconds": 2,
                "timeoutSeconds": 3,
                "successThreshold": 4,
                "failureThreshold": 5,
            },
            "namespace": "space",
            "computeTargetName": "cluster",
        },
        AksDeployment(
            AutoScaler(True, 2, 3, 5, 50),
            True,
            False,
            False,
            ContainerResources(1, 2, 1.5, 4),
            True,
            1000,
            4,
            0,
            None,
            AuthKeys("one"),
            1,
            LivenessProbe(1, 2, 3, 4, 5),
            "space",
            "cluster",
        ),
    ),
    (
        {
            "computeType": "iot",
            "iotDeviceId": "gateway",
            "routes": {"out": "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream"},
            "amlModule": {
                "moduleName": "scorer",
                "createOptions": '{"HostConfig": {"Privileged": false}}',
                "environmentVariables": {"A": "1", "B": {"value": 2}},
                "propertiesDesired": {"threshold": 3},
            },
            "externalModules": [
                {"moduleName": "sensor", "imageLocation": "example.com/sensor:1", "createOptions": {"Tty": True}}
            ],
            "acrCredentials": [{"location": "me.azurecr.io", "user": "me", "password": "secret"}],
        },
        IotDeployment(
            EdgeModule("scorer", None, {"HostConfig": {"Privileged": False}}, {"A": "1", "B": 2}, {"threshold": 3}),
            "gateway",
            {"out": "FROM /messages/modules/scorer/outputs/amlOutput INTO $upstream"},
            (EdgeModule("sensor", "example.com/sensor:1", {"Tty": True}),),
            (AcrCredentials("me.azurecr.io", "me", "secret"),),
        ),
    ),
]


@pytest.mark.parametrize(
    ("document", "value"), FORMS, ids=lambda each: str(each)[:40] if isinstance(each, dict) else ""
)
@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
def test_every_form_has_the_settings_of_v1(document: dict[str, Any], value: Any, write: Any) -> None:
    assert parse_deployment_config(write(document), "dc") == value


def test_v1s_defaults() -> None:
    aks = parse_deployment_config("computeType: aks", "dc")
    assert isinstance(aks, AksDeployment)
    assert (aks.resources.cpu, aks.resources.memory_gb) == (0.1, 0.5)
    assert (aks.scoring_timeout_ms, aks.max_concurrent_requests, aks.max_queue_wait_ms) == (60000, 1, 500)
    assert aks.liveness_probe == LivenessProbe(10, 310, 2, 1, 3)
    assert aks.auto_scaler == AutoScaler(True, 1, 10, 1, 70)
    assert (aks.auth_enabled, aks.token_auth_enabled, aks.data_collection) == (True, False, False)
    aci = parse_deployment_config("computeType: aci", "dc")
    assert isinstance(aci, AciDeployment)
    assert (aci.auth_enabled, aci.ssl_enabled, aci.resources) == (False, False, ContainerResources(0.1, 0.5))


def test_secrets_are_not_shown() -> None:
    texts = [repr(value) for _, value in FORMS]
    assert not any("secret" in text or "'one'" in text or "key.pem" in text for text in texts)


def test_a_password_is_not_shown_whatever_is_wrong_with_it() -> None:
    credentials = {"location": "r.io", "user": "me", "password": 48151623}
    with pytest.raises(InputError) as caught:
        read_deployment_config({**IOT, "acrCredentials": [credentials]}, "dc.json")
    assert "`acrCredentials[0].password` must be a text, not a number; put it in quotes" in str(caught.value)
    text = "computeType: iot\nacrCredentials:\n- password: @hunter2\n"
    with pytest.raises(InputError, match=r"line 3, column 13") as caught:
        parse_deployment_config(text, "dc.yml")
    assert not any(secret in str(caught.value) for secret in ("48151623", "hunter2"))


IOT = {"computeType": "iot", "amlModule": {"moduleName": "m"}, "routes": {}, "iotDeviceId": "d"}
WRONG: list[tuple[Any, list[str]]] = [
    ([], ["a deployment configuration is a mapping with `computeType`"]),
    ({}, ["`computeType` is missing; it is one of local, aci, aks, aksendpoint, iot"]),
    ({"computetype": "local"}, ["did you mean `computeType`?"]),
    ({"computeType": 5}, ["computeType 5 is not known"]),
    ({"computeType": "locla"}, ["computeType 'locla' is not known; did you mean `local`?"]),
    ({"computeType": "local", "prot": 1}, ["key `prot` is not known; did you mean `port`?"]),
    ({"computeType": "local", "port": "80"}, ["`port` must be a whole number, not a text"]),
    ({"computeType": "local", "port": True}, ["`port` must be a whole number, not True"]),
    ({"computeType": "local", "port": 0}, ["`port` is 0, not one of 1 to 65535"]),
    ({"computeType": "local", "routes": {}}, ["key `routes` is not known"]),
    ({**IOT, "iotDevice": "x", "cname": "x"}, ["key `iotDevice` is not known; did you mean `iotDeviceId`?"]),
    (
        {"computeType": "aci", "containerResourceRequirements": {"cpu": 0}, "sslEnabled": "yes"},
        ["`containerResourceRequirements.cpu` is 0", "`sslEnabled` must be true or false"],
    ),
    (
        {
            "computeType": "aks",
            "autoScaler": {"minReplicas": 5, "maxReplicas": 3, "autoscaleEnabled": True},
            "numReplicas": 1,
        },
        ["`minReplicas` is more than `maxReplicas`", "`numReplicas` and autoscaling exclude each other"],
    ),
    (
        {"computeType": "aks", "authEnabled": True, "tokenAuthEnabled": True, "numReplicas": -1},
        ["exclude each other", "`numReplicas` is -1"],
    ),
    (
        {"computeType": "aks", "containerResourceRequirements": {"cpu": 2, "cpuLimit": 1}},
        ["`cpuLimit` is less than `cpu`"],
    ),
    ({"computeType": "aksendpoint", "trafficPercentile": 101}, ["`trafficPercentile` is more than 100"]),
    ({"computeType": "iot"}, ["`amlModule` is missing", "`routes` is missing", "`iotDeviceId` is missing"]),
    ({**IOT, "amlModule": {}}, ["`amlModule.moduleName` is missing"]),
    ({**IOT, "amlModule": {"moduleName": "m", "createOptions": "{"}}, ["`amlModule.createOptions` is no JSON"]),
    ({**IOT, "externalModules": [{"moduleName": "x"}]}, ["`externalModules[0].imageLocation` is missing"]),
    ({**IOT, "externalModules": ["x"]}, ["`externalModules[0]` must be a mapping"]),
    (
        {**IOT, "acrCredentials": [{"location": "x", "usr": "me"}]},
        ["did you mean `user`?", "`acrCredentials[0].user` is missing", "`acrCredentials[0].password` is missing"],
    ),
    (
        {**IOT, "amlModule": {"moduleName": "m", "environmentVariables": {"A": []}}},
        ["`amlModule.environmentVariables.A` must be a text, number or boolean"],
    ),
]


@pytest.mark.parametrize(
    ("document", "parts"), WRONG, ids=lambda each: str(each)[:50] if isinstance(each, dict) else ""
)
def test_what_is_wrong_is_told_at_once(document: Any, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_deployment_config(json.dumps(document), "dc.json")
    assert all(problem.startswith("dc.json: ") for problem in caught.value.problems)
    for part in parts:
        assert any(part in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("kind", ["aci", "AKS", "aksendpoint"])
def test_an_unknown_key_is_not_why_azures_services_are_not_here(kind: str) -> None:
    """v1 took what it knew and let the rest be."""
    unknown = {"enableAppInsights": True, "ComputeTarget": "mine", "containerResourceRequirements": {"memory": 1}}
    plain = read_deployment_config({"computeType": kind, "containerResourceRequirements": {}}, "dc.json")
    assert read_deployment_config({"computeType": kind, **unknown}, "dc.json") == plain


def test_what_v1_knew_for_other_types_is_told() -> None:
    others = {"containerResourceRequirements": {"cpu": "much"}, "computeTarget": "mine", "sslEnabled": False}
    local = read_deployment_config({"computeType": "Local", "port": 80, "authEnabled": True, **others}, "dc.json")
    assert local == LocalDeployment(
        80,
        notes=(
            "dc.json: `authEnabled` has no effect with computeType local; --key asks for keys",
            "dc.json: `containerResourceRequirements` has no effect with computeType local",
            "dc.json: `computeTarget` has no effect with computeType local",
        ),
    )
    edge = read_deployment_config({**IOT, "port": 80, "keys": {"primaryKey": "secret"}}, "dc.json")
    assert isinstance(edge, IotDeployment)
    assert edge.notes == (
        "dc.json: `port` has no effect with computeType iot",
        "dc.json: `keys` has no effect with computeType iot",
    )


def test_the_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        LocalDeployment().port = 5  # type: ignore[misc]
    assert replace(LocalDeployment(), port=5).port == 5
