"""Where the workspace is: the folder of registered models, services, locks and caches."""

from collections.abc import Mapping
from pathlib import Path

from edgepack import PROJECT_FILE


def find_workspace(option: str | None, environment: Mapping[str, str], folder: Path) -> Path:
    """Choose the workspace: the option, `$EDGEPACK_WORKSPACE`, `.edgepack` of the nearest project above, or here."""
    chosen = option or environment.get("EDGEPACK_WORKSPACE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return (find_project(folder) or folder) / ".edgepack"


def find_project(folder: Path) -> Path | None:
    """`folder` or the nearest one above it that has a project file."""
    return next((path for path in (folder, *folder.parents) if (path / PROJECT_FILE).is_file()), None)
