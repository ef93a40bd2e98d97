"""`azureml.core.compute_target`: its error, which scripts catch."""

from edgepack.azureml.cloud_only import names_of
from edgepack.azureml.exceptions import ComputeTargetException

__all__ = ["ComputeTargetException"]

__getattr__ = names_of(__name__)  # what is Azure's alone
