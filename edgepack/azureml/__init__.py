"""The Python interface of Azure Machine Learning's SDK v1 for a workspace on this machine.

Module paths, names, signatures and defaults are those of `azureml`; nothing here contacts Azure. What is Azure's alone
can be imported, and is refused when it is used (`cloud_only`). Entry scripts on the device have stand-ins of the same
name, which are the agent's. See docs/coming-from-sdk-v1.md.
"""

import sys
from importlib import import_module
from typing import Any

from edgepack.azureml.cloud_only import CloudFinder, cloud_name

if CloudFinder not in sys.meta_path:
    sys.meta_path.append(CloudFinder)


def __getattr__(name: str) -> Any:
    """`azureml.core` without an import of its own, as `import azureml.core` gave it."""
    if name in ("core", "exceptions"):
        return import_module(f"{__name__}.{name}")
    return cloud_name(__name__, name)
