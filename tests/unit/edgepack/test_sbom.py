"""Bills of materials: judged by the standard's own schema and by the reference implementation of package URLs."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL

from edgepack.base.base_image import BaseImage, BaseLayer
from edgepack.ingredients import Ingredients, image_url
from edgepack.oci.platform import AMD64, ARM64
from edgepack.oci.reference import parse_image_reference
from edgepack.sbom import sbom_document
from tests.fakes.signed_output import sample_ingredients, sample_lock

INDEX, MANIFEST = f"sha256:{'b' * 64}", f"sha256:{'c' * 64}"


def document_of(ingredients: Ingredients) -> dict[str, Any]:
    content = sbom_document(ingredients, ARM64, INDEX, MANIFEST)
    from cyclonedx.validation.json import JsonStrictValidator  # takes seconds, see test_agent_swagger

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode())
    assert error is None, error
    document = json.loads(content)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def document() -> dict[str, Any]:
    return document_of(sample_ingredients(AMD64, ARM64))


def component(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in document["components"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def test_the_schema_and_the_library_take_it(document: dict[str, Any]) -> None:
    bom = Bom.from_json(document)  # type: ignore[attr-defined]
    assert {each.name for each in bom.components} >= {"plain", "libstdc++6", "digits", "score.py", "device_agent"}
    bom.validate()  # every dependency is a component


def test_the_same_every_time_and_another_for_other_content() -> None:
    sample = sample_ingredients(AMD64, ARM64)
    one = sbom_document(sample, ARM64, INDEX, MANIFEST)
    assert one == sbom_document(sample, ARM64, INDEX, MANIFEST)
    other = sbom_document(replace(sample, entry="main.py"), ARM64, INDEX, MANIFEST)
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]
    assert b"timestamp" not in one


def test_package_urls_are_those_of_the_reference_implementation(document: dict[str, Any]) -> None:
    urls = [each["purl"] for each in (*document["components"], document["metadata"]["component"]) if "purl" in each]
    assert len(urls) == 5
    for url in urls:
        assert PackageURL.from_string(url).to_string() == url
    debian = PackageURL.from_string(component(document, "libstdc++6")["purl"])
    assert (debian.name, debian.version) == ("libstdc++6", "1:12.2.0-14~x")
    assert debian.qualifiers == {"arch": "arm64", "distro": "debian-12"}
    wheel = PackageURL.from_string(component(document, "local-one")["purl"])
    assert (wheel.type, wheel.version) == ("pypi", "1.0+cpu.1")
    image = PackageURL.from_string(image_url(parse_image_reference("localhost:5000/a/b:1"), INDEX, "arm64"))
    assert image.qualifiers == {"arch": "arm64", "repository_url": "localhost:5000/a/b"}


def test_licences_as_packages_tell_them(document: dict[str, Any]) -> None:
    assert component(document, "plain")["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert component(document, "local-one")["licenses"] == [
        {"license": {"name": "BSD License"}},
        {"license": {"name": "Own"}},
    ]
    assert component(document, "libstdc++6")["properties"] == [
        {"name": "edgepack:copyright", "value": "/usr/share/doc/libstdc++6/copyright"}
    ]


def test_files_have_their_hashes_and_the_image_depends_on_all(document: dict[str, Any]) -> None:
    files = {each["name"]: each["hashes"][0]["content"] for each in component(document, "digits")["components"]}
    assert files == {"model.onnx": "5" * 64, "sub/labels.txt": "6" * 64}
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    depends = {each["ref"]: each.get("dependsOn") for each in document["dependencies"]}
    assert depends["image:linux/arm64"] == sorted(each["bom-ref"] for each in document["components"])
    assert component(document, "debian")["version"] == "12"


def test_an_image_as_base_and_a_base_without_security_updates() -> None:
    image = BaseImage(
        INDEX, MANIFEST, (BaseLayer("t", "sha256:1", 1, "sha256:2"),), "/usr/bin/python3", "3.12.7", "2.36", "s"
    )
    sample = sample_ingredients(ARM64)
    lock = replace(sample_lock(ARM64, "oci:/home/me/base"), debian=(), image=image, without_security=True)
    document = document_of(replace(sample, locks={ARM64: lock}))
    base = component(document, "oci")
    assert (base["version"], base["hashes"][0]["content"]) == (INDEX, "c" * 64)
    assert "/home/me" not in json.dumps(document)
    assert document["metadata"]["properties"] == [{"name": "edgepack:base.without-security", "value": "true"}]
