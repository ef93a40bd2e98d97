"""Stand-in for `azureml_inference_server_http.api.aml_request`: the decorator of raw scripts, and what they get."""

from device_agent.aml_classes import AMLRequest, rawhttp

__all__ = ["AMLRequest", "rawhttp"]
