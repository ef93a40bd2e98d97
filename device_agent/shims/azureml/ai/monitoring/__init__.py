"""Stand-in for `azureml.ai.monitoring`, the data collection of SDK v2."""

from .collector import Collector

__all__ = ["Collector"]
