"""`Workspace`: a folder on this machine. The names in a `config.json` of v1 are kept; nobody is contacted."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.azureml.cloud_only import nothing, refused
from edgepack.azureml.cloud_table import COMPUTE, DATA, IMAGES, NETWORK, SECRETS, TRAINING
from edgepack.azureml.exceptions import UserErrorException
from edgepack.files import write_file
from edgepack.workspace_folder import find_workspace

if TYPE_CHECKING:
    from edgepack.azureml.core.environment import Environment
    from edgepack.azureml.core.model import Model
    from edgepack.azureml.core.webservice import LocalWebservice

CONFIG_FILE = "config.json"
_FOLDERS = (".azureml", "aml_config", "")
_NAMES = ("subscription_id", "resource_group", "workspace_name")
LOCAL = "local"
_ONE_FOLDER = "a workspace is a folder: `EDGEPACK_WORKSPACE` names it, and what is in it can be copied and removed"
_TRACKING = "MLflow has servers of its own; `edgepack model register --from-mlflow` takes models from them"


class Workspace:
    """Where models, environments and services are kept: `$EDGEPACK_WORKSPACE`, else `.edgepack` of the project or here.

    All names lead to that one folder: workspaces that are to be apart have folders of their own.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        auth: Any = None,
        **kwargs: Any,
    ) -> None:
        """The workspace of the current folder, under these names; `auth` and what else v1 took is not needed."""
        self.folder = find_workspace(None, os.environ, Path.cwd())
        self.name = workspace_name or LOCAL
        self.resource_group = resource_group or LOCAL
        self.subscription_id = subscription_id or LOCAL
        self.location = LOCAL
        self.sku = LOCAL
        self.tags: dict[str, str] = {}

    @staticmethod
    def from_config(
        path: str | None = None, auth: Any = None, _logger: Any = None, _file_name: str | None = None
    ) -> "Workspace":
        """The workspace, with the names of the nearest `.azureml/config.json` or `config.json`; it works without one.

        Raises:
            UserErrorException: `path` is given, and no such file is there; or the file is not one.
        """
        file = _find_config(Path(path) if path is not None else None, _file_name or CONFIG_FILE)
        if file is None:
            if path is not None:
                raise UserErrorException(
                    f"{path}: there is no {_file_name or CONFIG_FILE}; without `path` none is needed"
                )
            return Workspace()
        try:
            found = json.loads(file.read_text(encoding="utf-8-sig"))
            names = {name: found.get(name) for name in _NAMES}
        except (ValueError, AttributeError) as error:
            raise UserErrorException(f"{file}: not the configuration of a workspace: {error}") from error
        return Workspace(**names)

    @staticmethod
    def get(
        name: str,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,
    ) -> "Workspace":
        """The workspace of the current folder, under this name."""
        return Workspace(subscription_id, resource_group, name)

    @staticmethod
    def create(
        name: str,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        **kwargs: Any,
    ) -> "Workspace":
        """As `get`: the folder appears with what is first kept in it."""
        return Workspace(subscription_id, resource_group, name)

    @property
    def models(self) -> "dict[str, Model]":
        """The latest version of each registered model, by name."""
        from edgepack.azureml.core.model import Model

        return {model.name: model for model in Model.list(self, latest=True)}

    @property
    def webservices(self) -> "dict[str, LocalWebservice]":
        """The services, by name."""
        from edgepack.azureml.core.webservice import Webservice

        return {service.name: service for service in Webservice.list(self)}

    @property
    def environments(self) -> "dict[str, Environment]":
        """The newest version of each registered environment, by name."""
        from edgepack.azureml.core.environment import Environment

        return Environment.list(self)

    compute_targets = nothing("Workspace.compute_targets", COMPUTE)
    datasets = nothing("Workspace.datasets", DATA)
    datastores = nothing("Workspace.datastores", DATA)
    experiments = nothing("Workspace.experiments", TRAINING)
    images = nothing("Workspace.images", IMAGES)
    linked_services = nothing("Workspace.linked_services", NETWORK)
    private_endpoints = nothing("Workspace.private_endpoints", NETWORK)

    list = staticmethod(refused("Workspace.list", _ONE_FOLDER))
    delete = refused("Workspace.delete", _ONE_FOLDER)
    get_default_compute_target = refused("Workspace.get_default_compute_target", COMPUTE)
    get_default_datastore = refused("Workspace.get_default_datastore", DATA)
    set_default_datastore = refused("Workspace.set_default_datastore", DATA)
    get_default_keyvault = refused("Workspace.get_default_keyvault", SECRETS)
    get_mlflow_tracking_uri = refused("Workspace.get_mlflow_tracking_uri", _TRACKING)
    get_run = refused("Workspace.get_run", TRAINING)
    get_connection = refused("Workspace.get_connection", NETWORK)
    set_connection = refused("Workspace.set_connection", NETWORK)
    list_connections = refused("Workspace.list_connections", NETWORK)
    add_private_endpoint = refused("Workspace.add_private_endpoint", NETWORK)
    diagnose_workspace = refused("Workspace.diagnose_workspace", NETWORK)
    list_keys = refused("Workspace.list_keys", NETWORK)
    sync_keys = refused("Workspace.sync_keys", NETWORK)
    update = refused("Workspace.update", _ONE_FOLDER)
    update_dependencies = refused("Workspace.update_dependencies", NETWORK)

    def get_details(self) -> dict[str, Any]:
        """The workspace in v1's keys, as far as there is something to say; `folder` is where it is."""
        return {
            "id": f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}/workspaces/{self.name}",
            "name": self.name,
            "location": self.location,
            "type": "edgepack",
            "folder": str(self.folder),
        }

    def write_config(self, path: str | None = None, file_name: str | None = None) -> None:
        """Write `.azureml/config.json` below `path` (the current folder), for `from_config`."""
        names = dict(zip(_NAMES, (self.subscription_id, self.resource_group, self.name), strict=True))
        file = Path(path or ".") / ".azureml" / (file_name or CONFIG_FILE)
        write_file(file, (json.dumps(names, indent=4) + "\n").encode())

    def __repr__(self) -> str:
        """As v1 wrote it."""
        return (
            f"Workspace.create(name={self.name!r}, subscription_id={self.subscription_id!r}, "
            f"resource_group={self.resource_group!r})"
        )


def _find_config(path: Path | None, name: str) -> Path | None:
    if path is not None and path.is_file():
        return path
    start = (path or Path.cwd()).absolute()
    places = (folder / below / name for folder in (start, *start.parents) for below in _FOLDERS)
    return next((place for place in places if place.is_file()), None)
