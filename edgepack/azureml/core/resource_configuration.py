"""What a model needs when it scores."""

from typing import Any

from edgepack.azureml.exceptions import WebserviceException
from edgepack.models.record import ResourceConfiguration as Resources
from edgepack.models.record import resource_problems


class ResourceConfiguration:
    """Cores (may be a fraction), memory in GB, GPUs; None: not said."""

    def __init__(self, cpu: float | None = None, memory_in_gb: float | None = None, gpu: int | None = None) -> None:
        """Keep the figures.

        Raises:
            WebserviceException: one of them is negative or no number.
        """
        self.cpu, self.memory_in_gb, self.gpu = cpu, memory_in_gb, gpu
        self.resources()

    def resources(self) -> Resources:
        """The registry's own value.

        Raises:
            WebserviceException: a figure is negative or no number.
        """
        for what, figure in (("cpu", self.cpu), ("memory_in_gb", self.memory_in_gb), ("gpu", self.gpu)):
            if figure is not None and (isinstance(figure, bool) or not isinstance(figure, int | float)):
                raise WebserviceException(f"{what} must be a number, not {figure!r}")
        made = Resources(self.cpu, self.memory_in_gb, self.gpu)
        problems = resource_problems(made)
        if problems:
            raise WebserviceException("\n".join(problems))
        return made

    def serialize(self) -> dict[str, Any]:
        """The keys of v1."""
        return {"cpu": self.cpu, "memoryInGB": self.memory_in_gb, "gpu": self.gpu}
