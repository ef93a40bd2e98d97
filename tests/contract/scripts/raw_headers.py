"""A raw run() that takes the headers as well."""

from azureml.contrib.services.aml_request import rawhttp


def init():
    pass


@rawhttp
def run(request, request_headers):
    return [request.method, request_headers.get("X-Own")]
