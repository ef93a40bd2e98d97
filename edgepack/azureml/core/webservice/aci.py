"""`AciWebservice`: its configuration can be written down, and is refused when it is deployed."""

from typing import Any

from edgepack.azureml.core.webservice.deployment import CloudDeploymentConfiguration
from edgepack.azureml.core.webservice.webservice import CloudWebservice


class AciWebservice(CloudWebservice):
    """A service of Azure Container Instances; there are none here."""

    @staticmethod
    def deploy_configuration(
        cpu_cores: float | None = None,
        memory_gb: float | None = None,
        tags: dict[str, str] | None = None,
        properties: dict[str, str] | None = None,
        description: str | None = None,
        location: str | None = None,
        auth_enabled: bool | None = None,
        ssl_enabled: bool | None = None,
        enable_app_insights: bool | None = None,
        ssl_cert_pem_file: str | None = None,
        ssl_key_pem_file: str | None = None,
        ssl_cname: str | None = None,
        dns_name_label: str | None = None,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        collect_model_data: bool | None = None,
        cmk_vault_base_url: str | None = None,
        cmk_key_name: str | None = None,
        cmk_key_version: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
    ) -> CloudDeploymentConfiguration:
        """The configuration of a deployment that `Model.deploy` refuses, naming the nearest thing that works."""
        given: dict[str, Any] = dict(locals())
        return CloudDeploymentConfiguration("ACI", "Azure Container Instances", given)
