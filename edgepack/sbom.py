"""The software bill of materials of one platform's image, in CycloneDX 1.6 JSON.

Deterministic: the serial number comes from the image's digest and there is no timestamp, so the same image always has
the same document.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from edgepack import __version__
from edgepack.models.record import ModelRecord
from edgepack.project import Recipe
from edgepack.resolve.lock import PlatformLock


def sbom_document(recipe: Recipe, models: Sequence[ModelRecord], lock: PlatformLock, digest: str) -> bytes:
    """The document for one platform: Debian packages, Python packages, models with the hash of each file."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def sha256(value: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=value)]

    def component(name: str, version: str, kind: ComponentType, ref: str, **more: Any) -> Component:
        return Component(name=name, version=version, type=kind, bom_ref=BomRef(ref), **more)

    components = []
    for package in lock.debian:
        url = PackageURL("deb", "debian", package.name, package.version, {"arch": package.architecture})
        more = {"purl": url, "hashes": sha256(package.sha256)}
        components.append(component(package.name, package.version, ComponentType.LIBRARY, str(url), **more))
    for wheel in lock.wheels:
        url = PackageURL("pypi", None, wheel.name, wheel.version)
        more = {"purl": url, "hashes": sha256(wheel.sha256)}
        components.append(component(wheel.name, wheel.version, ComponentType.LIBRARY, str(url), **more))
    for model in models:
        ref = f"model:{model.name}:{model.version}"
        components.append(component(model.name, str(model.version), ComponentType.MACHINE_LEARNING_MODEL, ref))
    bom = Bom(components=components, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{digest}#{lock.platform}"))
    image = component(recipe.image.name, digest, ComponentType.CONTAINER, f"image:{lock.platform}")
    bom.metadata.component = image
    bom.metadata.tools.components.add(component("edgepack", __version__, ComponentType.APPLICATION, "tool:edgepack"))
    bom.register_dependency(image, components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    files = {f"model:{model.name}:{model.version}": _files(model) for model in models}
    for each in document["components"]:  # plain: the library compares thousands of components with each other
        if each["bom-ref"] in files:
            each["components"] = files[each["bom-ref"]]
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _files(model: ModelRecord) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "name": file.path,
            "bom-ref": f"model:{model.name}:{model.version}/{file.path}",
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        }
        for file in model.files
    ]
