"""`azureml.core.authentication`: objects that notebooks make and hand on. Nobody logs in, and nothing given is kept."""

from typing import Any


class AbstractAuthentication:
    """Not needed here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what v1 took, and forget it."""


class InteractiveLoginAuthentication(AbstractAuthentication):
    """Not needed here."""


class AzureCliAuthentication(AbstractAuthentication):
    """Not needed here."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """Not needed here."""


class MsiAuthentication(AbstractAuthentication):
    """Not needed here."""
