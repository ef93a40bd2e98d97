"""Stand-in for `azureml.exceptions`: the errors that the other stand-ins raise."""


class AzureMLException(Exception):
    """Root of the SDK's errors; `message` is the text."""

    def __init__(self, exception_message: str) -> None:
        self.message = exception_message
        super().__init__(exception_message)


class UserErrorException(AzureMLException):
    """Something that needs a workspace; a device has none."""


class RunEnvironmentException(AzureMLException):
    """A script asked for the run that it belongs to; it belongs to none."""


class WebserviceException(AzureMLException):
    """A wrong argument, or a model folder that is not as it must be."""


class ModelNotFoundException(AzureMLException):
    """No such model on this device."""
