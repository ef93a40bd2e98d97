"""Stand-in for `azureml_inference_server_http.api.aml_response`: a response with status and headers of its own."""

from device_agent.aml_classes import AMLResponse

__all__ = ["AMLResponse"]
