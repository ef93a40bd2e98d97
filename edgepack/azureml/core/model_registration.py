"""What registering models takes beside the registry: v1's checks, data sets, paths that stand for models."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgepack.azureml.core.resource_configuration import ResourceConfiguration
from edgepack.azureml.exceptions import ModelNotFoundException, WebserviceException, told_as
from edgepack.errors import InputError
from edgepack.files import exclusive
from edgepack.models.naming import ModelReference, name_problems
from edgepack.models.record import ModelRecord
from edgepack.models.record import ResourceConfiguration as Resources
from edgepack.models.registry import ModelRegistry, filtered
from edgepack.models.request import RegisterRequest

DATASETS, MIME_TYPE = "azureml.datasets", "application/x-python"
_MOST_LETTERS_OF_A_PATH = 30


def check_pairs(pairs: Any, what: str) -> None:
    """Tags and properties are dicts of texts.

    Raises:
        WebserviceException: they are not.
    """
    if pairs is None:
        return
    if not isinstance(pairs, dict):
        raise WebserviceException(f"{what} must be a dict, not {type(pairs).__name__}")
    wrong = [key for key, value in pairs.items() if not isinstance(key, str) or not isinstance(value, str)]
    if wrong:
        raise WebserviceException(f"{what} must be texts: {', '.join(map(repr, wrong))} is not, or its value is not")


def request(
    model_path: str,
    model_name: str,
    tags: dict[str, str] | None,
    properties: dict[str, str] | None,
    description: str | None,
    datasets: Sequence[tuple[str, Any]] | None,
    framework: str | None,
    framework_version: str | None,
    child_paths: Sequence[str] | None,
    samples: tuple[Any, Any],
    resources: ResourceConfiguration | None,
) -> RegisterRequest:
    """The registry's request of `Model.register`'s arguments.

    Raises:
        FileNotFoundError: there is nothing at `model_path`.
        WebserviceException: something else is wrong with them.
    """
    check_pairs(tags, "tags")
    check_pairs(properties, "properties")
    if framework_version is not None and framework is None:
        raise WebserviceException("Model framework version cannot be provided without a valid framework")
    place = Path(model_path)
    if not place.exists():
        raise FileNotFoundError(f"Path does not exist: {model_path}")
    for child in child_paths or ():
        if not (place / child).exists():
            raise WebserviceException(f'provided child path "{child}" cannot be found')
    noted = {DATASETS: json.dumps(_datasets(datasets))} if datasets else {}
    sample_input, sample_output = (_sample(sample) for sample in samples)
    return RegisterRequest(
        model_name,
        place,
        tuple(child_paths or ()),
        description,
        tags or {},
        {**(properties or {}), **noted},
        framework,
        framework_version,
        resources.resources() if resources else Resources(),
        sample_input,
        sample_output,
    )


def references(folder: Path, models: Sequence[Any]) -> tuple[ModelReference, ...]:
    """Models of a deployment: registered ones, as objects or NAME:VERSION, and paths.

    What a path leads to is registered under the name of the file.

    Raises:
        WebserviceException: one of them is neither, or two are the same.
    """
    found = []
    for model in models:
        if hasattr(model, "name") and hasattr(model, "version"):
            found.append(ModelReference(model.name, int(model.version)))
        elif isinstance(model, str) and (reference := _of_id(folder, model)):
            found.append(reference)
        elif isinstance(model, str | Path) and Path(model).exists():
            found.append(_registered(folder, Path(model)))
        elif isinstance(model, str | Path):
            raise WebserviceException(
                f"there is no file or folder {model}, and no registered model of this NAME:VERSION"
            )
        else:
            raise WebserviceException(f"models are Model objects, NAME:VERSION or paths, not {type(model).__name__}")
    return tuple(dict.fromkeys(found))


def name_and_version(name: str | None, model_id: str | None, version: int | None) -> tuple[str, int | None]:
    """What a model is looked up by.

    Raises:
        WebserviceException: neither a name nor an id is given, or the id is none.
    """
    if model_id is not None:
        name, _, number = model_id.partition(":")
        if not number.isdecimal():
            raise WebserviceException(f"id {model_id!r} is not NAME:VERSION")
        version = int(number)
    if not name:
        raise WebserviceException("a model is looked up by its name or id")
    return name, None if version is None else int(version)


def look_up(folder: Path, name: str, version: int | None, given: Mapping[str, Any]) -> ModelRecord:
    """The latest version that answers what is given of `tags`, `properties`, `run_id` and `model_framework`.

    Raises:
        ModelNotFoundException: there is none.
        WebserviceException: a filter is none.
    """
    with told_as(WebserviceException):
        records = filtered(
            candidates(folder, name, version),
            tags=filters(given["tags"]),
            properties=filters(given["properties"]),
            framework=given["model_framework"],
            latest=True,
        )
    if records and given["run_id"] is None:
        return records[0]
    with told_as(ModelNotFoundException):
        ModelRegistry(folder).get(name, version)
    wanted = ", ".join(f"{key}={value!r}" for key, value in given.items() if value is not None)
    raise ModelNotFoundException(f"ModelNotFound: Model with name {name} has no version with {wanted} in {folder}")


def candidates(folder: Path, name: str, version: int | None) -> tuple[ModelRecord, ...]:
    """One version of a model, or all; none where there is none."""
    registry = ModelRegistry(folder)
    if version is None:
        return registry.list(name)
    try:
        return (registry.get(name, version),)
    except InputError:
        return ()


def filters(wanted: Sequence[str | Sequence[str]] | None) -> list[str | tuple[str, str]]:
    """Filters by tags or properties, each a `key` or `[key, value]`, as the registry takes them."""
    return [each if isinstance(each, str) else (str(each[0]), str(each[1])) for each in wanted or ()]


def readable_path(folder: Path, name: str, version: int | None) -> str:
    """The path of a registered model's only file or folder, written out once, below the workspace's cache.

    Raises:
        ModelNotFoundException, WebserviceException: as `Model.get_model_path`.
    """
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise WebserviceException(f"version should be an int, not {type(version).__name__}")
    registry = ModelRegistry(folder)
    try:
        record = registry.get(name, version)
    except InputError as error:
        if Path(name).exists():
            return f"./{name}"
        kind = ModelNotFoundException if version is None else WebserviceException
        raise kind(str(error)) from error
    place = folder / "cache" / "azureml-models" / record.name / str(record.version)
    with told_as(WebserviceException), exclusive(folder / "cache" / "locks" / f"model-{record.name}-{record.version}"):
        if not all((place / file.path).is_file() for file in record.files):
            registry.download(record, place, exist_ok=True)
    entries = sorted(path.name for path in place.iterdir())
    if len(entries) != 1:
        raise WebserviceException(f"Dir {place} can contain only 1 file or folder. Found {entries}")
    return str(place / entries[0])


def serialized(record: ModelRecord) -> dict[str, Any]:
    """A model in v1's keys."""
    figures = record.resources
    resources = ResourceConfiguration(figures.cpu, figures.memory_in_gb, figures.gpu)
    return {
        "createdTime": record.created_utc,
        "createdBy": None,
        "description": record.description,
        "id": record.id,
        "mimeType": MIME_TYPE,
        "name": record.name,
        "framework": record.framework,
        "frameworkVersion": record.framework_version,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "unpack": False,
        "url": None,
        "version": record.version,
        "experimentName": None,
        "runId": None,
        "runDetails": None,
        "datasets": datasets_of(record),
        "resourceConfiguration": None if figures == Resources() else resources.serialize(),
        "sampleInputDatasetId": None,
        "sampleOutputDatasetId": None,
    }


