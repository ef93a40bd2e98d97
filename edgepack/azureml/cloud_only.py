"""What of SDK v1 is Azure's alone: it is imported as before, and refused where it is used."""

from typing import NoReturn

from edgepack.azureml.exceptions import AzureMLException, UserErrorException


def refuse(what: str, instead: str, kind: type[AzureMLException] = UserErrorException) -> NoReturn:
    """Say that `what` is Azure's, and what to do `instead`.

    Raises:
        AzureMLException: always; of that kind.
    """
    raise kind(f"{what} is Azure's, and not here: {instead}")
