"""@rawhttp on a function that is not run(): it counts all the same."""

from azureml.contrib.services.aml_request import rawhttp


@rawhttp
def other(request):
    return None


def init():
    pass


def run(data):
    return [isinstance(data, str), getattr(data, "method", None)]
