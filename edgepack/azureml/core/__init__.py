"""`azureml.core`: what notebooks import from its top."""

from edgepack.azureml.cloud_only import names_of
from edgepack.azureml.core.conda_dependencies import SDK_VERSION
from edgepack.azureml.core.environment import Environment
from edgepack.azureml.core.environment_sections import ContainerRegistry
from edgepack.azureml.core.model import Model
from edgepack.azureml.core.resource_configuration import ResourceConfiguration
from edgepack.azureml.core.run import Run
from edgepack.azureml.core.webservice import Webservice
from edgepack.azureml.core.workspace import Workspace

VERSION = SDK_VERSION

__all__ = [
    "VERSION",
    "ContainerRegistry",
    "Environment",
    "Model",
    "ResourceConfiguration",
    "Run",
    "Webservice",
    "Workspace",
]

__getattr__ = names_of(__name__)  # what is Azure's alone
