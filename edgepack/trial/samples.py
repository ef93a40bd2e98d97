"""The requests that a built image is tried with, and the answers expected.

The project's own request comes first: `sample-request.json` beside the inference configuration (or the project file),
with `sample-response.json` where there is one. Without it, the samples that the models were registered with.
"""

from dataclasses import dataclass
from pathlib import Path

from edgepack.errors import InputError
from edgepack.models.record import ModelRecord
from edgepack.models.registry import ModelRegistry
from edgepack.project import Recipe

REQUEST, RESPONSE = "sample-request.json", "sample-response.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and the answer expected, None: any with status 200. `name` is where it comes from."""

    name: str
    request: bytes
    expected: bytes | None


def samples_of(recipe: Recipe, registry: ModelRegistry) -> tuple[Sample, ...]:
    """The samples for a recipe's image, never empty.

    Raises:
        InputError: there is none, or a model is not registered.
    """
    folder = recipe.sample_folder
    if folder is not None and (folder / REQUEST).is_file():
        response = folder / RESPONSE
        return (
            Sample(str(folder / REQUEST), _read(folder / REQUEST), _read(response) if response.is_file() else None),
        )
    models = [registry.get(model.name, model.version) for model in recipe.models]
    found = tuple(_registered(model, registry) for model in models if model.sample_input is not None)
    if not found:
        place = folder / REQUEST if folder is not None else f"{REQUEST} beside the module's inference configuration"
        raise InputError(
            f"{recipe.module.name}: there is no sample request to check the image with: write {place} (and "
            f"{RESPONSE} for the answer), or register the model with --sample-input and --sample-output"
        )
    return found


def _registered(model: ModelRecord, registry: ModelRegistry) -> Sample:
    if model.sample_input is None:
        raise AssertionError(f"{model.name} has no sample")
    expected = model.sample_output
    return Sample(
        f"{model.name}:{model.version} {model.sample_input.path}",
        _read(registry.file_path(model.sample_input)),
        _read(registry.file_path(expected)) if expected is not None else None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
