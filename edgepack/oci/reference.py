"""Names of images: `[REGISTRY/]REPOSITORY[:TAG]`, by the grammar of the distribution specification."""

import re
from dataclasses import dataclass

from edgepack.errors import InputError

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d)|\[[0-9a-fA-F:]+\])(?::\d+)?"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_HOST})/)?(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`registry` is None when the name has none; then a device cannot pull the image by this name."""

    registry: str | None
    repository: str
    tag: str

    @property
    def name(self) -> str:
        """Registry and repository, without the tag."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"

    def by_digest(self, digest: str) -> str:
        """The name that always means the same bytes: `NAME@sha256:HEX`."""
        return f"{self.name}@{digest}"


def parse_image_reference(text: str) -> ImageReference:
    """Read a name; the tag is `latest` when it has none.

    Raises:
        InputError: the text is no image name.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} is no image name: it must look like registry.example.com/team/name:tag, in lower case, "
            "without a digest"
        )
    return ImageReference(match["registry"], match["repository"], match["tag"] or "latest")
