"""Stand-in for `azureml.core.model`: `Model.get_model_path` for scripts that run beside their models.

Models lie in `$AML_APP_ROOT/azureml-models/NAME/VERSION/` (without the variable: `azureml-models/` in the
working directory). The root is read once, at import, as the SDK does. Nothing here talks to a workspace.
"""

import os
from pathlib import Path
from typing import Any

from ..exceptions import ModelNotFoundException, WebserviceException

MODELS_ROOT = Path(os.environ.get("AML_APP_ROOT", ""), "azureml-models")


class Model:
    """A registered model, as far as a scoring script needs it."""

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Any = None) -> str:
        """Path of the one file or folder of the model; without `version`, of its largest version.

        A file or folder `./MODEL_NAME` serves when the model is not below the models' root. Raises
        WebserviceException for a version that is no int or a folder that does not hold exactly one entry,
        ModelNotFoundException for an unknown model (WebserviceException when `version` is given).
        """
        if version is not None and not isinstance(version, int):
            raise WebserviceException(f"version should be an int, found {type(version).__name__}")
        chosen = _largest_version(MODELS_ROOT / model_name) if version is None else version
        folder = MODELS_ROOT / model_name / str(chosen)
        if chosen is not None and folder.is_dir():
            entries = sorted(child.name for child in folder.iterdir())
            if len(entries) != 1:
                raise WebserviceException(f"Dir {folder} can contain only 1 file or folder. Found {entries}")
            return str(folder / entries[0])
        served = _served_model(model_name, version)
        if served is not None:
            return served
        local = Path(model_name)
        if local.exists():
            return os.path.join(".", model_name)  # noqa: PTH118 - keeps the leading dot of the SDK's answer
        wanted = model_name if version is None else f"{model_name} version {version}"
        text = f"Model {wanted} not found in {MODELS_ROOT} or in the working directory"
        raise ModelNotFoundException(text) if version is None else WebserviceException(text)


def _served_model(name: str, version: int | None) -> str | None:
    """The model in AZUREML_MODEL_DIR, if that is a folder `NAME/VERSION` of it, or holds one: on a desk, where there
    is no app root of a service.
    """
    given = os.environ.get("AZUREML_MODEL_DIR")
    if not given:
        return None
    folder = Path(given)
    if folder.parent.name == name and folder.name in ((str(version),) if version is not None else (folder.name,)):
        found: Path | None = folder
    else:
        chosen = _largest_version(folder / name) if version is None else version
        found = None if chosen is None else folder / name / str(chosen)
    entries = sorted(found.iterdir()) if found is not None and found.is_dir() else []
    return str(entries[0]) if len(entries) == 1 else None


def _largest_version(folder: Path) -> int | None:
    if not folder.is_dir():
        return None
    return max((int(child.name) for child in folder.iterdir() if child.name.isdecimal()), default=None)
