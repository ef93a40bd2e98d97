"""A request after a change. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgepack.data_collection import with_storage
from edgepack.errors import InputError
from edgepack.services.record import ServiceChange, ServiceRequest, request_problems


def altered(request: ServiceRequest, change: ServiceChange) -> ServiceRequest:
    """The request after a change.

    Raises:
        InputError: it would change a property, or is not allowed.
    """
    taken = sorted(set(change.properties or {}) & request.properties.keys())
    if taken:
        raise InputError("properties are immutable, the following keys cannot be added/modified: " + ", ".join(taken))
    kept = {key: value for key, value in request.tags.items() if key not in change.remove_tags}
    new = replace(
        request,
        models=request.models if change.models is None else change.models,
        description=request.description if change.description is None else change.description,
        tags={**kept, **change.add_tags},
        properties={**request.properties, **(change.properties or {})},
        needs_key=request.needs_key if change.needs_key is None else change.needs_key,
        variables=request.variables if change.variables is None else change.variables,
    )
    if change.collects is not None:
        new = replace(new, variables=with_storage(new.variables, change.collects))
    if change.inference_config is not None:
        folder = (change.folder or Path.cwd()).absolute()
        new = replace(new, folder=folder, inference_config=change.inference_config)
        new = replace(new, inference_config=absolute_config(new))
    InputError.raise_if_any(request_problems(new))
    return new


def absolute_config(request: ServiceRequest) -> Path | Mapping[str, Any] | None:
    """The inference configuration with its path absolute, so that a later reload finds it from anywhere."""
    config = request.inference_config
    return (request.folder / config).absolute() if isinstance(config, Path) else config
