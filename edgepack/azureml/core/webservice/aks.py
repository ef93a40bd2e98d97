"""`AksWebservice`, `AksEndpoint`: their configuration can be written down, and is refused when it is deployed."""

from typing import Any

from edgepack.azureml.core.webservice.deployment import CloudDeploymentConfiguration
from edgepack.azureml.core.webservice.webservice import CloudWebservice


class AksWebservice(CloudWebservice):
    """A service of Azure Kubernetes Service; there are none here."""

    @staticmethod
    def deploy_configuration(
        autoscale_enabled: bool | None = None,
        autoscale_min_replicas: int | None = None,
        autoscale_max_replicas: int | None = None,
        autoscale_refresh_seconds: int | None = None,
        autoscale_target_utilization: int | None = None,
        collect_model_data: bool | None = None,
        auth_enabled: bool | None = None,
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        enable_app_insights: bool | None = None,
        scoring_timeout_ms: int | None = None,
        replica_max_concurrent_requests: int | None = None,
        max_request_wait_time: int | None = None,
        num_replicas: int | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        tags: dict[str, str] | None = None,
        properties: dict[str, str] | None = None,
        description: str | None = None,
        gpu_cores: int | None = None,
        period_seconds: int | None = None,
        initial_delay_seconds: int | None = None,
        timeout_seconds: int | None = None,
        success_threshold: int | None = None,
        failure_threshold: int | None = None,
        namespace: str | None = None,
        token_auth_enabled: bool | None = None,
        compute_target_name: str | None = None,
        cpu_cores_limit: float | None = None,
        memory_gb_limit: float | None = None,
        blobfuse_enabled: bool | None = None,
    ) -> CloudDeploymentConfiguration:
        """The configuration of a deployment that `Model.deploy` refuses, naming the nearest thing that works."""
        given: dict[str, Any] = dict(locals())
        return CloudDeploymentConfiguration("AKS", "Azure Kubernetes Service", given)


class AksEndpoint(CloudWebservice):
    """An endpoint with several versions in Azure Kubernetes Service; there are none here."""

    @staticmethod
    def deploy_configuration(
        version_name: str | None = None, traffic_percentile: float | None = None, **settings: Any
    ) -> CloudDeploymentConfiguration:
        """As `AksWebservice.deploy_configuration`, with the version's name and share."""
        given = {"version_name": version_name, "traffic_percentile": traffic_percentile, **settings}
        return CloudDeploymentConfiguration("AKSEndpoint", "Azure Kubernetes Service", given)
