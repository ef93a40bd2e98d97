"""The Python interface of Azure Machine Learning's SDK v1 for a workspace on this machine.

Module paths, names, signatures and defaults are those of `azureml`; nothing here contacts Azure. Entry scripts on the
device have stand-ins of the same name, which are the agent's. See docs/coming-from-sdk-v1.md.
"""

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """`azureml.core` without an import of its own, as `import azureml.core` gave it."""
    if name in ("core", "exceptions"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
