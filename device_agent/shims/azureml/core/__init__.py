"""Stand-in for `azureml.core`: what entry scripts use of it, and what they import beside that."""

from device_agent.shims.workspace_names import names_of

from .model import Model
from .run import Run

__all__ = ["Model", "Run"]

__getattr__ = names_of("azureml.core")
