"""`edgepack init`: a project from the templates, with its model registered, that builds as it is.

Its model is an example, or the user's own (`models.model_kind` says what it is); then the project has a script only if
the model needs one, or one is asked for. A project is written whole or not at all.
"""

import json
import re
import shutil
import string
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from edgepack.errors import InputError
from edgepack.model_serving import Serving
from edgepack.models.model_kind import request_for
from edgepack.models.pickle_facts import PICKLE_ENDINGS
from edgepack.models.record import ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.resolve.package_requests import PackageRequests, specifier_of
from edgepack.served_model import serving_of
from edgepack.yaml_text import parse_yaml

WORKSPACE = ".edgepack"
_MODELS = {"onnx": ("digits", "Onnx"), "sklearn": ("iris", "ScikitLearn")}
_TEMPLATED = "edgepack.yaml"
_CONFIG = "\ninference_config:\n  entryScript: score.py\n  condaFile: conda.yml\n"
_PICKLE_PACKAGES = PackageRequests(("joblib",))


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was made: the folder, the registered model `NAME:VERSION` if there is one, whether a script serves it."""

    folder: Path
    model: str | None
    has_script: bool = True


def write_project(folder: Path, example: str, workspace: Path) -> Scaffold:
    """Write the project `example` as `folder`, and register its model in `workspace`.

    Raises:
        InputError: `folder` exists and is not empty.
    """
    with _new_folder(folder) as made:
        with as_file(files("templates") / "projects" / example) as template:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(template, made, ignore=ignored, copy_function=shutil.copyfile, dirs_exist_ok=True)
        project = made / _TEMPLATED
        project.write_text(string.Template(project.read_text()).substitute(name=_project_name(folder)))
        (made / "gitignore").rename(made / ".gitignore")
    if example not in _MODELS:
        return Scaffold(folder, None)
    model, framework = _MODELS[example]
    record = ModelRegistry(workspace).register(
        RegisterRequest(name=model, model_path=folder / "model", framework=framework)
    )
    return Scaffold(folder, record.id)


def write_model_project(
    folder: Path, source: str, workspace: Path | None, *, framework: str | None = None, with_script: bool = False
) -> Scaffold:
    """Write a project for the model at `source` (a file, a folder, a name in a tracking server), and register it.

    The model is called as the project is. `workspace` None: in the project. A model that is served without a script
    gets one with `with_script`: a starting point, which takes fewer forms of a request than the agent does, and checks
    less.

    Raises:
        InputError: `folder` exists and is not empty, or `source` is no model; nothing is left behind then.
        RemoteError: the tracking server cannot be reached, or does not have it.
    """
    with ExitStack() as undo:
        with _new_folder(folder) as made:
            name = _project_name(folder)
            registry = ModelRegistry(workspace or made / WORKSPACE)
            with request_for(source, framework, name) as request:
                record = registry.register(request)
            if workspace is not None:  # else it goes with the folder
                undo.callback(registry.delete, record.name, record.version)
            serving = serving_of(record, registry)
            has_script = with_script or serving is None
            values = {"name": name, "model": name, "inference_config": _CONFIG if has_script else ""}
            _write(made / _TEMPLATED, _TEMPLATED, values)
            _write(made / ".gitignore", "gitignore", {})
            if has_script:
                _write_script(made, record, serving)
        undo.pop_all()
    return Scaffold(folder, record.id, has_script)


def _write_script(made: Path, record: ModelRecord, serving: Serving | None) -> None:
    """score.py and conda.yml: what serves the model in the image, as a script; else one that opens the model."""
    path = record.files[0].path.split("/")[0]
    requests = serving.requests if serving else PackageRequests()
    told = serving.told if serving else {}
    if serving is None:
        kind = "file" if path == record.files[0].path else "folder"
        if kind == "file" and path.endswith(PICKLE_ENDINGS):
            kind, requests = "pickle", _PICKLE_PACKAGES
        (made / "sample-request.json").write_text('{"text": "hello"}\n')
    elif told:
        kind, path = str(told["loader"]), str(told["path"])
        has_names = kind == "joblib" and specifier_of(requests, "pandas") is not None
        kind += "_columns" if has_names else ""
    else:
        kind, path = "onnx", next(file.path for file in record.files if file.path.endswith(".onnx"))
    values = {"path": _in_quotes(path), "trusted": _in_quotes(" ".join(told.get("trusted", ())))}
    script = made / "score.py"
    _write(script, f"score_{kind}.py", values)
    if "method" in told:
        script.write_text(script.read_text().replace("model.predict(", f"model.{told['method']}("))
    _write(made / "conda.yml", "conda.yml", {"packages": "\n".join(_pip_lines(requests))})


def _in_quotes(text: str) -> str:
    """`text` as it stands between the quotes of a Python literal."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _pip_lines(requests: PackageRequests) -> Iterator[str]:
    options = " ".join(requests.options).replace(" --", "\n--").splitlines()
    for text in (*options, *requests.requirements):
        yield f"  - {text}"


def _write(place: Path, template: str, values: Mapping[str, str]) -> None:
    text = (files("templates") / "models" / template).read_text()
    place.write_text(string.Template(text).substitute(values))


def _project_name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "module"
    return name if _as_yaml(name) == name else f"module-{name}"


def _as_yaml(text: str) -> str:
    """A text as it stands in YAML: in quotes if it would be a number or a truth value without."""
    try:
        is_text = parse_yaml(text, text) == text
    except InputError:
        is_text = False
    return text if is_text else json.dumps(text)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that takes the place of `folder` at the end; after an error, nothing is left."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".", suffix=".part") as temporary:
        made = Path(temporary, "project")
        made.mkdir()
        yield made
        made.rename(folder)
