"""A registered model as a value, and its JSON text on disk.

Pure. The text carries a SHA-256 of its own content, so that damage to a tag is found as surely as damage to a
file. The names of files are relative to the PARENT of the registered path (see `source`).
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.naming import FRAMEWORKS, name_problems, pairs_problems, text_problems

FORMAT = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One stored file: `path` is relative with `/`, `sha256` is 64 lower-case hex digits of its bytes."""

    path: str
    size_bytes: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class ResourceConfiguration:
    """What the model needs when it scores: cores (may be a fraction), memory in GB, GPUs; None: not said."""

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Version `version` (from 1) of model `name`; `files` are sorted by path and never empty.

    `created_utc` is `YYYY-MM-DDTHH:MM:SSZ`. The samples are files of their own, outside `files`.
    """

    name: str
    version: int
    files: tuple[ModelFile, ...]
    created_utc: str
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    framework: str | None = None
    framework_version: str | None = None
    resources: ResourceConfiguration = ResourceConfiguration()
    sample_input: ModelFile | None = None
    sample_output: ModelFile | None = None

    @property
    def id(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"

    @property
    def size_bytes(self) -> int:
        """Bytes of all files, without the samples."""
        return sum(file.size_bytes for file in self.files)

    @property
    def stored_files(self) -> tuple[ModelFile, ...]:
        """Everything the registry keeps for this version: the files and the samples."""
        return self.files + tuple(sample for sample in (self.sample_input, self.sample_output) if sample)


@dataclass(frozen=True, slots=True)
class RecordChange:
    """What may change after registration.

    `tags`, when given, replaces all tags; `add_tags` and `remove_tags` come after that. Properties are
    write-once: new keys may be added, the value of an existing key never changes. None or empty: leave as it
    is.
    """

    description: str | None = None
    tags: Mapping[str, str] | None = None
    add_tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    add_properties: Mapping[str, str] = field(default_factory=dict)
    resources: ResourceConfiguration | None = None


def changed(record: ModelRecord, change: RecordChange) -> ModelRecord:
    """`record` with `change` applied; a tag to remove that does not exist is passed over.

    Raises:
        InputError: properties that exist with another value, bad keys or resources; all problems at once.
    """
    tags = dict(record.tags if change.tags is None else change.tags) | dict(change.add_tags)
    problems = [*pairs_problems(tags, "tag"), *pairs_problems(change.add_properties, "property")]
    problems += text_problems(change.description, "the description")
    if change.resources:
        problems += resource_problems(change.resources)
    existing = record.properties
    fixed = sorted(key for key, value in change.add_properties.items() if existing.get(key, value) != value)
    if fixed:
        problems.append(
            "properties are immutable, the following keys cannot be added/modified: "
            f"{', '.join(fixed)} (in {record.id}): register a new version instead"
        )
    InputError.raise_if_any(problems)
    return replace(
        record,
        description=record.description if change.description is None else change.description,
        tags={key: value for key, value in tags.items() if key not in change.remove_tags},
        properties=dict(existing) | dict(change.add_properties),
        resources=change.resources or record.resources,
    )


def resource_problems(resources: ResourceConfiguration) -> tuple[str, ...]:
    """Say which resources are negative or no finite number."""
    figures: tuple[tuple[str, float | None], ...] = (
        ("cpu cores (--cc)", resources.cpu),
        ("memory in GB (--gb)", resources.memory_in_gb),
        ("gpu cores (--gc)", resources.gpu),
    )
    return tuple(
        f"{what} must be a number not below 0, not {figure}"
        for what, figure in figures
        if figure is not None and not (figure >= 0 and math.isfinite(figure))
    )


def record_document(record: ModelRecord) -> dict[str, Any]:
    """The record for users: the keys of `az ml model register`'s output file, plus `files` and the
    samples.
    """
    return {
        "id": record.id,
        "modelId": record.id,
        "name": record.name,
        "version": record.version,
        "createdTime": record.created_utc,
        "description": record.description,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "framework": record.framework,
        "frameworkVersion": record.framework_version,
        "cpu": record.resources.cpu,
        "memoryInGB": record.resources.memory_in_gb,
        "gpu": record.resources.gpu,
        "experimentName": None,
        "runId": None,
        "sampleInputDatasetId": None,
        "sampleOutputDatasetId": None,
        "sampleInput": _file_body(record.sample_input),
        "sampleOutput": _file_body(record.sample_output),
        "sizeBytes": record.size_bytes,
        "files": [_file_body(file) for file in record.files],
    }


def encode_record(record: ModelRecord) -> bytes:
    """The record as indented JSON with its own SHA-256; the inverse of `parse_record`."""
    body = {
        "format": FORMAT,
        "name": record.name,
        "version": record.version,
        "created_utc": record.created_utc,
        "description": record.description,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "framework": record.framework,
        "framework_version": record.framework_version,
        "cpu": record.resources.cpu,
        "memory_in_gb": record.resources.memory_in_gb,
        "gpu": record.resources.gpu,
        "sample_input": _file_body(record.sample_input),
        "sample_output": _file_body(record.sample_output),
        "files": [_file_body(file) for file in record.files],
    }
    text = json.dumps(body | {"sha256": _body_hash(body)}, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def parse_record(content: bytes, where: str) -> ModelRecord:
    """Read what `encode_record` wrote; `where` (a path) begins the error's text.

    Raises:
        DamagedDataError: anything else than an unchanged record of this format.
    """
    try:
        body = json.loads(content)
        if not isinstance(body, dict):
            raise TypeError("it is no JSON object")
        stored_hash = body.pop("sha256", None)
        if body.get("format") != FORMAT or isinstance(body.get("format"), bool):
            raise ValueError(f"its format is {body.get('format')!r}, this edgepack reads {FORMAT}")
        if stored_hash != _body_hash(body):
            raise ValueError("its content does not match its SHA-256")
        return _record(body)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise DamagedDataError(
            f"{where}: the model's record is damaged: {reason}; restore the file from a backup, "
            "or delete this version and register the model again"
        ) from error


def _record(body: dict[str, Any]) -> ModelRecord:
    record = ModelRecord(
        name=_checked(body.pop("name"), str, lambda name: not name_problems(name), "name"),
        version=_checked(body.pop("version"), int, lambda version: version >= 1, "version"),
        files=tuple(_file(file) for file in _checked(body.pop("files"), list, bool, "files")),
        created_utc=_checked(body.pop("created_utc"), str, _CREATED.fullmatch, "created_utc"),
        description=_optional(body.pop("description"), str, "description"),
        tags=_pairs(body.pop("tags"), "tags"),
        properties=_pairs(body.pop("properties"), "properties"),
        framework=_optional(body.pop("framework"), str, "framework", FRAMEWORKS.__contains__),
        framework_version=_optional(body.pop("framework_version"), str, "framework_version"),
        resources=ResourceConfiguration(
            _figure(body.pop("cpu"), "cpu"),
            _figure(body.pop("memory_in_gb"), "memory_in_gb"),
            _optional(body.pop("gpu"), int, "gpu"),
        ),
        sample_input=_optional_file(body.pop("sample_input")),
        sample_output=_optional_file(body.pop("sample_output")),
    )
    del body["format"]
    if body:
        raise ValueError(f"it has unknown keys {', '.join(sorted(body))}")
    if resource_problems(record.resources):
        raise ValueError("its resources are negative")
    return record


def _file(body: Any) -> ModelFile:
    if not isinstance(body, dict) or set(body) != {"path", "size_bytes", "sha256", "executable"}:
        raise TypeError(f"{body!r} describes no file")
    return ModelFile(
        _checked(body["path"], str, _is_relative, "path"),
        _checked(body["size_bytes"], int, lambda size: size >= 0, "size_bytes"),
        _checked(body["sha256"], str, _SHA256.fullmatch, "sha256"),
        _checked(body["executable"], bool, lambda _: True, "executable"),
    )


def _optional_file(body: Any) -> ModelFile | None:
    return None if body is None else _file(body)


def _file_body(file: ModelFile | None) -> dict[str, Any] | None:
    if file is None:
        return None
    return {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "executable": file.executable,
    }


def _is_relative(path: str) -> bool:
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path


def _pairs(value: Any, what: str) -> dict[str, str]:
    pairs: dict[str, str] = _checked(value, dict, lambda _: True, what)
    return {key: _checked(text, str, lambda _: True, what) for key, text in pairs.items()}


def _figure(value: Any, what: str) -> float | None:
    figure: float | None = float(value) if type(value) is int else _optional(value, float, what)
    return figure


def _optional(value: Any, kind: type, what: str, rule: Callable[[Any], Any] = lambda _: True) -> Any:
    return None if value is None else _checked(value, kind, rule, what)


def _checked(value: Any, kind: type, rule: Callable[[Any], Any], what: str) -> Any:
    if type(value) is not kind or not rule(value):
        raise ValueError(f"{what} cannot be {value!r}")
    return value


def _body_hash(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
