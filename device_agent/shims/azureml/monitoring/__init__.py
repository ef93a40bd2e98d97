"""Stand-in for `azureml.monitoring`, the data collection of SDK v1."""

from .modeldatacollector import ModelDataCollector

__all__ = ["ModelDataCollector"]
