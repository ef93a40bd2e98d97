"""What a deployment is asked for, and its start."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import service
from edgepack.azureml.core.inference_config import InferenceConfig
from edgepack.azureml.core.model_registration import references
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import WebserviceException, of_arguments, told_as
from edgepack.services.record import PROCESS, ServiceRequest, Voice

if TYPE_CHECKING:
    from edgepack.azureml.core.webservice.local import LocalWebservice

_LOG = logging.getLogger("edgepack.azureml")


class DeploymentConfiguration:
    """How and where to deploy. `settings` are the arguments that were given, by their names in v1."""

    compute_type = ""
    is_here = False

    def __init__(self, **settings: Any) -> None:
        """Keep the settings."""
        self.settings = {name: value for name, value in settings.items() if value is not None}
        self.tags: dict[str, str] = settings.get("tags") or {}
        self.properties: dict[str, str] = settings.get("properties") or {}
        self.description: str | None = settings.get("description")
        vars(self).update((name, value) for name, value in settings.items() if name not in vars(self))

    def validate_configuration(self) -> None:
        """Nothing: what was given was checked when it was given."""

    def print_deploy_configuration(self) -> None:
        """Print where it is for, and what was given but keys."""
        shown = (f"{name}={value!r}" for name, value in self.settings.items() if not name.endswith("_key"))
        print(f"{self.compute_type}: {', '.join(shown)}")


class LocalDeploymentConfiguration(DeploymentConfiguration):
    """A service on this machine."""

    compute_type = "Local"
    is_here = True

    def __init__(self, port: int | None, auth_enabled: bool, runner: str) -> None:
        """Keep the settings."""
        super().__init__(port=port, auth_enabled=auth_enabled, runner=runner)
        self.port, self.auth_enabled, self.runner = port, auth_enabled, runner


class CloudDeploymentConfiguration(DeploymentConfiguration):
    """A service of Azure: described as v1 did, and refused when it is deployed."""

    def __init__(self, compute_type: str, what: str, settings: dict[str, Any]) -> None:
        """Keep the settings; `what` is the name of the service of Azure."""
        super().__init__(**settings)
        self.compute_type, self.what = compute_type, what


def voice(is_loud: bool) -> Voice:
    """Warnings and what has no effect go to the log `edgepack.azureml`, progress is printed where it is wanted."""

    def log(text: str) -> None:
        _LOG.warning(of_arguments(text))

    return Voice(print if is_loud else lambda _text: None, log, note=log)


def deploy_models(
    workspace: Workspace,
    name: str,
    models: Sequence[Any],
    inference_config: InferenceConfig | None,
    deployment_config: DeploymentConfiguration | None,
    deployment_target: Any,
    overwrite: bool,
    show_output: bool,
) -> "LocalWebservice":
    """`Model.deploy`.

    Raises:
        WebserviceException: something given cannot be used, is not there, or is for Azure alone.
    """
    from edgepack.azureml.core.webservice.local import LocalWebservice

    local = _local(deployment_config, deployment_target)
    found = references(workspace.folder, models)
    if inference_config is None and len(found) != 1:
        raise WebserviceException("without an inference configuration, exactly one model can be deployed")
    request = ServiceRequest(
        name=name,
        models=found,
        inference_config=None if inference_config is None else inference_config.document(),
        port=local.port,
        runner=local.runner,
        needs_key=local.auth_enabled,
        description=None if inference_config is None else inference_config.description,
        folder=Path.cwd() if inference_config is None else inference_config.folder,
    )
    with told_as(WebserviceException):
        service.deploy(workspace.folder, request, overwrite=overwrite, wait=False, voice=voice(show_output))
    return LocalWebservice(workspace, name)


def _local(config: DeploymentConfiguration | None, target: Any) -> LocalDeploymentConfiguration:
    if target is not None:
        raise WebserviceException(
            f"deployment_target {getattr(target, 'name', target)!r}: there are no compute targets of Azure here; leave "
            "it out, and the service runs on this machine"
        )
    if isinstance(config, CloudDeploymentConfiguration):
        raise WebserviceException(
            f"{config.compute_type} ({config.what}) is a service of Azure, which edgepack does not deploy to. Nearest: "
            "LocalWebservice.deploy_configuration() serves the same script over the same HTTP on this machine; the "
            "image that Model.package makes runs in any container service or Kubernetes, with HTTP on port 5001"
        )
    if config is not None and not isinstance(config, LocalDeploymentConfiguration):
        raise WebserviceException(
            f"deployment_config must be what deploy_configuration() gives, not {type(config).__name__}"
        )
    return config or LocalDeploymentConfiguration(None, False, PROCESS)
