"""edgepack: from a registered model and an Azure ML entry script to an IoT Edge module.

The packager. It runs on a laptop or in CI; what runs on the device is the package `device_agent`.
See ARCHITECTURE.md for the parts and who may import whom.
"""

TYPE_CHECKING = False  # as of the module `typing`, which takes long to load

__version__ = "0.1.0"

PROJECT_FILE = "edgepack.yaml"

_FROM_AZUREML = {
    "CondaDependencies": "conda_dependencies",
    "Environment": "environment",
    "InferenceConfig": "model",
    "LocalWebservice": "webservice",
    "Model": "model",
    "ModelPackage": "model",
    "Webservice": "webservice",
    "Workspace": "workspace",
}

if TYPE_CHECKING:
    from edgepack.azureml.core.conda_dependencies import CondaDependencies as CondaDependencies
    from edgepack.azureml.core.environment import Environment as Environment
    from edgepack.azureml.core.model import InferenceConfig as InferenceConfig
    from edgepack.azureml.core.model import Model as Model
    from edgepack.azureml.core.model import ModelPackage as ModelPackage
    from edgepack.azureml.core.webservice import LocalWebservice as LocalWebservice
    from edgepack.azureml.core.webservice import Webservice as Webservice
    from edgepack.azureml.core.workspace import Workspace as Workspace


def __getattr__(name: str) -> object:
    """The classes of `edgepack.azureml`, loaded when they are first asked for: the command line does without."""
    if name not in _FROM_AZUREML:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"edgepack.azureml.core.{_FROM_AZUREML[name]}"), name)
