"""Names of images: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, by the grammar of the distribution specification."""

import ipaddress
import re
from dataclasses import dataclass, replace

from edgepack.errors import InputError

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d)|\[[0-9a-fA-F:]+\])(?::\d+)?"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_HOST})/)?(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DOCKER_HUB = "docker.io"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_HUB_SERVER = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`registry` is None when the name has none; then a device cannot pull the image by this name.

    `digest` (`sha256:HEX`) is "" when the name has none; a name with one means those bytes, whatever its tag.
    """

    registry: str | None
    repository: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, without the tag."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def __str__(self) -> str:
        return self.by_digest(self.digest) if self.digest else f"{self.name}:{self.tag}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, or the tag of a name without one."""
        return self.digest or self.tag

    @property
    def server(self) -> str:
        """Host and port that answer for the registry."""
        return _HUB_SERVER if self.registry in (None, DOCKER_HUB) else str(self.registry)

    @property
    def is_loopback(self) -> bool:
        """Whether the registry runs on this machine."""
        return is_loopback(self.server)

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


def parse_remote_reference(text: str) -> ImageReference:
    """Read a name as engines do where an image is to come from, or go to, a registry: `NAME[:TAG][@DIGEST]`.

    A name without a registry is Docker Hub's, and there one without a slash is below `library/`.

    Raises:
        InputError: the text is no image name.
    """
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InputError(f"{text!r} is no image name: what follows the @ must be `sha256:` and 64 hex digits")
    found = replace(parse_image_reference(name), digest=digest)
    if found.registry is not None and found.registry not in _HUB_NAMES:
        return found
    repository = found.repository if "/" in found.repository else f"library/{found.repository}"
    return replace(found, registry=DOCKER_HUB, repository=repository)


def host_of(server: str) -> str:
    """The host of `HOST[:PORT]`, an IPv6 address in its brackets."""
    return re.sub(r":\d+$", "", server)


def is_loopback(server: str) -> bool:
    """Whether `HOST[:PORT]` is this machine by its name: `localhost`, 127.0.0.0/8, `[::1]`."""
    host = host_of(server).strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
