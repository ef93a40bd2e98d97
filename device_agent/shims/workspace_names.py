"""Names of `azureml.core` that need a workspace: scripts import them beside `Model`, and a device has none.

Each is a class that can stand in imports, annotations and `isinstance`; a call of it, or of anything it had, raises
`UserErrorException`. Modules that hold nothing else have no file. A name that is not in the table cannot be imported.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

MODULES = {
    "azureml.core": (
        "ComputeTarget ContainerRegistry Dataset Datastore Environment Experiment Image Keyvault RunConfiguration "
        "ScriptRunConfig Webservice Workspace get_run"
    ),
    "azureml.core.authentication": (
        "AzureCliAuthentication InteractiveLoginAuthentication MsiAuthentication ServicePrincipalAuthentication"
    ),
    "azureml.core.compute": "AksCompute AmlCompute ComputeInstance ComputeTarget",
    "azureml.core.conda_dependencies": "CondaDependencies",
    "azureml.core.dataset": "Dataset",
    "azureml.core.datastore": "Datastore",
    "azureml.core.environment": "CondaDependencies Environment",
    "azureml.core.experiment": "Experiment",
    "azureml.core.image": "ContainerImage Image",
    "azureml.core.keyvault": "Keyvault",
    "azureml.core.run": "get_run",
    "azureml.core.runconfig": "CondaDependencies RunConfiguration",
    "azureml.core.webservice": "AciWebservice AksWebservice LocalWebservice Webservice",
    "azureml.core.workspace": "Workspace",
}


class WorkspaceOnly(type):
    """The class of the classes that stand in for those of a workspace."""

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise _refusal()(_text(cls.__name__))

    def __getattr__(cls, name: str) -> NoReturn:
        """Refuse what the class had, with an `AttributeError`, too, for those who only ask."""
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise _refusal(AttributeError)(_text(f"{cls.__name__}.{name}"))


class WorkspaceLoader:
    """Makes the modules of the table."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """An ordinary one."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill in the names."""
        names = MODULES[module.__name__].split()
        module.__doc__ = f"Stand-in for `{module.__name__}`; see {__name__}."
        vars(module).update({name: _stand_in(name) for name in names}, __all__=names)


def names_of(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module that has names of the table beside its own."""

    def of_table(name: str) -> Any:
        if name in MODULES[module].split():
            return _stand_in(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return of_table


@cache
def _stand_in(name: str) -> WorkspaceOnly:
    return WorkspaceOnly(name, (), {"__doc__": f"{_text(name)}."})


@cache
def _refusal(*more: type[Exception]) -> type[Exception]:
    """`UserErrorException` as the script sees it, which is also one of `more`."""
    found: type[Exception] = import_module("azureml.exceptions").UserErrorException
    return type(found.__name__, (found, *more), {"__module__": found.__module__}) if more else found


def _text(what: str) -> str:
    return (
        f"{what} needs a workspace, and where a model is served there is none: models are below AZUREML_MODEL_DIR, "
        "where Model.get_model_path finds them, and settings and secrets are environment variables"
    )
