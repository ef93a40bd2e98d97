"""Which services are wanted: the filters of SDK v1's list. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.services.record import Service

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class ServiceFilter:
    """All that is given must fit. A tag or property is a key, with the value it must have or None for any."""

    model_name: str | None = None
    model_id: str | None = None
    image_name: str | None = None
    compute_type: str | None = None
    tags: tuple[tuple[str, str | None], ...] = ()
    properties: tuple[tuple[str, str | None], ...] = ()

    def fits(self, service: Service) -> bool:
        """Whether a service is wanted. All are local; an image has the name of its service."""
        return (
            (self.compute_type or _LOCAL).lower() == _LOCAL
            and self.image_name in (None, service.name)
            and self.model_name in (None, *(model.partition(":")[0] for model in service.models))
            and self.model_id in (None, *service.models)
            and _has_all(service.tags, self.tags)
            and _has_all(service.properties, self.properties)
        )


def _has_all(pairs: Mapping[str, str], wanted: tuple[tuple[str, str | None], ...]) -> bool:
    return all(key in pairs and value in (None, pairs[key]) for key, value in wanted)
