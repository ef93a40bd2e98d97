"""What the user's own model is, told from its files, and how it is registered: nothing in them is loaded or run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.file_facts import read_pickle_facts
from edgepack.models.mlflow_source import is_mlflow, mlflow_request
from edgepack.models.pickle_facts import PICKLE_ENDINGS
from edgepack.models.request import RegisterRequest

CUSTOM = "Custom"


def framework_of_files(path: Path) -> str:
    """The framework of a file or folder: one ONNX file, one file that scikit-learn wrote, or neither."""
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    if len([file for file in files if file.suffix == ".onnx"]) == 1:
        return "Onnx"
    pickles = [file for file in files if file.name.endswith(PICKLE_ENDINGS)]
    try:
        is_sklearn = len(pickles) == 1 and read_pickle_facts(pickles[0]).version is not None
    except OSError as error:
        raise InputError(f"{pickles[0]}: cannot be read: {error.strerror}") from error
    return "ScikitLearn" if is_sklearn else CUSTOM


@contextmanager
def request_for(source: str, framework: str | None, name: str) -> Iterator[RegisterRequest]:
    """What to register for the model at `source`: an MLflow folder or name, a file, another folder.

    A file gives the model its name, a folder has that of the project (`name`), since folders are often called `model`.

    Raises:
        InputError: `source` is an MLflow model, and a framework is named; or it cannot be read.
        RemoteError: the tracking server cannot be reached, or does not have it.
    """
    if is_mlflow(source):
        if framework is not None:
            raise InputError(f"{source} is an MLflow model, which names its framework: leave out --framework")
        with mlflow_request(RegisterRequest(name, Path(source)), source) as request:
            yield request
        return
    path = Path(source)
    yield RegisterRequest(
        _model_name(path.name, name) if path.is_file() else name,
        path,
        framework=framework or framework_of_files(path),
    )


def _model_name(file: str, otherwise: str) -> str:
    stem = re.sub(r"[^a-zA-Z0-9._-]+", "-", file.rpartition(".")[0] or file).strip("-._")
    return stem or otherwise
