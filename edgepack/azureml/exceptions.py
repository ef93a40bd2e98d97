"""The errors of SDK v1; `message` is the text. What only training and Azure's services raised is there to be caught."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgepack import PROJECT_FILE
from edgepack.errors import EdgepackError


class AzureMLException(Exception):
    """Root of the SDK's errors."""

    def __init__(self, exception_message: str, **_kwargs: object) -> None:
        self.message = exception_message
        super().__init__(exception_message)


class UserErrorException(AzureMLException):
    """What the caller gave cannot be used."""


class WorkspaceException(AzureMLException):
    """Something is wrong with the workspace."""


class WebserviceException(AzureMLException):
    """A model, a configuration or a service is not as it must be, or does not do what it should.

    `status_code` is that of the service's answer, if that is the reason.
    """

    def __init__(self, exception_message: str, status_code: int | None = None, **_kwargs: object) -> None:
        self.status_code = status_code
        super().__init__(exception_message)


class ModelNotFoundException(WebserviceException):
    """There is no such model. Scripts of v1 catch it by either name."""


class AuthenticationException(UserErrorException):
    """Never raised: nobody logs in."""


class ComputeTargetException(AzureMLException):
    """Never raised, as those below: there are no compute targets."""


class ActivityFailedException(AzureMLException):
    """Of runs."""


class ExperimentExecutionException(AzureMLException):
    """Of experiments."""


class ModelPathNotFoundException(AzureMLException):
    """Of the files of runs."""


class ProjectSystemException(AzureMLException):
    """Of experiments."""


class RunConfigurationException(AzureMLException):
    """Of runs."""


class RunEnvironmentException(AzureMLException):
    """Of scripts that ask for their run."""


class ServiceException(AzureMLException):
    """Of Azure's services."""


class TrainingException(AzureMLException):
    """Of runs."""


@contextmanager
def told_as(kind: type[AzureMLException]) -> Iterator[None]:
    """Raise edgepack's own errors as `kind`, with their text; the error itself is its `__cause__`."""
    try:
        yield
    except EdgepackError as error:
        raise kind(of_arguments(str(error))) from error


def of_arguments(text: str) -> str:
    """A text about a project, where there is none: what is wrong was an argument."""
    return text.replace(f"{PROJECT_FILE}: ", "")
