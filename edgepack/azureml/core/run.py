"""`azureml.core.run`: runs are Azure's; a script that nobody submitted has an offline one, as in v1."""

from typing import Any

from device_agent.shims.offline_run import OfflineRun
from edgepack.azureml.cloud_only import CloudOnly, names_of
from edgepack.azureml.cloud_table import TRAINING
from edgepack.azureml.exceptions import RunEnvironmentException

_OfflineRun = OfflineRun
__getattr__ = names_of(__name__)


class Run(metaclass=CloudOnly):
    """Azure's, but for `get_context`."""

    _instead = TRAINING

    @staticmethod
    def get_context(allow_offline: bool = True, **_kwargs: Any) -> OfflineRun:
        """The offline run: what is logged is printed.

        Raises:
            RunEnvironmentException: it is not allowed.
        """
        if not allow_offline:
            raise RunEnvironmentException("no run was submitted: edgepack runs no training")
        return OfflineRun()
