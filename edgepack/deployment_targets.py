"""The kinds of deployment that SDK v1 had, as values with v1's defaults. What reads them is `deployment_config`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOCAL, ACI, AKS, AKS_ENDPOINT, IOT = "local", "aci", "aks", "aksendpoint", "iot"
COMPUTE_TYPES = (LOCAL, ACI, AKS, AKS_ENDPOINT, IOT)
DEPLOYED_HERE = (LOCAL, IOT)


@dataclass(frozen=True, slots=True)
class LocalDeployment:
    """A service on this machine. `port` None: a free one. `variables` are those of the agent, where nothing else says
    otherwise. `notes` tell what of the file has no effect.
    """

    port: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """What a container may use; memory in GB as v1 counts it."""

    cpu: float = 0.1
    memory_gb: float = 0.5
    cpu_limit: float | None = None
    memory_gb_limit: float | None = None


@dataclass(frozen=True, slots=True)
class AuthKeys:
    """Keys that clients show; None: made by the service."""

    primary: str | None = field(default=None, repr=False)
    secondary: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AciDeployment:
    """Azure Container Instances."""

    resources: ContainerResources = ContainerResources()
    location: str | None = None
    auth_enabled: bool = False
    ssl_enabled: bool = False
    app_insights_enabled: bool = False
    ssl_certificate: str | None = None
    ssl_key: str | None = field(default=None, repr=False)
    cname: str | None = None
    dns_name_label: str | None = None
    vault_base_url: str | None = None
    key_name: str | None = None
    key_version: str | None = None
    vnet_name: str | None = None
    subnet_name: str | None = None
    keys: AuthKeys = AuthKeys()


@dataclass(frozen=True, slots=True)
class AutoScaler:
    """How many replicas of a service there are; `target_utilization` in percent."""

    enabled: bool = True
    min_replicas: int = 1
    max_replicas: int = 10
    refresh_s: int = 1
    target_utilization: int = 70


@dataclass(frozen=True, slots=True)
class LivenessProbe:
    """When a container counts as alive."""

    period_s: int = 10
    initial_delay_s: int = 310
    timeout_s: int = 2
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class AksDeployment:
    """Azure Kubernetes Service; of an endpoint, `version_name` and `traffic_percentile` as well."""

    auto_scaler: AutoScaler = AutoScaler()
    data_collection: bool = False
    auth_enabled: bool = True
    token_auth_enabled: bool = False
    resources: ContainerResources = ContainerResources()
    app_insights_enabled: bool = False
    scoring_timeout_ms: int = 60_000
    max_concurrent_requests: int = 1
    max_queue_wait_ms: int = 500
    num_replicas: int | None = None
    keys: AuthKeys = AuthKeys()
    gpu_cores: int = 0
    liveness_probe: LivenessProbe = LivenessProbe()
    namespace: str | None = None
    compute_target: str | None = None
    is_endpoint: bool = False
    version_name: str | None = None
    traffic_percentile: float | None = None


@dataclass(frozen=True, slots=True)
class EdgeModule:
    """A module of an IoT Edge deployment; `image` None: the one that is built."""

    name: str
    image: str | None = None
    create_options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    desired: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AcrCredentials:
    """Who signs in to a registry."""

    location: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IotDeployment:
    """IoT Edge: the model's own module, others, routes by name, the device, and who pulls the images. `variables` are
    those of the agent, where nothing else says otherwise. `notes` tell what of the file has no effect.
    """

    module: EdgeModule
    device_id: str
    routes: Mapping[str, Any] = field(default_factory=dict)
    external_modules: tuple[EdgeModule, ...] = ()
    credentials: tuple[AcrCredentials, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


DeploymentConfig = LocalDeployment | AciDeployment | AksDeployment | IotDeployment
