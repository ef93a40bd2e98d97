"""Which services are wanted: the filters of SDK v1's list. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgepack.models.naming import has_pair
from edgepack.services.record import Service

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class ServiceFilter:
    """All that is given must fit. A tag or property is a key, or a key and its value."""

    model_name: str | None = None
    model_id: str | None = None
    image_name: str | None = None
    compute_type: str | None = None
    tags: Sequence[str | tuple[str, str]] = ()
    properties: Sequence[str | tuple[str, str]] = ()

    def fits(self, service: Service) -> bool:
        """Whether a service is wanted. All are local; an image has the name of its service."""
        return (
            (self.compute_type or _LOCAL).lower() == _LOCAL
            and self.image_name in (None, service.name)
            and self.model_name in (None, *(model.partition(":")[0] for model in service.models))
            and self.model_id in (None, *service.models)
            and all(has_pair(service.tags, tag) for tag in self.tags)
            and all(has_pair(service.properties, property_) for property_ in self.properties)
        )
