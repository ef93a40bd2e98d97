"""How an image came to be: an in-toto statement with SLSA's provenance v1, naming every input by its hash. Pure.

Deterministic: no times, no names or paths of the machine, no values of variables; addresses without users, passwords
and queries. So the same inputs have the same statement.
"""

from typing import Any

from edgepack import __version__
from edgepack.errors import InputError
from edgepack.ingredients import (
    HashedFile,
    Ingredients,
    debian_url,
    folder_hash,
    public_base,
    public_location,
    wheel_url,
)
from edgepack.oci.artifact import IN_TOTO, Attached, json_object
from edgepack.oci.platform import Platform
from edgepack.signing.payload import SLSA_PREDICATE, encode_readable, statement_document

BUILD_TYPE = "urn:edgepack:build:1"
BUILDER = "urn:edgepack:builder"


def provenance_document(
    ingredients: Ingredients, index: str, manifests: dict[Platform, str], builder: str = "oci"
) -> bytes:
    """The statement about an image; `index` and `manifests` are digests (`sha256:HEX`) of it and its platforms."""
    name = ingredients.image.name
    subjects = {name: index, **{f"{name} {platform}": digest for platform, digest in manifests.items()}}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "image": str(ingredients.image),
                "platforms": [str(platform) for platform in ingredients.platforms],
                "base": public_base(ingredients.base),
                "models": [f"{model.name}:{model.version}" for model in ingredients.models],
                "entryScript": ingredients.entry,
                "environmentVariables": sorted(ingredients.variables),
                "builder": builder,
            },
            "resolvedDependencies": _dependencies(ingredients),
        },
        "runDetails": {"builder": {"id": f"{BUILDER}:{builder}", "version": {"edgepack": __version__}}},
    }
    return encode_readable(statement_document(subjects, SLSA_PREDICATE, predicate))


def find_provenance(attached: Attached) -> dict[str, Any]:
    """The statement that hangs on an image.

    Raises:
        InputError: there is none that edgepack has made.
        DamagedDataError: what hangs there is no statement.
    """
    for attachment in attached.of_type(IN_TOTO):
        for layer in attachment.layers:
            document = json_object(layer.content, layer.descriptor.digest)
            match document:
                case {"predicate": {"buildDefinition": {"buildType": kind}}} if kind == BUILD_TYPE:
                    return document
    raise InputError(f"no provenance of edgepack hangs on {attached.subject.digest}; build it anew to have one")


def _dependencies(ingredients: Ingredients) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    packages: dict[str, dict[str, Any]] = {}
    for platform, lock in ingredients.locks.items():
        if lock.image:
            base = public_base(lock.base)
            found.append(
                {
                    "name": f"base {platform}",
                    "digest": {"sha256": lock.image.manifest.removeprefix("sha256:")},
                    "annotations": {"platforms": [str(platform)], "base": base, "index": lock.image.index},
                }
            )
        for package in lock.debian:
            _note(packages, platform, package.sha256, debian_url(package, lock.base), package.filename, None)
        for wheel in lock.wheels:
            _note(packages, platform, wheel.sha256, wheel_url(wheel), wheel.filename, public_location(wheel.url))
    found += packages.values()
    for model in ingredients.models:
        found += [
            {"name": f"models/{model.name}/{model.version}/{file.path}", "digest": {"sha256": file.sha256}}
            for file in model.files
        ]
    found += [_file(file) for file in (*ingredients.script, *ingredients.settings)]
    agent = {"name": "device_agent", "uri": f"pkg:pypi/edgepack@{__version__}#device_agent"}
    found.append({**agent, "digest": {"dirHash": folder_hash(ingredients.agent)}})
    return sorted(found, key=lambda each: (each["name"], sorted(each["digest"].items())))


def _note(
    packages: dict[str, dict[str, Any]],
    platform: Platform,
    sha256: str,
    uri: str,
    filename: str,
    location: str | None,
) -> None:
    """A package, or one more platform of a package that is known already."""
    found = packages.setdefault(
        sha256,
        {
            "name": filename.rpartition("/")[2],
            "uri": uri,
            "digest": {"sha256": sha256},
            "annotations": {"platforms": []},
        },
    )
    found["annotations"]["platforms"].append(str(platform))
    if location:
        found["downloadLocation"] = location


def _file(file: HashedFile) -> dict[str, Any]:
    return {"name": file.path, "digest": {"sha256": file.sha256}}
