"""The errors of SDK v1, as far as what is here raises them; `message` is the text."""

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
    """A model, a configuration or a service is not as it must be, or does not do what it should."""


class ModelNotFoundException(WebserviceException):
    """There is no such model. Scripts of v1 catch it by either name."""


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
