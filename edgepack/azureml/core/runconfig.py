"""`azureml.core.runconfig`: what scripts take from there for an `Environment`."""

from edgepack.azureml.cloud_only import names_of
from edgepack.azureml.core.conda_dependencies import CondaDependencies
from edgepack.azureml.core.environment_sections import DEFAULT_IMAGE, ContainerRegistry

__all__ = ["DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE", "MPI_CPU_IMAGE", "CondaDependencies", "ContainerRegistry"]

DEFAULT_CPU_IMAGE = MPI_CPU_IMAGE = DEFAULT_IMAGE
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04"

__getattr__ = names_of(__name__)  # what is Azure's alone
