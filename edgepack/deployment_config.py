"""The deployment configuration file of SDK v1 (`--dc`), as a value: where a model is to be deployed, and how. Pure.

JSON or YAML. `computeType` (in any case) decides which keys there are; keys and defaults are v1's. All problems of a
file are told together, an unknown key with the nearest known one. Only `local` and `iot` can be deployed here. There,
what v1 knew for another type is left out with a note, as v1 left it out; data collection is taken (`data_collection`).
The others are read all the same, without what v1 did not know: it is not the reason why they cannot be deployed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from edgepack.data_collection import COLLECTION_KEYS, collection_variables
from edgepack.deployment_targets import (
    ACI,
    AKS,
    AKS_ENDPOINT,
    COMPUTE_TYPES,
    DEPLOYED_HERE,
    IOT,
    LOCAL,
    AciDeployment,
    AcrCredentials,
    AksDeployment,
    AuthKeys,
    AutoScaler,
    ContainerResources,
    DeploymentConfig,
    EdgeModule,
    IotDeployment,
    LivenessProbe,
    LocalDeployment,
)
from edgepack.errors import InputError
from edgepack.key_reading import FLAG, LIST, NUMBER, OBJECT, TEXT, WHOLE, KeyReading
from edgepack.yaml_text import parse_yaml


def parse_deployment_config(text: str, where: str) -> DeploymentConfig:
    """Read the text of a file.

    Raises:
        InputError: all problems, each beginning with `where`.
    """
    return read_deployment_config(parse_yaml(text, where, kind="JSON or YAML"), where)


def read_deployment_config(document: Any, where: str) -> DeploymentConfig:
    """As `parse_deployment_config`, for a document that has been read already."""
    if not isinstance(document, dict):
        raise InputError(f"{where}: a deployment configuration is a mapping with `computeType`")
    kind = document.get("computeType")
    if not isinstance(kind, str) or kind.lower() not in COMPUTE_TYPES:
        raise InputError(f"{where}: {_compute_type_problem(document, kind)}")
    kind = kind.lower()
    reading = KeyReading(where, [], leaves_out_unknown=kind not in DEPLOYED_HERE)
    given = {key: value for key, value in document.items() if key != "computeType"}
    notes = tuple(_without_effect(where, kind, given)) if kind in DEPLOYED_HERE else ()
    made = _READERS[kind](reading, given)
    InputError.raise_if_any(reading.problems)
    return replace(made, notes=notes) if isinstance(made, LocalDeployment | IotDeployment) else made


def _without_effect(where: str, kind: str, given: dict[Any, Any]) -> Iterator[str]:
    """Take the keys that v1 knew for other types out of `given`, and tell of each."""
    own = _LOCAL if kind == LOCAL else _IOT
    for key in [key for key in given if key not in own and key in _OF_OTHERS]:
        value = given.pop(key)
        if value is None or value is False:
            continue
        instead = {LOCAL: "; --key asks for keys", IOT: ""}[kind] if key in ("authEnabled", "keys") else ""
        yield f"{where}: `{key}` has no effect with computeType {kind}{instead}"


def _compute_type_problem(document: Mapping[Any, Any], kind: Any) -> str:
    known = ", ".join(COMPUTE_TYPES)
    if kind is None:
        near = get_close_matches("computeType", map(str, document), 1, 0.7)
        hint = f" (key `{near[0]}` is not known; did you mean `computeType`?)" if near else ""
        return f"`computeType` is missing{hint}; it is one of {known}"
    near = get_close_matches(str(kind).lower(), COMPUTE_TYPES, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"it is one of {known}"
    return f"computeType {kind!r} is not known; {hint}"


_CONTAINER = {"cpu": NUMBER, "memoryInGB": NUMBER}
_CONTAINER_LIMITS = {**_CONTAINER, "cpuLimit": NUMBER, "memoryInGBLimit": NUMBER}
_KEY_PAIR = {"primaryKey": TEXT, "secondaryKey": TEXT}
_SCALER = {
    "autoscaleEnabled": FLAG,
    "minReplicas": WHOLE,
    "maxReplicas": WHOLE,
    "refreshPeriodInSeconds": WHOLE,
    "targetUtilization": WHOLE,
}
_PROBE = dict.fromkeys(
    ("periodSeconds", "initialDelaySeconds", "timeoutSeconds", "successThreshold", "failureThreshold"), WHOLE
)
_ACI = {
    "containerResourceRequirements": OBJECT,
    **dict.fromkeys(("authEnabled", "sslEnabled", "appInsightsEnabled"), FLAG),
    **dict.fromkeys(
        "location sslCertificate sslKey cname dnsNameLabel vaultBaseUrl keyName keyVersion vnetName subnetName".split(),
        TEXT,
    ),
    "keys": OBJECT,
}
_AKS = {
    **dict.fromkeys(
        ("autoScaler", "dataCollection", "containerResourceRequirements", "keys", "livenessProbeRequirements"), OBJECT
    ),
    **dict.fromkeys(("authEnabled", "tokenAuthEnabled", "appInsightsEnabled"), FLAG),
    **dict.fromkeys(
        ("scoringTimeoutMs", "maxConcurrentRequestsPerContainer", "maxQueueWaitMs", "numReplicas", "gpuCores"), WHOLE
    ),
    **dict.fromkeys(("namespace", "computeTargetName"), TEXT),
}
_ENDPOINT = {**_AKS, "versionName": TEXT, "trafficPercentile": NUMBER}
_AML_MODULE = {
    "moduleName": TEXT,
    "createOptions": (OBJECT, TEXT),
    "environmentVariables": OBJECT,
    "propertiesDesired": (OBJECT, TEXT),
}
_EXTERNAL_MODULE = {**_AML_MODULE, "imageLocation": TEXT}
_CREDENTIALS = {"location": TEXT, "user": TEXT, "password": TEXT}
_IOT = {
    "amlModule": OBJECT,
    "externalModules": LIST,
    "routes": OBJECT,
    "iotDeviceId": TEXT,
    "acrCredentials": LIST,
    **COLLECTION_KEYS,
}
_LOCAL = {"port": WHOLE, **COLLECTION_KEYS}
_OF_OTHERS = {*_ACI, *_ENDPOINT, "port", "enableAppInsights", "computeTarget", "ComputeTarget"}


def _local(reading: KeyReading, given: Mapping[Any, Any]) -> LocalDeployment:
    found = reading.keys(given, _LOCAL)
    port = found.get("port")
    reading.need(port is None or 1 <= port <= 65535, f"`port` is {port}, not one of 1 to 65535")
    return LocalDeployment(port, collection_variables(reading, found))


def _resources(reading: KeyReading, found: Mapping[str, Any], table: Mapping[str, Any]) -> ContainerResources:
    part = reading.part(found, "containerResourceRequirements", table)
    for key, value in part.items():
        reading.need(value > 0, f"`containerResourceRequirements.{key}` is {value}, not more than 0")
    for limit, least in (("cpuLimit", "cpu"), ("memoryInGBLimit", "memoryInGB")):
        if limit in part:
            reading.need(part[limit] >= part.get(least, 0), f"`{limit}` is less than `{least}`")
    default = ContainerResources()
    return ContainerResources(
        part.get("cpu", default.cpu),
        part.get("memoryInGB", default.memory_gb),
        part.get("cpuLimit"),
        part.get("memoryInGBLimit"),
    )


def _keys(reading: KeyReading, found: Mapping[str, Any]) -> AuthKeys:
    part = reading.part(found, "keys", _KEY_PAIR)
    return AuthKeys(part.get("primaryKey"), part.get("secondaryKey"))


def _aci(reading: KeyReading, given: Mapping[Any, Any]) -> AciDeployment:
    found = reading.keys(given, _ACI)
    return AciDeployment(
        _resources(reading, found, _CONTAINER),
        found.get("location"),
        found.get("authEnabled", False),
        found.get("sslEnabled", False),
        found.get("appInsightsEnabled", False),
        found.get("sslCertificate"),
        found.get("sslKey"),
        found.get("cname"),
        found.get("dnsNameLabel"),
        found.get("vaultBaseUrl"),
        found.get("keyName"),
        found.get("keyVersion"),
        found.get("vnetName"),
        found.get("subnetName"),
        _keys(reading, found),
    )


def _aks(reading: KeyReading, given: Mapping[Any, Any], *, is_endpoint: bool = False) -> AksDeployment:
    found = reading.keys(given, _ENDPOINT if is_endpoint else _AKS)
    replicas = found.get("numReplicas")
    scaler = reading.part(found, "autoScaler", _SCALER)
    probe = reading.part(found, "livenessProbeRequirements", _PROBE)
    collection = reading.part(found, "dataCollection", {"storageEnabled": FLAG})
    whole = {**found, **scaler, **probe}
    for key, value in whole.items():
        if isinstance(value, int) and not isinstance(value, bool):
            least = 0 if key in ("gpuCores", "maxQueueWaitMs", "initialDelaySeconds", "trafficPercentile") else 1
            reading.need(value >= least, f"`{key}` is {value}, not at least {least}")
    auto = AutoScaler(
        scaler.get("autoscaleEnabled", replicas is None),
        scaler.get("minReplicas", 1),
        scaler.get("maxReplicas", 10),
        scaler.get("refreshPeriodInSeconds", 1),
        scaler.get("targetUtilization", 70),
    )
    reading.need(auto.min_replicas <= auto.max_replicas, "`minReplicas` is more than `maxReplicas`")
    reading.need(auto.target_utilization <= 100, "`targetUtilization` is more than 100 percent")
    reading.need(not (auto.enabled and replicas is not None), "`numReplicas` and autoscaling exclude each other")
    both = found.get("authEnabled") is True and found.get("tokenAuthEnabled") is True
    reading.need(not both, "`authEnabled` and `tokenAuthEnabled` exclude each other")
    percentile = found.get("trafficPercentile")
    reading.need(percentile is None or percentile <= 100, "`trafficPercentile` is more than 100")
    return AksDeployment(
        auto,
        collection.get("storageEnabled", False),
        found.get("authEnabled", not found.get("tokenAuthEnabled", False)),
        found.get("tokenAuthEnabled", False),
        _resources(reading, found, _CONTAINER_LIMITS),
        found.get("appInsightsEnabled", False),
        found.get("scoringTimeoutMs", 60_000),
        found.get("maxConcurrentRequestsPerContainer", 1),
        found.get("maxQueueWaitMs", 500),
        replicas,
        _keys(reading, found),
        found.get("gpuCores", 0),
        LivenessProbe(
            probe.get("periodSeconds", 10),
            probe.get("initialDelaySeconds", 310),
            probe.get("timeoutSeconds", 2),
            probe.get("successThreshold", 1),
            probe.get("failureThreshold", 3),
        ),
        found.get("namespace"),
        found.get("computeTargetName"),
        is_endpoint,
        found.get("versionName"),
        percentile,
    )


def _iot(reading: KeyReading, given: Mapping[Any, Any]) -> IotDeployment:
    found = reading.keys(given, _IOT, needed=("amlModule", "routes", "iotDeviceId"))
    module = _module(reading, found.get("amlModule"), _AML_MODULE, "amlModule")
    others = [
        _module(reading, part, _EXTERNAL_MODULE, f"externalModules[{number}]", ("imageLocation",))
        for number, part in enumerate(found.get("externalModules", ()))
    ]
    credentials = []
    for number, part in enumerate(found.get("acrCredentials", ())):
        place = f"acrCredentials[{number}]"
        reading.need(isinstance(part, dict), f"`{place}` must be {OBJECT}")
        usable = reading.keys(part if isinstance(part, dict) else {}, _CREDENTIALS, f"{place}.", tuple(_CREDENTIALS))
        credentials.append(AcrCredentials(*(usable.get(key, "") for key in _CREDENTIALS)))
    variables = collection_variables(reading, found)
    return IotDeployment(
        module, found.get("iotDeviceId", ""), found.get("routes", {}), tuple(others), tuple(credentials), variables
    )


def _module(
    reading: KeyReading, part: Any, table: Mapping[str, Any], place: str, needed: tuple[str, ...] = ()
) -> EdgeModule:
    reading.need(isinstance(part, dict) or part is None, f"`{place}` must be {OBJECT}")
    if not isinstance(part, dict):
        return EdgeModule("")
    found = reading.keys(part, table, f"{place}.", ("moduleName", *needed))
    variables: dict[str, Any] = {
        name: value.get("value") if isinstance(value, dict) else value
        for name, value in found.get("environmentVariables", {}).items()
    }
    for name, value in variables.items():
        good = isinstance(value, str | int | float)
        reading.need(good, f"`{place}.environmentVariables.{name}` must be a text, number or boolean")
    return EdgeModule(
        found.get("moduleName", ""),
        found.get("imageLocation"),
        _mapping(reading, found.get("createOptions"), f"{place}.createOptions"),
        variables,
        _mapping(reading, found.get("propertiesDesired"), f"{place}.propertiesDesired"),
    )


def _mapping(reading: KeyReading, value: Any, place: str) -> Mapping[str, Any]:
    """A mapping, or a JSON text of one, as deployment manifests have it."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except ValueError as error:
            reading.need(False, f"`{place}` is no JSON: {error}")
            return {}
    reading.need(value is None or isinstance(value, dict), f"`{place}` must be {OBJECT}")
    return value if isinstance(value, dict) else {}


_READERS: Mapping[str, Callable[[KeyReading, Mapping[Any, Any]], DeploymentConfig]] = {
    LOCAL: _local,
    ACI: _aci,
    AKS: _aks,
    AKS_ENDPOINT: lambda reading, given: _aks(reading, given, is_endpoint=True),
    IOT: _iot,
}
