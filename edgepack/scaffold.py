"""`edgepack init`: a project from the templates, with its example model registered, that builds as it is."""

import re
import shutil
import string
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest

_MODELS = {"onnx": ("digits", "Onnx"), "sklearn": ("iris", "ScikitLearn")}
_TEMPLATED = "edgepack.yaml"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was made: the folder, and the registered model `NAME:VERSION` if the example has one."""

    folder: Path
    model: str | None


def write_project(folder: Path, example: str, workspace: Path) -> Scaffold:
    """Write the project `example` as `folder`, all or nothing, and register its model in `workspace`.

    Raises:
        InputError: `folder` exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "module"
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".", suffix=".part") as temporary:
        made = Path(temporary, "project")
        with as_file(files("templates") / "projects" / example) as template:
            shutil.copytree(template, made, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile)
        project = made / _TEMPLATED
        project.write_text(string.Template(project.read_text()).substitute(name=name))
        (made / "gitignore").rename(made / ".gitignore")
        made.rename(folder)
    if example not in _MODELS:
        return Scaffold(folder, None)
    model, framework = _MODELS[example]
    record = ModelRegistry(workspace).register(
        RegisterRequest(name=model, model_path=folder / "model", framework=framework)
    )
    return Scaffold(folder, f"{record.name}:{record.version}")
