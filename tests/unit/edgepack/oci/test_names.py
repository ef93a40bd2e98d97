"""Names of images and platforms."""

import pytest

from edgepack.errors import InputError
from edgepack.oci.platform import AMD64, ARM64, parse_platforms
from edgepack.oci.reference import ImageReference, is_loopback, parse_image_reference, parse_remote_reference


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


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "name", "target", "server"),
    [
        ("python", "docker.io/library/python", "latest", "registry-1.docker.io"),
        ("python:3.12-slim", "docker.io/library/python", "3.12-slim", "registry-1.docker.io"),
        ("docker.io/python", "docker.io/library/python", "latest", "registry-1.docker.io"),
        ("index.docker.io/library/python", "docker.io/library/python", "latest", "registry-1.docker.io"),
        ("team/iris:1", "docker.io/team/iris", "1", "registry-1.docker.io"),
        ("localhost:5000/iris", "localhost:5000/iris", "latest", "localhost:5000"),
        (f"r.example.com/a/b@{DIGEST}", "r.example.com/a/b", DIGEST, "r.example.com"),
        (f"r.example.com/a/b:tag@{DIGEST}", "r.example.com/a/b", DIGEST, "r.example.com"),
    ],
)
def test_a_name_in_a_registry(text: str, name: str, target: str, server: str) -> None:
    found = parse_remote_reference(text)
    assert (found.name, found.target, found.server) == (name, target, server)


@pytest.mark.parametrize(
    "text", ["a@", "a@sha256:0", f"a@@{DIGEST}", f"@{DIGEST}", f"a@{DIGEST.replace('256', '512')}"]
)
def test_what_is_no_name_in_a_registry(text: str) -> None:
    with pytest.raises(InputError, match="is no image name"):
        parse_remote_reference(text)


def test_which_registries_are_on_this_machine() -> None:
    for server in ("localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:5000", "a.localhost:1"):
        assert is_loopback(server), server
    for server in ("example.com", "10.0.0.1:5000", "localhost.example.com", "127.0.0.1.example.com", "[::2]:5000"):
        assert not is_loopback(server), server


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
