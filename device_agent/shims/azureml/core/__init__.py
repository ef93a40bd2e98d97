"""Stand-in for `azureml.core`: what entry scripts use of it."""

from .model import Model

__all__ = ["Model"]
