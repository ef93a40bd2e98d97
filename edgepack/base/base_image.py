"""An image as a base: its layers as they are, and what was found in it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

OLDEST_PYTHON = (3, 11)  # what the device agent runs on


@dataclass(frozen=True, slots=True)
class BaseLayer:
    """A layer that is used as it is. `media_type` is OCI's; `diff_id` is the digest of the tar inside."""

    media_type: str
    digest: str
    size_bytes: int
    diff_id: str


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One platform of an image: `index` is the digest that its name stood for, `manifest` that of the platform.

    `interpreter` is an absolute path, `python_full` as `3.12.7`, `glibc` as `2.36`, `site_folder` the folder for
    packages that this Python reads, relative to the root. `passwd` and `group` are the texts that these files of the
    image need to know the module's user, "" where they know it.
    """

    index: str
    manifest: str
    layers: tuple[BaseLayer, ...]
    interpreter: str
    python_full: str
    glibc: str
    site_folder: str
    passwd: str = ""
    group: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> str:
        """Python's version as `3.N`."""
        return ".".join(self.python_full.split(".")[:2])


@dataclass(frozen=True, slots=True)
class SuppliedPackage:
    """A Python package that a Debian package supplies where the index has no wheel: its name and version there."""

    name: str
    version: str
    debian: str
