"""The script that a life of a service runs, found again where it runs: for when its sources are no longer there."""

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.script_folder import Script


def place_of(variables: Mapping[str, str]) -> str | None:
    """The file or folder that is the script, below the folder of the application; by the variables of the life."""
    return variables.get("AZUREML_SOURCE_DIRECTORY") or variables.get("AZUREML_ENTRY_SCRIPT")


def running_script(app: Path, variables: Mapping[str, str]) -> "Script | None":
    """The script below `app`, the folder of the application; None when the life has none. See `script_location`."""
    from edgepack.script_folder import Script  # with all that reads sources: only where it is needed

    place = place_of(variables)
    if place is None:
        return None
    source = variables.get("AZUREML_SOURCE_DIRECTORY")
    root = app / source if source else app
    paths = sorted(path for path in root.rglob("*") if path.is_file()) if source else [app / place]
    files = tuple((path.relative_to(root).as_posix(), path, bool(path.stat().st_mode & 0o100)) for path in paths)
    entry = variables["AZUREML_ENTRY_SCRIPT"]
    return Script(posixpath.relpath(entry, source) if source else entry, files, source)
