"""`azureml.core.container_registry`."""

from edgepack.azureml.cloud_only import names_of
from edgepack.azureml.core.environment_sections import ContainerRegistry

__all__ = ["ContainerRegistry"]

__getattr__ = names_of(__name__)  # what is Azure's alone
