"""Names of images and platforms."""

import pytest

from edgepack.errors import InputError
from edgepack.oci.platform import AMD64, ARM64, parse_platforms
from edgepack.oci.reference import ImageReference, parse_image_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("iris", ImageReference(None, "iris", "latest")),
        ("iris:1.0", ImageReference(None, "iris", "1.0")),
        ("team/iris:v1", ImageReference(None, "team/iris", "v1")),
        ("registry.example.com/iris", ImageReference("registry.example.com", "iris", "latest")),
        ("registry.example.com:5000/a/b_c.d:e-F.1", ImageReference("registry.example.com:5000", "a/b_c.d", "e-F.1")),
        ("localhost/iris", ImageReference("localhost", "iris", "latest")),
        ("localhost:5000/iris:x", ImageReference("localhost:5000", "iris", "x")),
        ("host:5000/iris", ImageReference("host:5000", "iris", "latest")),
        ("127.0.0.1:5000/iris", ImageReference("127.0.0.1:5000", "iris", "latest")),
        ("[::1]:5000/iris", ImageReference("[::1]:5000", "iris", "latest")),
        ("a--b__c/d", ImageReference(None, "a--b__c/d", "latest")),
    ],
)
def test_a_name(text: str, reference: ImageReference) -> None:
    found = parse_image_reference(text)
    assert found == reference
    assert parse_image_reference(str(found)) == found
    assert found.by_digest("sha256:0").endswith("@sha256:0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Iris",
        "iris:",
        ":x",
        "a//b",
        "/a",
        "a/",
        "a b",
        "iris@sha256:00",
        "a:b:c",
        "iris:" + "x" * 129,
        "a..b",
        "-a",
        "é",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InputError, match="is no image name"):
        parse_image_reference(text)


def test_platforms() -> None:
    assert parse_platforms(["linux/arm64", "linux/amd64", "linux/arm64"]) == (AMD64, ARM64)
    with pytest.raises(InputError) as caught:
        parse_platforms(["linux/arm64", "windows/amd64", "x"])
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="no platform given"):
        parse_platforms([])
    assert (ARM64.slug, str(ARM64), ARM64.document()) == (
        "linux-arm64",
        "linux/arm64",
        {"architecture": "arm64", "os": "linux"},
    )
