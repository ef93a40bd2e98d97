"""`Webservice`: what all services have in common. Those of this machine are `LocalWebservice`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from edgepack import service
from edgepack.azureml.cloud_only import refuse
from edgepack.azureml.core.model_registration import filters
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import WebserviceException, told_as
from edgepack.errors import InputError
from edgepack.services.filtering import ServiceFilter
from edgepack.services.log_text import failure_text
from edgepack.services.record import FAILED, Service

if TYPE_CHECKING:
    from edgepack.azureml.core.webservice.local import LocalWebservice

_MODEL_DEPLOY = "Model.deploy(workspace, name, models, inference_config) does the same from an InferenceConfig"


class Webservice:
    """A service, by its name. `Webservice(workspace, name)` gives a `LocalWebservice`."""

    def __new__(cls, workspace: Workspace, name: str, *args: Any, **kwargs: Any) -> "LocalWebservice":
        """An object of the class that the service is of."""
        from edgepack.azureml.core.webservice.local import LocalWebservice

        return cast("LocalWebservice", super().__new__(LocalWebservice if cls is Webservice else cls))

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Look up a service.

        Raises:
            WebserviceException: there is none; the text begins with `WebserviceNotFound`.
        """
        self.workspace, self.name = workspace, name
        try:
            with told_as(WebserviceException):
                service.find(workspace.folder, name)
        except WebserviceException as error:
            raise WebserviceException(
                f"WebserviceNotFound: Webservice with name {name} not found in provided workspace: {error}"
            ) from error

    @staticmethod
    def list(
        workspace: Workspace,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Sequence[Any] | None = None,
        properties: Sequence[Any] | None = None,
        image_digest: str | None = None,
    ) -> "list[LocalWebservice]":
        """The services that answer the filters; of tags and properties, each is a `key` or `[key, value]`.

        Raises:
            WebserviceException: the workspace cannot be read.
        """
        from edgepack.azureml.core.webservice.local import LocalWebservice

        with told_as(WebserviceException):
            found = service.list_services(workspace.folder)
        wanted = ServiceFilter(model_name, model_id, image_name, compute_type, filters(tags), filters(properties))
        return [
            LocalWebservice(workspace, each.name)
            for each in found
            if wanted.fits(each) and {image_id, image_digest} <= {None, each.image}
        ]

    @property
    def state(self) -> str:
        """What it is in now: asked of the service each time."""
        found = self._seen()
        return "deleted" if found is None else found.state

    @property
    def error(self) -> str | None:
        """Why it is not running; with the script's traceback, if that was it."""
        found = self._seen()
        if found is None or not found.reason:
            return None
        told = failure_text(service.logs(self.workspace.folder, self.name)) if found.state == FAILED else None
        return found.reason if not told or told in found.reason else f"{found.reason}\n{told}"

    @property
    def scoring_uri(self) -> str | None:
        """Where it takes requests."""
        return self._now().scoring_uri

    @property
    def swagger_uri(self) -> str | None:
        """Where it describes itself."""
        return self._now().swagger_uri

    @property
    def port(self) -> int | None:
        """The port on this machine."""
        return self._now().port

    @property
    def auth_enabled(self) -> bool:
        """Whether requests must show a key."""
        return self._now().needs_key

    @property
    def token_auth_enabled(self) -> bool:
        """No: there are no tokens here."""
        return False

    @property
    def image_id(self) -> str | None:
        """The image, of a service that is a container."""
        return self._now().image

    @property
    def models(self) -> Sequence[Any]:
        """The models it serves."""
        from edgepack.azureml.core.model import Model

        return [Model(self.workspace, id=model) for model in self._now().models]

    @property
    def description(self) -> str | None:
        """Free text."""
        return self._now().description

    @property
    def tags(self) -> dict[str, str]:
        """Its labels."""
        return dict(self._now().tags)

    @property
    def properties(self) -> dict[str, str]:
        """Its labels for good."""
        return dict(self._now().properties)

    @property
    def created_time(self) -> datetime | None:
        """When it was deployed, in UTC."""
        return _moment(self._now().created_utc)

    @property
    def updated_time(self) -> datetime | None:
        """When it was changed, in UTC."""
        return _moment(self._now().updated_utc)

    @property
    def created_by(self) -> None:
        """Nobody: there are no accounts here."""
        return None

    @property
    def compute_type(self) -> str:
        """Where it runs."""
        return "Local"

    def update_deployment_state(self) -> None:
        """Nothing: the state is asked for each time."""

    def serialize(self) -> dict[str, Any]:
        """The service in v1's keys."""
        return self._now().document()

    @staticmethod
    def deploy_from_model(*_args: Any, **_kwargs: Any) -> NoReturn:
        """Not here: the interface of images, which v1 itself replaced.

        Raises:
            WebserviceException: always.
        """
        refuse("deployment from an image configuration", _MODEL_DEPLOY, WebserviceException)

    deploy = deploy_from_image = deploy_local_from_model = deploy_from_model

    def _seen(self) -> Service | None:
        try:
            return service.find(self.workspace.folder, self.name)
        except InputError:
            return None

    def _now(self) -> Service:
        with told_as(WebserviceException):
            return service.find(self.workspace.folder, self.name)

    def __repr__(self) -> str:
        """As v1 wrote it."""
        found = self._seen()
        about = (None, "deleted", None) if found is None else (found.scoring_uri, found.state, dict(found.tags))
        uri, state, tags = about
        return (
            f"{type(self).__name__}(workspace={self.workspace!r}, name={self.name}, compute_type=Local, "
            f"state={state}, scoring_uri={uri}, tags={tags})"
        )


class CloudWebservice(Webservice):
    """A service of Azure; there are none here."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Refuse.

        Raises:
            WebserviceException: always.
        """
        raise WebserviceException(
            f"WebserviceNotFound: Webservice with name {name} not found in provided workspace: services of Azure are "
            "not here; Webservice(workspace, name) finds those of this machine"
        )


def _moment(text: str) -> datetime | None:
    """What is damaged has none."""
    return datetime.fromisoformat(text) if text else None
