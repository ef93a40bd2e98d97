"""Stand-ins for Azure packages, so that unmodified entry scripts import where those are not installed.

The folder holds a tree of modules under the names that scripts use (`azureml/core/model.py` is
`azureml.core.model`). `install_shims` puts a finder at the end of the import path: what is really installed
always wins, module by module. To add a shim, add its file, or its names to `workspace_names`.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from device_agent.shims import workspace_names

_TREE = Path(__file__).parent
_TOP_NAMES = frozenset({"azureml", "azureml_inference_server_http"})


class ShimFinder:
    """Finds the modules of this folder's tree under their public names."""

    @staticmethod
    def find_spec(
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG004 - the interface of finders
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The stand-in for `fullname`, or None. Called only after every other finder has found nothing."""
        parts = fullname.split(".")
        if parts[0] not in _TOP_NAMES:
            return None
        found = PathFinder.find_spec(fullname, [str(_TREE.joinpath(*parts[:-1]))], target)
        if found is None and fullname in workspace_names.MODULES:
            return ModuleSpec(fullname, workspace_names.WorkspaceLoader)  # type: ignore[arg-type]
        return found


def install_shims() -> None:
    """Make the stand-ins importable in this process. May be called more than once."""
    if ShimFinder not in sys.meta_path:
        sys.meta_path.append(ShimFinder)
