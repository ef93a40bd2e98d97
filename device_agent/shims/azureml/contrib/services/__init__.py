"""Stand-in for `azureml.contrib.services`: raw HTTP access for scoring scripts."""

from .aml_request import AMLRequest, rawhttp
from .aml_response import AMLResponse

__all__ = ["AMLRequest", "AMLResponse", "rawhttp"]
