"""What `--base` says, as a value: a Debian release, an image of a registry, or an image in a folder. Pure."""

from dataclasses import dataclass
from pathlib import Path

from edgepack.base.release import Release, find_release
from edgepack.errors import InputError
from edgepack.oci.reference import ImageReference, parse_remote_reference

_FOLDER = "oci:"
_DEBIAN = "debian:"


@dataclass(frozen=True, slots=True)
class RegistryBase:
    """An image of a registry, by tag or digest."""

    reference: ImageReference


@dataclass(frozen=True, slots=True)
class FolderBase:
    """An image in a folder of this machine, an OCI image layout."""

    folder: Path


BaseChoice = Release | RegistryBase | FolderBase


def parse_base(text: str, folder: Path) -> BaseChoice:
    """Read `debian:CODENAME`, `oci:FOLDER` (relative to `folder`) or the name of an image.

    Raises:
        InputError: the text is none of these.
    """
    if text.startswith(_DEBIAN):
        return find_release(text)
    if text.startswith(_FOLDER):
        place = text.removeprefix(_FOLDER)
        if not place:
            raise InputError(f"base {text!r}: name the folder of the image after `oci:`")
        return FolderBase(folder / place)
    try:
        return RegistryBase(parse_remote_reference(text))
    except InputError as error:
        raise InputError(
            f"base {text!r} is none: give debian:bookworm, debian:trixie, the name of an image "
            f"(registry.example.com/team/python:3.12, or with @sha256:..), or oci:FOLDER ({error})"
        ) from None
