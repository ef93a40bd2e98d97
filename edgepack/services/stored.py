"""What is kept of a service between commands, and its form on disk (`service.json`). Pure; secrets are not in it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgepack.errors import DamagedDataError
from edgepack.models.naming import parse_model_reference
from edgepack.services.record import ServiceRequest

FORMAT = 1
LAYOUT = "image"
IMAGE_NAME = "localhost/edgepack"
AT_WORK, DEPLOYED, LEAVING = "at work", "deployed", "leaving"


@dataclass(frozen=True, slots=True)
class ServiceImage:
    """An image layout on disk: `digest` of its index, `image_id` of its configuration (what engines call it).

    `variables` are those in it that the inference configuration and the request have set.
    """

    layout: Path
    digest: str
    image_id: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Instance:
    """One life of a service: a folder below `instances`, or a container. `image` is the digest of what it runs.

    `layout` is where that is, in the service's folder: a new image does not touch the one that serves. `variables` are
    those of the inference configuration and the request that it runs with, `built_variables` those in its image.
    """

    id: str
    image: str = ""
    image_id: str = ""
    layout: str = LAYOUT
    built_variables: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def other_variables(self) -> dict[str, str | None]:
        """What differs from the variables in the image; None: is no longer there."""
        gone = dict.fromkeys(self.built_variables.keys() - self.variables.keys())
        return gone | {name: text for name, text in self.variables.items() if self.built_variables.get(name) != text}


@dataclass(frozen=True, slots=True)
class StoredService:
    """A service as its folder tells it.

    `phase`: a command is at work on it (or was, when it was killed), done with it, or removing it. `instance` is the
    one that serves, None before the first. `was_ready`: it has served. `failure` is why the last command did not get
    it to serve. `packages` is a digest of what was asked for when its packages were chosen.
    """

    request: ServiceRequest
    created_utc: str
    updated_utc: str
    phase: str = AT_WORK
    instance: Instance | None = None
    port: int | None = None
    was_ready: bool = False
    failure: str = ""
    packages: str = ""

    @property
    def name(self) -> str:
        """The service's name."""
        return self.request.name


def encode_service(stored: StoredService) -> bytes:
    """The content of `service.json`."""
    request = stored.request
    config = request.inference_config
    document = {
        "format": FORMAT,
        "name": request.name,
        "models": [str(model) for model in request.models],
        "inference_config": dict(config) if isinstance(config, Mapping) else None,
        "inference_config_file": str(config) if isinstance(config, Path) else None,
        "folder": str(request.folder),
        "chosen_port": request.port,
        "host": request.host,
        "runner": request.runner,
        "needs_key": request.needs_key,
        "description": request.description,
        "tags": dict(request.tags),
        "properties": dict(request.properties),
        "variables": dict(request.variables),
        "created_utc": stored.created_utc,
        "updated_utc": stored.updated_utc,
        "phase": stored.phase,
        "instance": None if stored.instance is None else asdict(stored.instance),
        "port": stored.port,
        "was_ready": stored.was_ready,
        "failure": stored.failure,
        "packages": stored.packages,
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def parse_service(content: bytes, where: str) -> StoredService:
    """Read what `encode_service` wrote.

    Raises:
        DamagedDataError: it is not that.
    """
    try:
        found = json.loads(content)
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}, expected {FORMAT}")
        return _read(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedDataError(
            f"{where}: not the record of a service ({error}); `edgepack service delete {Path(where).parent.name}` "
            "removes what is left of it"
        ) from error


def without_keys(request: ServiceRequest) -> ServiceRequest:
    """The request as it is kept; keys are kept in a file of their own."""
    return replace(request, keys=None)


def _read(found: Mapping[str, Any]) -> StoredService:
    file = found["inference_config_file"]
    request = ServiceRequest(
        name=str(found["name"]),
        models=tuple(parse_model_reference(text) for text in found["models"]),
        inference_config=Path(file) if file is not None else found["inference_config"],
        folder=Path(found["folder"]),
        port=found["chosen_port"],
        host=str(found["host"]),
        runner=str(found["runner"]),
        needs_key=bool(found["needs_key"]),
        description=found["description"],
        tags=dict(found["tags"]),
        properties=dict(found["properties"]),
        variables=dict(found.get("variables", {})),
    )
    instance = found["instance"]
    return StoredService(
        request=request,
        created_utc=str(found["created_utc"]),
        updated_utc=str(found["updated_utc"]),
        phase=str(found["phase"]),
        instance=None if instance is None else Instance(**instance),
        port=found["port"],
        was_ready=bool(found["was_ready"]),
        failure=str(found["failure"]),
        packages=str(found["packages"]),
    )
