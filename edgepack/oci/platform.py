"""Platforms an image can run on, by their names in the OCI image specification."""

from dataclasses import dataclass

from edgepack.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """One target, e.g. `linux/arm64`, with the names that Debian and Python packages use for it."""

    os: str
    architecture: str
    debian: str
    machine: str  # what uname -m says there, as in wheel tags and markers
    multiarch: str  # Debian's folder for libraries
    loader: str  # the dynamic loader, in that folder
    variant: str = ""  # of the architecture, where one name means several

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def slug(self) -> str:
        """The name in file names, e.g. `linux-arm64`."""
        return str(self).replace("/", "-")

    def document(self) -> dict[str, str]:
        """The `platform` object of an image index."""
        variant = {"variant": self.variant} if self.variant else {}
        return {"architecture": self.architecture, "os": self.os, **variant}


AMD64 = Platform("linux", "amd64", "amd64", "x86_64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2")
ARM64 = Platform("linux", "arm64", "arm64", "aarch64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1")
ARM_V7 = Platform("linux", "arm", "armhf", "armv7l", "arm-linux-gnueabihf", "ld-linux-armhf.so.3", "v7")
PLATFORMS = {str(platform): platform for platform in (AMD64, ARM64, ARM_V7)}
DEFAULT_PLATFORMS = (str(AMD64), str(ARM64))


def parse_platforms(names: list[str] | tuple[str, ...]) -> tuple[Platform, ...]:
    """The platforms named, sorted and without duplicates.

    Raises:
        InputError: one problem for each name that is not known.
    """
    InputError.raise_if_any(
        f"platform {name!r} is not known; known are {', '.join(PLATFORMS)}" for name in names if name not in PLATFORMS
    )
    if not names:
        raise InputError(f"no platform given; known are {', '.join(PLATFORMS)}")
    return tuple(sorted({PLATFORMS[name] for name in names}))
