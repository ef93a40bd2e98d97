"""The software bill of materials of one platform's image, in CycloneDX 1.6 JSON. Pure.

Deterministic: the serial number comes from the content and there is no timestamp, so the same image always has the
same document. Written without a library, which would take longer than the rest of a build that finds all in its cache;
the tests read it with one.
"""

import hashlib
import uuid
from typing import Any

from edgepack import __version__
from edgepack.ingredients import (
    HashedFile,
    Ingredients,
    Licence,
    debian_url,
    image_url,
    public_base,
    wheel_url,
)
from edgepack.models.record import ModelRecord
from edgepack.oci.descriptor import encode_document
from edgepack.oci.platform import Platform
from edgepack.resolve.lock import PlatformLock
from edgepack.signing.payload import encode_readable

_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def sbom_document(ingredients: Ingredients, platform: Platform, index: str, manifest: str) -> bytes:
    """The document for one platform; `index` and `manifest` are the digests (`sha256:HEX`) of its image.

    Debian and Python packages, models and scripts with the hash of each file, the device agent; the image depends on
    all of them.
    """
    lock = ingredients.locks[platform]
    components = [
        *_system(lock),
        *_base_image(lock),
        *(_debian(package, lock.base) for package in lock.debian),
        *(_wheel(wheel, ingredients.licences.get(wheel.sha256)) for wheel in lock.wheels),
        _application("device_agent", ingredients.agent_version, "agent", ()),
        *(_model(model) for model in ingredients.models),
    ]
    if ingredients.entry is not None:
        components.append(_application(ingredients.entry, None, "script", ingredients.script))
    image = f"image:{platform}"
    refs = [str(component["bom-ref"]) for component in components]
    properties = [{"name": "edgepack:base.without-security", "value": "true"}] if lock.without_security else []
    document: dict[str, Any] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": ingredients.image.name,
                "version": index,
                "purl": image_url(ingredients.image, index, platform.architecture),
                "hashes": _sha256(manifest.removeprefix("sha256:")),
            },
            "tools": {"components": [{"type": "application", "name": "edgepack", "version": __version__}]},
            **({"properties": properties} if properties else {}),
        },
        "components": components,
        "dependencies": [{"ref": image, "dependsOn": sorted(refs)}],  # of each other: not known, so not said
    }
    content = hashlib.sha256(encode_document(document)).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    return encode_readable(document)


def _system(lock: PlatformLock) -> list[dict[str, Any]]:
    """The distribution: scanners look there for what advisories to read."""
    versions = [package.version for package in lock.debian if package.name == "base-files"]
    if not versions:
        return []
    release = versions[0].partition("+")[0].partition(".")[0]
    return [{"type": "operating-system", "bom-ref": "system", "name": "debian", "version": release}]


def _base_image(lock: PlatformLock) -> list[dict[str, Any]]:
    """The image that the base is, if it is one. What is in it is for its own bill of materials."""
    if lock.image is None:
        return []
    layers = [{"name": "edgepack:layer", "value": layer.digest} for layer in lock.image.layers]
    return [
        {
            "type": "container",
            "bom-ref": "base",
            "name": public_base(lock.base),
            "version": lock.image.index,
            "hashes": _sha256(lock.image.manifest.removeprefix("sha256:")),
            "properties": layers,
        }
    ]


def _debian(package: Any, base: str) -> dict[str, Any]:
    url = debian_url(package, base)
    return {
        "type": "library",
        "bom-ref": f"deb:{package.name}",
        "name": package.name,
        "version": package.version,
        "purl": url,
        "hashes": _sha256(package.sha256),
        "properties": [{"name": "edgepack:copyright", "value": f"/usr/share/doc/{package.name}/copyright"}],
    }


def _wheel(wheel: Any, licence: Licence | None) -> dict[str, Any]:
    url = wheel_url(wheel)
    component = {
        "type": "library",
        "bom-ref": f"pypi:{wheel.name}",
        "name": wheel.name,
        "version": wheel.version,
        "purl": url,
        "hashes": _sha256(wheel.sha256),
    }
    if licence and licence.expression:
        component["licenses"] = [{"expression": licence.expression}]
    elif licence and licence.names:
        component["licenses"] = [{"license": {"name": name}} for name in licence.names]
    return component


def _model(model: ModelRecord) -> dict[str, Any]:
    ref = f"model:{model.name}:{model.version}"
    files = tuple(HashedFile(file.path, file.sha256) for file in model.files)
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": model.name,
        "version": str(model.version),
        "components": _files(ref, files),
    }


def _application(name: str, version: str | None, ref: str, files: tuple[HashedFile, ...]) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "application", "bom-ref": ref, "name": name}
    if version is not None:
        component["version"] = version
    if files:
        component["components"] = _files(ref, files)
    return component


def _files(ref: str, files: tuple[HashedFile, ...]) -> list[dict[str, Any]]:
    return [
        {"type": "file", "bom-ref": f"{ref}/{file.path}", "name": file.path, "hashes": _sha256(file.sha256)}
        for file in files
    ]


def _sha256(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]
