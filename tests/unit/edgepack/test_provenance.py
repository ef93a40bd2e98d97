"""Provenance: every input with its hash, nothing of the machine, the same every time."""

import hashlib
import json
from typing import Any

import pytest

from edgepack.ingredients import HashedFile, folder_hash, public_location
from edgepack.oci.platform import AMD64, ARM64
from edgepack.provenance import provenance_document
from edgepack.signing.payload import SLSA_PREDICATE, STATEMENT
from tests.fakes.signed_output import NAME, sample_ingredients

INDEX = f"sha256:{'b' * 64}"
MANIFESTS = {AMD64: f"sha256:{'c' * 64}", ARM64: f"sha256:{'d' * 64}"}


@pytest.fixture
def statement() -> dict[str, Any]:
    content = provenance_document(sample_ingredients(AMD64, ARM64), INDEX, MANIFESTS)
    assert content == provenance_document(sample_ingredients(AMD64, ARM64), INDEX, MANIFESTS)
    document = json.loads(content)
    assert isinstance(document, dict)
    return document


def inputs(statement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}


def test_it_is_a_statement_about_the_index_and_each_platform(statement: dict[str, Any]) -> None:
    assert (statement["_type"], statement["predicateType"]) == (STATEMENT, SLSA_PREDICATE)
    assert [(each["name"], each["digest"]["sha256"]) for each in statement["subject"]] == [
        (NAME, "b" * 64),
        (f"{NAME} linux/amd64", "c" * 64),
        (f"{NAME} linux/arm64", "d" * 64),
    ]


def test_every_input_is_named_once_with_its_hash(statement: dict[str, Any]) -> None:
    found = inputs(statement)
    assert found["models/digits/3/model.onnx"]["digest"] == {"sha256": "5" * 64}
    assert found["conda.yml"]["digest"] == {"sha256": "a" * 64}
    assert found["var/azureml-app/source/score.py"]["digest"] == {"sha256": "7" * 64}
    wheel = found["plain-2.0-py3-none-any.whl"]
    assert wheel["annotations"] == {"platforms": ["linux/amd64", "linux/arm64"]}
    assert wheel["downloadLocation"] == "https://host.example/p.whl"
    assert all(each["digest"] for each in found.values())


def test_no_secret_no_place_and_no_time_is_in_it(statement: dict[str, Any]) -> None:
    text = json.dumps(statement)
    for part in ("user", "pw@", "sig=", "/home/me", "file:", "startedOn", "finishedOn"):
        assert part not in text, part


def test_the_hash_of_a_folder_is_the_one_that_in_toto_defines() -> None:
    files = [HashedFile("b.py", "9" * 64), HashedFile("a.py", "8" * 64)]
    text = f"{'8' * 64}  a.py\n{'9' * 64}  b.py\n"
    assert folder_hash(files) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h:8080/a/b.whl?x=1#y", "https://h:8080/a/b.whl"),
        ("http://h/a", "http://h/a"),
        ("file:///a", None),
        ("../a.whl", None),
    ],
)
def test_places_are_told_without_secrets(url: str, shown: str | None) -> None:
    assert public_location(url) == shown
