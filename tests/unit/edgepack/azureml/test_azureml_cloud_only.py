"""What is Azure's alone: it can be imported, and says so when it is used."""

import pytest

from edgepack.azureml.cloud_only import refuse
from edgepack.azureml.exceptions import UserErrorException, WebserviceException


def test_refusing() -> None:
    with pytest.raises(UserErrorException, match=r"^Model\.profile is Azure's, and not here: measure it$"):
        refuse("Model.profile", "measure it")
    with pytest.raises(WebserviceException, match=r"here: use Model\.deploy$"):
        refuse("Webservice.deploy_from_image", "use Model.deploy", WebserviceException)
