"""What `--base` may say."""

from pathlib import Path

import pytest

from edgepack.base.choice import FolderBase, RegistryBase, parse_base
from edgepack.base.release import RELEASES
from edgepack.errors import InputError

HERE = Path("/project")
DIGEST = f"sha256:{'1' * 64}"


def test_releases() -> None:
    assert parse_base("debian:trixie", HERE) == RELEASES["debian:trixie"]


@pytest.mark.parametrize(
    ("text", "registry", "repository", "target"),
    [
        ("python:3.12-slim", "docker.io", "library/python", "3.12-slim"),
        ("python", "docker.io", "library/python", "latest"),
        ("team/base:1", "docker.io", "team/base", "1"),
        ("registry.example.com/team/base:1", "registry.example.com", "team/base", "1"),
        (f"registry.example.com:5000/base@{DIGEST}", "registry.example.com:5000", "base", DIGEST),
        (f"localhost/base:1@{DIGEST}", "localhost", "base", DIGEST),
        ("docker.io/library/debian:bookworm", "docker.io", "library/debian", "bookworm"),
    ],
)
def test_images(text: str, registry: str, repository: str, target: str) -> None:
    choice = parse_base(text, HERE)
    assert isinstance(choice, RegistryBase)
    assert (choice.reference.registry, choice.reference.repository) == (registry, repository)
    assert choice.reference.target == target


def test_folders() -> None:
    assert parse_base("oci:base", HERE) == FolderBase(Path("/project/base"))
    assert parse_base("oci:/base", HERE) == FolderBase(Path("/base"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("debian:buster", "known are debian:bookworm, debian:trixie, and images of a registry"),
        ("debian:buster", "docker.io/library/debian:buster"),
        ("oci:", "name the folder"),
        ("Python:3.12", "base 'Python:3.12' is none: give debian:bookworm"),
        ("python@sha256:1", "64 hex digits"),
        ("", "is none"),
    ],
)
def test_what_it_may_not_say(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_base(text, HERE)
    assert says in str(caught.value)