def datasets_of(record: ModelRecord) -> list[dict[str, Any]]:
    """The data sets that a model was registered with."""
    text = record.properties.get(DATASETS)
    found: list[dict[str, Any]] = json.loads(text) if text else []
    return found


def _datasets(datasets: Sequence[tuple[str, Any]]) -> list[dict[str, str]]:
    try:
        return [{"name": str(relation), "id": str(getattr(dataset, "id", dataset))} for relation, dataset in datasets]
    except (TypeError, ValueError) as error:
        raise WebserviceException("datasets must be a list of (relationship, dataset)") from error


def _sample(sample: Any) -> Path | None:
    if sample is None or isinstance(sample, str | Path):
        return None if sample is None else Path(sample)
    raise WebserviceException(f"a sample is the path of a file here, not a {type(sample).__name__} of Azure")


def _of_id(folder: Path, text: str) -> ModelReference | None:
    """The registered version that a text names."""
    name, _, number = text.partition(":")
    if not number.isdecimal() or name_problems(name) or not candidates(folder, name, int(number)):
        return None
    return ModelReference(name, int(number))


def _registered(folder: Path, path: Path) -> ModelReference:
    """The version that a path has; the same content again is the same version."""
    name = re.sub(r"[^a-zA-Z0-9\-._]", "-", path.absolute().name[:_MOST_LETTERS_OF_A_PATH]).lstrip("-._")
    with told_as(WebserviceException):
        InputError.raise_if_any(name_problems(name))
        registry = ModelRegistry(folder)
        known = registry.list(name)
        record = registry.register(RegisterRequest(name, path))
        if known and known[-1].files == record.files:
            registry.delete(name, record.version)
            record = known[-1]
    return ModelReference(record.name, record.version)
