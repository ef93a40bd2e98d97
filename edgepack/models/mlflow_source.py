"""From an MLflow model, a folder or a name in a tracking server, to what is registered of it.

A folder is read as it is. Names (`models:/..`, `runs:/..`, `mlflow-artifacts:/..`, URLs of storage) are fetched by the
MLflow library, from where MLFLOW_TRACKING_URI and its other variables say; it is imported only then (extra `mlflow`).
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgepack.errors import InputError, RemoteError
from edgepack.files import write_file
from edgepack.models.mlflow import DESCRIPTION, EXAMPLES, MlflowModel, framework_of, parse_mlmodel
from edgepack.models.request import RegisterRequest

_NAMED = re.compile(r"[a-z][a-z0-9+.-]*:/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MlflowSource:
    """A folder with an MLflow model, what it says of itself, and a sample request made of its example."""

    folder: Path
    model: MlflowModel
    sample_input: Path | None

    @property
    def framework(self) -> tuple[str | None, str | None]:
        """Framework and version, as the registry names them."""
        return framework_of(self.model)


def is_mlflow(source: str) -> bool:
    """A name that MLflow fetches, or a folder with a description."""
    return bool(_NAMED.match(source)) or Path(source, DESCRIPTION).is_file()


@contextmanager
def mlflow_request(request: RegisterRequest, source: str) -> Iterator[RegisterRequest]:
    """The request with files, framework, properties and sample of the MLflow model `source`.

    What the request says already of samples and properties stays.

    Raises:
        InputError, RemoteError: see `open_mlflow`.
    """
    with open_mlflow(source) as found:
        framework, version = found.framework
        yield replace(
            request,
            model_path=found.folder,
            framework=framework,
            framework_version=request.framework_version or version,
            properties={**found.model.properties, **request.properties},
            sample_input=request.sample_input or found.sample_input,
        )


@contextmanager
def open_mlflow(source: str) -> Iterator[MlflowSource]:
    """The model named by `source`; what was fetched or made is gone afterwards.

    Raises:
        InputError: there is no such folder, it is no MLflow model, or the extra is missing.
        RemoteError: the tracking server cannot be reached, or does not have it.
    """
    with TemporaryDirectory(prefix="edgepack-mlflow-") as temporary:
        folder = _fetched(source, Path(temporary, "model")) if _NAMED.match(source) else Path(source)
        description = folder / DESCRIPTION
        if not description.is_file():
            raise InputError(
                f"the MLflow model {source}: there is no file {description}: name the folder that holds it"
            )
        model = parse_mlmodel(description.read_text(encoding="utf-8", errors="replace"), str(description))
        yield MlflowSource(folder, model, _sample(folder, model, Path(temporary)))


def _fetched(source: str, folder: Path) -> Path:
    try:
        from mlflow.artifacts import download_artifacts
    except ImportError as error:
        raise InputError(
            f"the MLflow model {source}: fetching a model takes the MLflow library: pip install 'edgepack[mlflow]'; or "
            "name a folder that was fetched"
        ) from error
    folder.mkdir()
    try:
        return Path(download_artifacts(artifact_uri=source, dst_path=str(folder)))
    except Exception as error:  # the library's, its storage's and its transport's
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RemoteError(
            f"the MLflow model {source}: MLflow cannot fetch it: {reason}; MLFLOW_TRACKING_URI must name the server"
        ) from error


def _sample(folder: Path, model: MlflowModel, temporary: Path) -> Path | None:
    """The model's example as a request of what serves it; None where there is none that can be sent as JSON.

    MLflow writes missing values as NaN, which is no JSON; they become null. ONNX models take neither.
    """

    def constant(name: str) -> None:
        if name != "NaN" or "onnx" in model.flavors:
            raise ValueError(f"{name} is no JSON number")

    for name in (EXAMPLES[0], model.example or EXAMPLES[1]):
        path = folder / name
        if path.suffix == ".json" and path.is_file():
            try:
                example = json.loads(path.read_text(encoding="utf-8"), parse_constant=constant)
            except (ValueError, RecursionError):
                continue
            request = _request(example, model, is_request=name == EXAMPLES[0] or model.example_is_request)
            if request is None:
                continue
            made = temporary / "sample-request.json"
            write_file(made, (json.dumps(request) + "\n").encode())
            return made
    return None


def _request(example: Any, model: MlflowModel, *, is_request: bool) -> Any:
    if "onnx" in model.flavors:  # takes its inputs by name, or bare lists
        return example.get("inputs", example.get("instances")) if is_request and isinstance(example, dict) else None
    if is_request:
        return example
    if isinstance(example, dict) and "data" in example:
        return {"dataframe_split": {key: example[key] for key in ("columns", "data") if key in example}}
    if isinstance(example, list) and all(isinstance(row, dict) for row in example):
        return {"dataframe_records": example}
    return {"inputs": example}
