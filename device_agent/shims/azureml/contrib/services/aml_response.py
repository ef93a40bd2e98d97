"""Stand-in for `azureml.contrib.services.aml_response`: a response with status and headers of its own."""

from device_agent.aml_classes import AMLResponse

__all__ = ["AMLResponse"]
