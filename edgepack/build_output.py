"""What a build leaves in its output folder: an image a module, documents beside it, and `build.json`.

The project's own module has `image`, `sbom`, `provenance.json` and `attachments` at the top; another module has the
same, and a `build.json` of its own, in a folder of its name. `deployment.json` is for all of them, and `build.json` is
written last. Each file appears by rename.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack import __version__
from edgepack.assembly import Assembly
from edgepack.attachments import FOLDER as ATTACHMENTS
from edgepack.deployment.layer import layer_of
from edgepack.files import write_file
from edgepack.image_documents import PROVENANCE, SBOM, write_image_documents
from edgepack.ingredients import HashedFile, Ingredients, Licence, planned_files
from edgepack.models.record import ModelRecord
from edgepack.module import deployment_document
from edgepack.oci.image import Image
from edgepack.oci.layout import blob_path
from edgepack.oci.platform import Platform
from edgepack.plan import BuildPlan
from edgepack.project import Recipe
from edgepack.resolve.lock import PlatformLock

DEPLOYMENT, LAYER, REPORT = "deployment.json", "deployment.layered.json", "build.json"
IMAGE = "image"


@dataclass(frozen=True, slots=True)
class BuiltModule:
    """A module whose image is in the output: of what it was made, and the digest of its index."""

    recipe: Recipe
    models: tuple[ModelRecord, ...]
    locks: Mapping[Platform, PlatformLock]
    images: tuple[Image, ...]
    digest: str
    cached: Mapping[str, bool]  # by digest of a layer: was it there before
    plan: BuildPlan
    licences: Mapping[str, Licence] = field(default_factory=dict)
    settings: tuple[HashedFile, ...] = ()  # the files that said what to build
    builder: str = "oci"

    def document(self) -> dict[str, Any]:
        """Image, digest and layers, as in `build.json`."""
        return {
            "image": str(self.recipe.image),
            "digest": self.digest,
            "seconds": 0.0,
            "platforms": {str(image.platform): _image_document(image, self.cached) for image in self.images},
        }

    @property
    def ingredients(self) -> Ingredients:
        """What the image was made from, for the documents about it."""
        recipe = self.recipe
        return Ingredients(
            image=recipe.image,
            platforms=recipe.platforms,
            base=recipe.base,
            models=self.models,
            locks=self.locks,
            entry=recipe.script.entry if recipe.script else None,
            script=planned_files(self.plan, "script"),
            agent_version=__version__,
            agent=planned_files(self.plan, "agent"),
            settings=self.settings,
            variables=tuple(recipe.variables),
            licences=self.licences,
        )


def layout_name(folder: str) -> str:
    """Where the image of a module is, seen from the output."""
    return f"{folder}/{IMAGE}" if folder else IMAGE


def write_documents(
    output: Path, assembly: Assembly, built: Mapping[str, BuiltModule], *, layered: bool = False
) -> None:
    """Write what is told of each image, and the deployment; a layer only where it is asked for, so that none is old."""
    for folder, module in built.items():
        index = blob_path(output / layout_name(folder), module.digest).read_bytes()
        write_image_documents(output / folder, module.ingredients, module.images, index, module.builder)
    manifest = deployment_document(assembly, {each.recipe.module.name: each.digest for each in built.values()})
    _write_json(output / DEPLOYMENT, manifest, mode=0o600 if assembly.credentials else 0o644)
    if layered:
        _write_json(output / LAYER, layer_of(manifest))
    else:
        (output / LAYER).unlink(missing_ok=True)


def write_report(
    output: Path, assembly: Assembly, reports: Mapping[str, dict[str, Any]], spent: dict[str, Any]
) -> dict[str, Any]:
    """Write `build.json`; remove what earlier builds made for modules that are no more, or were killed while writing.

    `reports` are those of the modules by folder; `spent` is added to each. Returns what was written at the top.
    """
    former = _read_former(output)
    full = {folder: report | spent for folder, report in reports.items()}
    top: dict[str, Any] = full.get("", spent)
    if not assembly.is_single:
        layouts = {
            assembly.recipes[folder].module.name: {
                "image": report["image"],
                "digest": report["digest"],
                "layout": layout_name(folder),
                "platforms": report["platforms"],
            }
            for folder, report in reports.items()
        }
        top = {**top, "modules": {**layouts, **{each.options.name: {"image": each.image} for each in assembly.placed}}}
    for folder, report in full.items():
        if folder:
            _write_json(output / folder / REPORT, report)
    _write_json(output / REPORT, top)
    for folder in former - full.keys():
        _remove(output, folder)
    for place in {output, *(output / folder for folder in full), *(output / folder / SBOM for folder in full)}:
        for leftover in place.glob(".*.part"):
            leftover.unlink(missing_ok=True)
    return top


def _image_document(image: Image, cached: Mapping[str, bool]) -> dict[str, Any]:
    return {
        "digest": image.descriptor().digest,
        "size_bytes": sum(layer.size_bytes for layer in image.layers),
        "layers": [
            {
                "kind": layer.kind,
                "title": layer.title,
                "digest": layer.digest,
                "size_bytes": layer.size_bytes,
                "cached": cached[layer.digest],
            }
            for layer in image.layers
        ],
    }


def _read_former(output: Path) -> set[str]:
    """The folders that the last build wrote images to, as its report tells."""
    try:
        report = json.loads((output / REPORT).read_bytes())
        layouts = [module["layout"] for module in report.get("modules", {}).values() if "layout" in module]
    except (OSError, ValueError, AttributeError, TypeError):
        return set()
    folders = {str(layout).removesuffix(IMAGE).rstrip("/") for layout in layouts if str(layout).endswith(IMAGE)}
    folders |= {""} if "digest" in report else set()
    return {folder for folder in folders if "/" not in folder and folder not in (".", "..")}


def _remove(output: Path, folder: str) -> None:
    place = output / folder
    if folder:
        (place / REPORT).unlink(missing_ok=True)
    (place / PROVENANCE).unlink(missing_ok=True)
    for name in (IMAGE, SBOM, ATTACHMENTS):
        shutil.rmtree(place / name, ignore_errors=True)
    if folder and place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def _write_json(path: Path, document: Any, *, mode: int = 0o644) -> None:
    write_file(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(), mode=mode)
