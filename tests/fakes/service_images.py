"""Images of services that really run, made without an index: this machine's shell starts the agent of this checkout."""

import hashlib
import sys
from pathlib import Path

import device_agent
from edgepack.host_image import host_platform
from edgepack.layers.cache import LayerCache
from edgepack.layers.entry import Entry, FileEntry
from edgepack.models.registry import ModelRegistry
from edgepack.oci.image import Layer, RunConfig, assemble_image
from edgepack.oci.validate import choose_platform
from edgepack.project import script_location
from edgepack.services.record import ServiceRequest, Voice
from edgepack.services.service_image import packages_digest, read_recipe, tell_about, variables_of
from edgepack.services.stored import LAYOUT, ServiceImage
from edgepack.services.workshop import Workshop, workshop_of
from tests.fakes.images import ImageMaker
from tests.fakes.shell_image import shell_entries

_APP = "var/azureml-app"
_ROOT = Path(device_agent.__file__).parent.parent
_START = 'unset PYTHONHOME; exec "$AGENT_PYTHON" -m device_agent'


def shop_with_fake_images(workspace: Path) -> Workshop:
    """A workshop as the commands have it, but for the images: nothing is resolved or fetched."""
    shop = workshop_of(workspace)
    return Workshop(shop.workspace, shop.store, shop.runners, make_fake_image, shop.read_sources)


def make_fake_image(workspace: Path, request: ServiceRequest, folder: Path, voice: Voice) -> tuple[ServiceImage, str]:
    """The request's script and models over a base that has a shell."""
    target, recipe = host_platform(), read_recipe(workspace, request)
    tell_about(recipe, voice)
    assert recipe.script is not None
    cache = LayerCache(workspace / "cache")

    def layer(kind: str, key: str, entries: list[Entry]) -> Layer:
        made = cache.find(key) or cache.make(key, lambda: sorted(entries, key=lambda entry: entry.path), kind)
        return Layer(kind, key, made.digest, made.size_bytes, made.diff_id)

    registry = ModelRegistry(workspace)
    records = [registry.get(model.name, model.version) for model in request.models]
    place, variables = script_location(recipe.script, _APP)
    layers = [layer("base", "shell", shell_entries(target))]
    layers += [
        layer(
            "model",
            f"model-{record.id}",
            [
                FileEntry(f"{_APP}/azureml-models/{record.name}/{record.version}/{file.path}", registry.file_path(file))
                for file in record.files
            ],
        )
        for record in records
    ]
    content = [(name, path.read_bytes()) for name, path, _ in recipe.script.files]
    entries: list[Entry] = [FileEntry(f"{place}/{name}", text) for name, text in content]
    layers.append(layer("script", f"script-{hashlib.sha256(repr(content).encode()).hexdigest()}", entries))
    only = records[0] if len(records) == 1 else None
    models = f"/{_APP}/azureml-models" + (f"/{only.name}/{only.version}" if only else "")
    environment = {
        "AGENT_PYTHON": sys.executable,
        "PYTHONPATH": str(_ROOT),
        "AML_APP_ROOT": f"/{_APP}",
        "AZUREML_MODEL_DIR": models,
        **variables,
        **recipe.variables,
    }
    run = RunConfig(
        "1000", f"/{_APP}", ("/usr/bin/sh", "-c", _START), environment, ("5001/tcp",), ("/var/lib/edgepack",)
    )
    layout = folder / LAYOUT
    index = ImageMaker(workspace / "cache").write(layout, (assemble_image(target, tuple(layers), run),))
    image_id = choose_platform(layout, str(target)).config_digest
    return ServiceImage(layout, index.digest, image_id, variables_of(recipe)), packages_digest(recipe)
