"""`LocalWebservice`: a service as a process or container of this machine."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from edgepack import service
from edgepack.azureml.cloud_only import refuse
from edgepack.azureml.core.inference_config import InferenceConfig
from edgepack.azureml.core.model_registration import references
from edgepack.azureml.core.webservice.deployment import LocalDeploymentConfiguration, voice
from edgepack.azureml.core.webservice.webservice import Webservice
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import WebserviceException, told_as
from edgepack.errors import InputError
from edgepack.services.record import (
    DELETED,
    DEPLOYING,
    FAILED,
    LOG_LINES,
    PROCESS,
    READY_WITHIN_S,
    RUNNERS,
    RUNNING,
    SILENT,
    UNKNOWN,
    ServiceChange,
)

CRASHED = "Error: Container has crashed. Did your init method fail?"


class LocalWebservice(Webservice):
    """A service of this machine. All errors are `WebserviceException`, with the reason in their text."""

    STATE_DELETED, STATE_DEPLOYING, STATE_FAILED = DELETED, DEPLOYING, FAILED
    STATE_RUNNING, STATE_UNKNOWN = RUNNING, UNKNOWN

    def __init__(self, workspace: Workspace, name: str, must_exist: bool = True) -> None:
        """Look up a service; with `must_exist` False it need not be there yet.

        Raises:
            WebserviceException: there is none.
        """
        if must_exist:
            super().__init__(workspace, name)
        self.workspace, self.name = workspace, name

    @staticmethod
    def list(  # type: ignore[override]  # as in v1
        workspace: Workspace,
        model_name: str | None = None,
        model_id: str | None = None,
        all: bool | None = None,
    ) -> "list[LocalWebservice]":
        """The services that have a model, by its name or id; those that have ended are always among them.

        Raises:
            WebserviceException: the workspace cannot be read.
        """
        return Webservice.list(workspace, model_name=model_name, model_id=model_id)

    @staticmethod
    def deserialize(workspace: Workspace, webservice_payload: Mapping[str, Any]) -> "LocalWebservice":
        """The service that `serialize` was called on.

        Raises:
            WebserviceException: it is no longer there.
        """
        return LocalWebservice(workspace, webservice_payload["name"])

    @staticmethod
    def deploy_configuration(
        port: int | None = None, *, auth_enabled: bool = False, runner: str = PROCESS
    ) -> LocalDeploymentConfiguration:
        """How to deploy here. `port` None: a free one. Not in v1: `auth_enabled`, keys as AKS had; `runner`, `docker`.

        Raises:
            WebserviceException: the port is none, or the runner not known.
        """
        if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535):
            raise WebserviceException(f"port must be 1 to 65535, not {port!r}")
        if runner not in RUNNERS:
            raise WebserviceException(f"runner {runner!r} is not known: choose one of {', '.join(RUNNERS)}")
        return LocalDeploymentConfiguration(port, auth_enabled, runner)

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Wait until it is ready (for `timeout_sec`, 300 by default), and print where it is.

        Raises:
            WebserviceException: `init()` failed, with the script's traceback; or it is not ready in time.
        """
        if self._seen() is None:
            raise WebserviceException(f"WebserviceNotFound: Webservice with name {self.name} not found")
        if show_output:
            print("Checking container health...")
        ready_s = READY_WITHIN_S if timeout_sec is None else timeout_sec
        with told_as(WebserviceException):
            try:
                found = service.wait_until_ready(self.workspace.folder, self.name, ready_s=ready_s, voice=SILENT)
            except InputError as error:
                raise WebserviceException(f"{CRASHED}\n{error}") from error
        print(f"Local webservice is running at http://localhost:{found.port}")

    def run(self, input_data: str | bytes | None = None, *, data: str | bytes | None = None) -> Any:
        """Send a request, when the service is ready; returns the answer, read as JSON. `data` is `input_data` too.

        Raises:
            WebserviceException: it did not answer, or with an error, whose status and body are in the text; or as
                `wait_for_deployment`.
        """
        body = data if input_data is None else input_data
        if not isinstance(body, str | bytes):
            raise WebserviceException(
                f"the input is a text (of JSON) or bytes, not {type(body).__name__}: use json.dumps({{...}})"
            )
        content = body.encode() if isinstance(body, str) else body
        with told_as(WebserviceException):
            answer = service.run(self.workspace.folder, self.name, content, while_deploying=self.wait_for_deployment)
        text = answer.body.decode("utf-8", "replace")
        if answer.status != 200:
            raise WebserviceException(
                f"Error: Scoring was unsuccessful. Status {answer.status}: {text}", status_code=answer.status
            )
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get_logs(self, num_lines: int = LOG_LINES, raw: bool = False, *, init: bool = False) -> str:
        """The last lines of its log as they are, also after it failed."""
        with told_as(WebserviceException):
            return service.logs(self.workspace.folder, self.name, lines=num_lines)

    def reload(self, wait: bool = False) -> None:
        """Start it anew with a fresh copy of its script; the former one goes on if that fails."""
        with told_as(WebserviceException):
            service.reload(self.workspace.folder, self.name, wait=wait, voice=voice(False))

    def update(
        self,
        models: Sequence[Any] | None = None,
        image_config: None = None,
        deployment_config: LocalDeploymentConfiguration | None = None,
        wait: bool = False,
        inference_config: InferenceConfig | None = None,
    ) -> None:
        """Serve other models or another script; a new image is tried before it replaces the former one.

        Raises:
            WebserviceException: it cannot be changed so.
        """
        if image_config is not None:
            raise WebserviceException("image_config: images are made from an InferenceConfig; give inference_config")
        if deployment_config is not None and deployment_config.port not in (None, self.port):
            raise WebserviceException(
                f"port {deployment_config.port}: a service keeps its port; use Model.deploy with overwrite=True"
            )
        change = ServiceChange(
            models=None if models is None else references(self.workspace.folder, models),
            inference_config=None if inference_config is None else inference_config.document(),
            folder=None if inference_config is None else inference_config.folder,
            needs_key=None if deployment_config is None else deployment_config.auth_enabled,
        )
        with told_as(WebserviceException):
            service.update(self.workspace.folder, self.name, change, wait=wait, voice=voice(False))

    def update_deployment_state(self, must_exist: bool = False) -> None:
        """Nothing: the state is asked for each time.

        Raises:
            WebserviceException: it `must_exist`, and does not.
        """
        if must_exist:
            self._now()

    def deploy_to_cloud(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Not here.

        Raises:
            WebserviceException: always.
        """
        refuse("deploy_to_cloud", "Model.package makes an image for a gateway or any engine", WebserviceException)

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """End it and remove all that is there for it; what builds share stays in the workspace's cache."""
        with told_as(WebserviceException):
            service.delete(
                self.workspace.folder, self.name, delete_image=delete_image, delete_volume=delete_volume, voice=SILENT
            )

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key.

        Raises:
            WebserviceException: it takes requests without.
        """
        with told_as(WebserviceException):
            keys = service.keys(self.workspace.folder, self.name)
        return keys.primary, keys.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Make the `Primary` or `Secondary` key anew, or set it.

        Raises:
            WebserviceException: it has none, or `set_key` cannot be a key.
        """
        with told_as(WebserviceException):
            service.renew_key(self.workspace.folder, self.name, str(key).lower(), set_key)

    def get_token(self) -> NoReturn:
        """Not here.

        Raises:
            WebserviceException: always.
        """
        raise WebserviceException("there are no tokens here: use keys (auth_enabled=True, get_keys)")
