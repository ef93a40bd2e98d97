"""Stand-in for `azureml.core.run`: nobody submits a script on a device, so its run is an offline one."""

from typing import Any

from device_agent.shims.offline_run import OfflineRun
from device_agent.shims.workspace_names import WorkspaceOnly, names_of

from ..exceptions import RunEnvironmentException

_OfflineRun = OfflineRun
__getattr__ = names_of("azureml.core.run")


class Run(metaclass=WorkspaceOnly):
    """Of an experiment; there are none on a device."""

    @staticmethod
    def get_context(allow_offline: bool = True, **_kwargs: Any) -> OfflineRun:
        """The offline run.

        Raises:
            RunEnvironmentException: it is not allowed.
        """
        if not allow_offline:
            raise RunEnvironmentException("no run was submitted: this script is served")
        return OfflineRun()
