"""`azureml.core.authentication`: objects that notebooks make and hand on. Nobody logs in, and nothing given is kept."""

from typing import Any

from edgepack.azureml.cloud_only import refused


class Audience:
    """For whom a token would have been."""

    ARM = "ARM"
    AZUREML = "AZUREML"


class AbstractAuthentication:
    """Not needed here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what v1 took, and forget it."""

    get_authentication_header = refused(
        "get_authentication_header",
        "nobody logs in; a service that was deployed with auth_enabled=True takes a key of get_keys()",
    )


class InteractiveLoginAuthentication(AbstractAuthentication):
    """Not needed here."""


class AzureCliAuthentication(AbstractAuthentication):
    """Not needed here."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """Not needed here."""


class MsiAuthentication(AbstractAuthentication):
    """Not needed here."""


class ArmTokenAuthentication(AbstractAuthentication):
    """Not needed here."""


class TokenAuthentication(AbstractAuthentication):
    """Not needed here."""


class AzureMLTokenAuthentication(AbstractAuthentication):
    """Not needed here."""
