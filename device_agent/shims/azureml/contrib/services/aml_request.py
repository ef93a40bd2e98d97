"""Stand-in for `azureml.contrib.services.aml_request`: the decorator of raw scripts, and what they get."""

from device_agent.aml_classes import AMLRequest, rawhttp

__all__ = ["AMLRequest", "rawhttp"]
